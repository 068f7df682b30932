"""The tables of docs/estimator.md that are about tuning: published figures, and what fits where."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kaito.catalog.catalog import Catalog
from kaito.catalog.footprint import footprint
from kaito.catalog.memory import GIB
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus
from kaito.catalog.training import Training
from kaito.catalog.tuning import attempted, tunable, tuning_sizes

PUBLISHED = Path(__file__).parent.parent / "test" / "unit" / "catalog" / "trainings.toml"
A100 = Gpus(product="NVIDIA A100", count=1, memory_gib=80, compute_capability=8.0)
METHODS = (Training(), Training(method="qlora", bits=4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One training that somebody told of."""

    model: Model
    training: Training
    gigabytes: float
    """Of one A100, 10^9 bytes, with LoRA."""
    seconds: float
    """Of eight examples, with LoRA."""
    quantized: float
    """Of eight examples, with QLoRA."""
    source: str

    @property
    def ours(self) -> float:
        """Our account, 10^9 bytes."""
        found = footprint(self.model, A100, self.training)
        assert found is not None
        return found.needed * GIB / 1e9

    @property
    def error(self) -> float:
        """How much more ours says, as a share."""
        return self.ours / self.gigabytes - 1


def published() -> Iterator[Row]:
    """All of trainings.toml."""
    # Any: rows of TOML.
    data: dict[str, Any] = tomllib.loads(PUBLISHED.read_text("utf-8"))
    for row in data["models"]:
        told = {name: row.pop(name) for name in ("gigabytes", "seconds", "quantized")}
        model = Model(
            **row,
            # Its layers have the same matrices under other names.
            architecture="LlamaForCausalLM",
            kv_heads=row["heads"],
            head_dim=row["hidden"] // row["heads"],
        )
        for place, tokens in enumerate(data["tokens"]):
            yield Row(
                model=model,
                training=Training(rank=64, length=tokens, whole_logits=True),
                source=data["source"],
                **{name: values[place] for name, values in told.items()},
            )


def trainings() -> str:
    """The comparison with published figures, as a table in Markdown."""
    lines = [
        "| model | tokens | published | ours | difference |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += (
        f"| {row.model.name} | {row.training.length:,} | [{row.gigabytes:.1f}]({row.source}) "
        f"| {row.ours:.1f} | {row.error:+.0%} |"
        for row in published()
    )
    return "\n".join(lines)


def tunables(catalog: Catalog) -> str:
    """What can be tuned, what that takes of a GPU as the templates have it, and the cheapest size
    of Azure that does, as a table in Markdown."""
    lines = [
        "| preset | trained | lora | cheapest size | qlora | cheapest size |",
        "| --- | ---: | ---: | --- | ---: | --- |",
    ]
    for model in tunable(catalog):
        cells = [model.aliases[0] if model.aliases else model.name]
        for training in METHODS:
            found = attempted(model, A100, training)
            if training.bits == 16:
                cells.append(f"{found.parameters / 1e6:,.1f} M" if found.parameters else "?")
            cells.append(f"{found.footprint.needed:.1f}" if found.footprint else "?")
            offers = tuning_sizes(model, catalog, training, cloud="azure")
            cells += [each.sku.name for each in islice(offers, 1)] or ["none"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
