"""The catalogue: every model and node size that KAITO knows, found by the names people write.

Names are compared without regard to case. Reading the data files is the only I/O, at `load`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from kaito.catalog.cache import Cache
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, Sku

SUGGESTIONS = 3  # how many near misses a message names
LIKENESS = 0.6  # difflib's own threshold for a near miss


@dataclass(frozen=True, slots=True)
class Catalog:
    """Models and node sizes by every name they answer to, lower case."""

    models: Mapping[str, Model]
    skus: Mapping[tuple[str, str], Sku]
    """By cloud and name."""

    def find_model(self, name: str) -> Model | None:
        """The model of this name or alias."""
        return self.models.get(name.lower())

    def find_sku(self, name: str, *, cloud: str) -> Sku | None:
        """The node size of this name in a cloud."""
        return self.skus.get((cloud, name.lower()))

    def models_like(self, name: str) -> list[str]:
        """Names close to one that is not known, the closest first; perhaps none."""
        return _close(name, self.models)

    def skus_like(self, name: str, *, cloud: str) -> list[str]:
        """Sizes of a cloud with names close to one that is not known, the closest first."""
        known = {key[1]: sku.name for key, sku in self.skus.items() if key[0] == cloud}
        return [known[near] for near in _close(name, known)]


def load() -> Catalog:
    """The catalogue that comes with KAITO."""
    models = _read("models.toml")
    skus = _read("skus.toml")
    return catalog(
        models=[
            *(_model(row) for row in models["models"]),
            *(_model(row, historical=True) for row in models["historical"]),
        ],
        skus=[
            _sku(row, cloud)
            for cloud, rows in skus.items()
            if isinstance(rows, list)
            for row in rows
        ],
    )


def catalog(*, models: Iterable[Model], skus: Iterable[Sku]) -> Catalog:
    """A catalogue of these. ValueError when two models answer to one name."""
    by_name: dict[str, Model] = {}
    for model in models:
        for name in (model.name.lower(), *model.aliases):
            if by_name.setdefault(name, model) is not model:
                raise ValueError(f"two models are called {name}")
    return Catalog(by_name, {(sku.cloud, sku.name.lower()): sku for sku in skus})


def _close(name: str, known: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name.lower(), known, n=SUGGESTIONS, cutoff=LIKENESS)


# Any: rows of TOML, whose fields are the dataclasses' own; a wrong one is a TypeError at load.
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("kaito.catalog").joinpath("data", name).read_text("utf-8"))


def _model(row: dict[str, Any], *, historical: bool = False) -> Model:
    row = {**row, "aliases": tuple(row.get("aliases", ()))}
    row["caches"] = tuple(Cache(**group) for group in row.get("caches", ()))
    return Model(**row, historical=historical)


def _sku(row: dict[str, Any], cloud: str) -> Sku:
    return Sku(
        name=row["name"],
        cloud=cloud,
        gpus=Gpus(
            product=row["gpu"],
            count=row["gpus"],
            memory_gib=row["memory_gib"],
            vendor=row.get("vendor", "nvidia"),
            compute_capability=row.get("compute_capability"),
        ),
        nvme=row.get("nvme", False),
        retired=row.get("retired"),
    )
