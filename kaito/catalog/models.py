"""The models that come with KAITO: the data files of kaito/catalog/data/models, a file a family.

A file has a source and a date that hold for all its rows, and under `unknown` the reasons why rows
lack a figure. A row has fields of Model; its own source is added to the file's, its own reasons
win. What follows from other figures stands in no row: disk, kind of attention, size of the cache,
number of parameters where the weights are not quantised, parsers and chat template.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib import resources
from typing import Any

from kaito.catalog.cache import Cache
from kaito.catalog.engine import engine
from kaito.catalog.huggingface import parameters_b
from kaito.catalog.model import Model


def models() -> list[Model]:
    """All of them, family by family. Reads files of the package and nothing else."""
    folder = resources.files("kaito.catalog").joinpath("data", "models")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    tables = [tomllib.loads(file.read_text("utf-8")) for file in files]
    return [_model(row, table) for table in tables for row in table["models"]]


# Any: rows of TOML, whose fields are Model's own; a wrong one is a TypeError at load.
def _model(row: dict[str, Any], table: dict[str, Any]) -> Model:
    reasons: dict[str, str] = row.pop("unknown", {})
    model = Model(
        **{
            **row,
            "aliases": tuple(row.get("aliases", ())),
            "caches": tuple(Cache(**group) for group in row.get("caches", ())),
            "source": "; ".join(filter(None, (table["source"], row.get("source")))),
            "date": table["date"],
        }
    )
    if model.parameters_b is None and model.weights_gib is not None:
        model = replace(model, parameters_b=parameters_b(model.weights_gib, model.dtype))
    if not model.historical:  # the engine of their days knew no parsers
        model = replace(
            model,
            tool_parser=engine().tool.of(model.name, model.architecture),
            reasoning_parser=engine().reasoning.of(model.name, model.architecture),
            chat_template=engine().chat_template.of(model.name, model.architecture),
        )
    general = {fact: table["unknown"][fact] for fact in model.missing if fact not in reasons}
    told = "; ".join(f"{fact}: {reason}" for fact, reason in {**general, **reasons}.items())
    return replace(model, unknown=told or None)
