"""The catalogue: every model and node size that KAITO knows, found by the names people write.

Names are compared without regard to case. Reading the data files is the only I/O, at `load`.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from kaito.catalog.gpu import Product, products_of, skus_of
from kaito.catalog.model import Model
from kaito.catalog.models import models
from kaito.catalog.sku import Sku

SUGGESTIONS = 3  # how many near misses a message names
LIKENESS = 0.6  # difflib's own threshold for a near miss
CLOUDS = ("azure", "aws", "arc")


@dataclass(frozen=True, slots=True)
class Catalog:
    """Models and node sizes by every name they answer to, lower case."""

    models: Mapping[str, Model]
    skus: Mapping[tuple[str, str], Sku]
    """Each once, by cloud and the name that the cloud gives it today."""
    sku_aliases: Mapping[tuple[str, str], Sku] = field(default_factory=dict)
    """By cloud and another name."""
    products: Mapping[str, Product] = field(default_factory=dict)
    """What the GPUs of node sizes are, by the name that `Gpus.product` gives."""
    strangers: frozenset[str] = frozenset()
    """Names of models that were added to the catalogue that comes with KAITO."""

    def find_model(self, name: str) -> Model | None:
        """The model of this name or alias."""
        return self.models.get(name.lower())

    def find_sku(self, name: str, *, cloud: str) -> Sku | None:
        """The node size of this name or alias in a cloud."""
        key = (cloud, name.lower())
        return self.skus.get(key) or self.sku_aliases.get(key)

    def with_model(self, model: Model) -> Catalog:
        """The same and this model, which takes its names from any that had them."""
        names = dict.fromkeys((model.name.lower(), *model.aliases), model)
        return replace(
            self, models={**self.models, **names}, strangers=self.strangers | names.keys()
        )

    @property
    def short_names(self) -> list[str]:
        """The names without an organisation that models answer to, in order."""
        return sorted(name for name in self.models if "/" not in name)

    def models_like(self, name: str) -> list[str]:
        """Names close to one that is not known, the closest first; perhaps none."""
        return _close(name, self.models)

    def skus_like(self, name: str, *, cloud: str) -> list[str]:
        """Sizes of a cloud with names close to one that is not known, the closest first."""
        known = {key[1]: sku.name for key, sku in self.skus.items() if key[0] == cloud}
        return [known[near] for near in _close(name, known)]


@functools.cache
def load() -> Catalog:
    """The catalogue that comes with KAITO, read once a process."""
    products = products_of(_read("gpus.toml"))
    return catalog(
        models=models(),
        skus=[sku for cloud in CLOUDS for sku in skus_of(_read(f"skus_{cloud}.toml"), products)],
        products=products,
    )


def catalog(
    *, models: Iterable[Model], skus: Iterable[Sku], products: Mapping[str, Product] | None = None
) -> Catalog:
    """A catalogue of these. ValueError when two models, or two sizes of a cloud, answer to one
    name."""
    by_name: dict[str, Model] = {}
    for model in models:
        for name in (model.name.lower(), *model.aliases):
            if by_name.setdefault(name, model) is not model:
                raise ValueError(f"two models are called {name}")
    sizes: dict[tuple[str, str], Sku] = {}
    other: dict[tuple[str, str], Sku] = {}
    for sku in skus:
        for name in (sku.name, *sku.aliases):
            key = (sku.cloud, name.lower())
            if key in sizes or key in other:
                raise ValueError(f"two sizes of {sku.cloud} are called {name}")
            (sizes if name == sku.name else other)[key] = sku
    return Catalog(by_name, sizes, other, products or {})


def _close(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name.lower(), known, n=SUGGESTIONS, cutoff=LIKENESS)


# Any: rows of TOML, whose fields are the dataclasses' own; a wrong one is a TypeError at load.
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("kaito.catalog").joinpath("data", name).read_text("utf-8"))
