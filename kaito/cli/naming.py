"""What people call models, sizes and GPUs: found by their names, and named for short."""

from __future__ import annotations

from collections.abc import Iterable

from kaito.catalog.catalog import CLOUDS, Catalog
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, Sku
from kaito.cli.parser import CommandError

CLOUD = "azure"
"""Whose sizes are meant when nobody says."""
NEAREST = 5  # names that an error tells


def model_named(catalog: Catalog, name: str) -> Model:
    """The model of this name; CommandError with the nearest names when there is none."""
    model = catalog.find_model(name)
    if model is not None:
        return model
    holding = [known for known in catalog.models if name.lower() in known]
    near = [catalog.models[known] for known in (*holding, *catalog.models_like(name))]
    raise CommandError(
        f"{name} is no model of the catalogue. {_nearest(map(preset, near))}`kaito models` lists "
        "all. Any other model of Hugging Face may be a preset by its name, organisation/model: "
        "`kaito plan` reads it."
    )


def size_named(catalog: Catalog, name: str, cloud: str | None) -> Sku:
    """The size of this name in a cloud, None for any; CommandError with the nearest names when
    there is none."""
    clouds = [cloud] if cloud else CLOUDS
    for each in clouds:
        sku = catalog.find_sku(name, cloud=each)
        if sku is not None:
            return sku
    offered = sorted(catalog.skus.values(), key=lambda sku: sku.retired is not None)
    holding = [
        sku.name for sku in offered if sku.cloud in clouds and name.lower() in sku.name.lower()
    ]
    near = [like for each in clouds for like in catalog.skus_like(name, cloud=each)]
    raise CommandError(
        f"{name} is no size of {' or '.join(clouds)} in the catalogue. "
        f"{_nearest([*near, *holding])}`kaito skus` lists all, with --cloud those of another cloud."
    )


def _nearest(names: Iterable[str]) -> str:
    near = list(dict.fromkeys(names))[:NEAREST]
    return f"Near: {', '.join(near)}. " if near else ""


def preset(model: Model) -> str:
    """What to write in inference.preset.name: an alias where there is one."""
    return model.aliases[0] if model.aliases else model.name


def described(gpus: Gpus) -> str:
    """8 A100: how many, and what they are called for short."""
    part = "" if gpus.part == 1 else f"{gpus.part} "
    number = "" if part and gpus.count == 1 else f"{gpus.count} "
    return f"{number}{part}{short(gpus.product)}"


def short(product: str) -> str:
    """What tells a product from others of its maker: MI25 of AMD Radeon Instinct MI25.

    The last word with a figure in it; a mere number with the words before it.
    """
    words = product.split()[1:]
    figures = [place for place, word in enumerate(words) if any(map(str.isdigit, word))]
    if not figures:
        return " ".join(words) or product
    last = figures[-1]
    return " ".join(words[: last + 1]) if words[last].isdigit() else words[last]
