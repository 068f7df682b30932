"""Writes the estimates of the catalogue, and how they compare with published logs and upstream.

`python -m hack.estimates` from the root; `git diff` after it shows what a change of the arithmetic
or of the catalogue does to whom.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.trainings import trainings, tunables
from kaito.catalog.cache import Cache
from kaito.catalog.catalog import Catalog, load
from kaito.catalog.estimate import (
    BASE_OVERHEAD,
    UTILIZATION,
    WEIGHT_EXPANSION,
    WEIGHT_OVERHEAD,
    Misfit,
    estimate,
)
from kaito.catalog.memory import GIB, Memory, memory, serving
from kaito.catalog.model import Model
from kaito.catalog.parallel import Split
from kaito.catalog.sku import Gpus, Sku

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "test" / "unit" / "catalog" / "estimates.txt"
LOGS = ROOT / "test" / "unit" / "catalog" / "measurements.toml"
DOCS = ROOT / "docs" / "estimator.md"
# What each table in DOCS stands between.
MEASUREMENTS, DIFFERENCES = "<!-- measurements -->", "<!-- differences -->"
TRAININGS, TUNABLES = "<!-- trainings -->", "<!-- tunables -->"
END = "<!-- end -->"

SIZES = (
    ("azure", "Standard_NC4as_T4_v3"),
    ("azure", "Standard_NC6s_v3"),
    ("azure", "Standard_NV36ads_A10_v5"),
    ("azure", "Standard_NC24ads_A100_v4"),
    ("azure", "Standard_NC96ads_A100_v4"),
    ("azure", "Standard_NC40ads_H100_v5"),
    ("azure", "Standard_ND96isr_H100_v5"),
    ("azure", "Standard_ND96isr_H200_v5"),
    ("aws", "g6.12xlarge"),
    ("aws", "g5.48xlarge"),
)
SHOWN_NODES = 8  # more say that nobody would do that
REQUEST = 8192  # tokens
SHORT = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}

# Where our account and upstream's differ most, one size for each reason.
APART = (
    (
        "layers that remember little",
        "nvidia/Nemotron-Cascade-2-30B-A3B",
        "azure",
        "Standard_NC24ads_A100_v4",
    ),
    ("no bfloat16", "google/gemma-3-4b-it", "azure", "Standard_NC4as_T4_v3"),
    ("memory that is not there", "meta-llama/Llama-3.3-70B-Instruct", "aws", "g5.48xlarge"),
    ("heads that do not divide", "Qwen/Qwen2.5-Coder-7B-Instruct", "aws", "g5.48xlarge"),
    (
        "stages that are not alike",
        "mistralai/Mistral-Small-4-119B-2603",
        "azure",
        "Standard_NV36ads_A10_v5",
    ),
)

HEAD = f"""\
Estimates of all models of the catalogue on the main node sizes. Regenerate: make manifests

nodes     upstream's arithmetic, for 2,048 tokens of context
split     copies x GPUs that share each layer x pipeline stages
weights   GiB of each GPU in the tightest stage; engine: activations, CUDA graphs and the rest
cache     GiB of each GPU that are left for requests
context   the longest request that fits, tokens; ALL is the longest that the model was made for
requests  of {REQUEST:,} tokens at once, or of the longest that the model was made for, all copies
-         not known, or more than {SHOWN_NODES} nodes
"""
COLUMNS = "  ".join(
    (
        f"{'model':<49}",
        "nodes",
        f"{'split':<6}",
        "type",
        "weights",
        "engine",
        " cache",
        "  context",
        "requests",
    )
)


def golden(catalog: Catalog) -> str:
    """The estimates of every model on each of SIZES, as text."""
    models = sorted({m.name: m for m in catalog.models.values()}.values(), key=_order)
    return "\n".join([HEAD, *(_section(catalog, *size, models) for size in SIZES)])


def measurements() -> str:
    """The comparison with published logs, as a table in Markdown."""
    lines = [
        "| model | GPUs | split | what | published | ours | difference |",
        "| --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows():
        form = ",.0f" if row.what in ("tokens", "context") else ".2f"
        lines.append(
            f"| {row.model} | {row.gpus} | {row.split} | {row.what} "
            f"| [{row.published:{form}}]({row.source}) | {row.ours:{form}} | {row.error:+.0%} |"
        )
    return "\n".join(lines)


def differences(catalog: Catalog) -> str:
    """Tokens that fit at once, as upstream reckons and as we do, as a table in Markdown."""
    lines = [
        "| reason | model and size | upstream's split | ours | upstream's tokens | ours |",
        "| --- | --- | --- | --- | ---: | ---: |",
    ]
    for reason, name, cloud, size in APART:
        model, sku = catalog.find_model(name), catalog.find_sku(size, cloud=cloud)
        assert model is not None, name
        assert sku is not None, size
        found = estimate(model, sku.gpus)
        assert not isinstance(found, Misfit), name
        assert found.memory is not None, name
        theirs = _upstream_split(model, sku.gpus, found.nodes)
        ours = max(0.0, _figures(found.memory)["tokens"]) * found.data_parallel
        tokens = _upstream_tokens(model, sku.gpus, found.nodes, theirs)
        lines.append(
            f"| {reason} | {name} on {size} | {theirs} | {found.split} | {tokens:,.0f} "
            f"| {ours:,.0f} |"
        )
    return "\n".join(lines)


def _upstream_split(model: Model, gpus: Gpus, nodes: int) -> Split:
    """kaito.md 3.6."""
    small = (model.weights_gib or 0.0) < gpus.each_gib / 2
    if nodes == 1 and gpus.count > 1 and small:
        return Split(data_parallel=gpus.count)
    return Split(tensor_parallel=gpus.count, pipeline_parallel=nodes)


def _upstream_tokens(model: Model, gpus: Gpus, nodes: int, split: Split) -> float:
    """The second half of upstream's worked example (website/docs/memory-estimator.md)."""
    shared = split.tensor_parallel * split.pipeline_parallel
    weights = (model.weights_gib or 0.0) * WEIGHT_EXPANSION / shared
    left = gpus.each_gib * UTILIZATION - weights * (1 + WEIGHT_OVERHEAD) - BASE_OVERHEAD
    parts = nodes if model.kv_lora_rank is not None else shared
    return left * GIB * parts * split.data_parallel / (model.kv_bytes_per_token or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure that somebody published beside ours."""

    model: str
    gpus: str
    split: Split
    what: str
    published: float
    ours: float
    source: str

    @property
    def error(self) -> float:
        """Of ours, as a share of what was published."""
        return self.ours / self.published - 1


def rows() -> Iterator[Row]:
    """Every published figure."""
    data = tomllib.loads(LOGS.read_text("utf-8"))
    for log in data["logs"]:
        gpus = Gpus(**data["gpus"][log["gpus"]])
        data_parallel, tensor, pipeline = log.get("split", (1, 1, 1))
        spread = Split(
            data_parallel=data_parallel, tensor_parallel=tensor, pipeline_parallel=pipeline
        )
        model = _model(log["model"], data["models"][log["model"]])
        how = serving(model, gpus, utilization=log.get("utilization"))
        account = memory(model, gpus, spread, how)
        assert account is not None
        for what, ours in _figures(account).items():
            if what in log:
                yield Row(
                    model=model.name,
                    gpus=f"{gpus.product.removeprefix('NVIDIA ')}, {gpus.each_gib:g} GiB",
                    split=spread,
                    what=what,
                    published=log[what],
                    ours=ours,
                    source=data["sources"][log["source"]],
                )


def main() -> None:
    catalog = load()
    GOLDEN.write_text(golden(catalog))
    DOCS.write_text(documented(catalog, DOCS.read_text("utf-8")))


def documented(catalog: Catalog, text: str) -> str:
    """The page with its tables as they should be."""
    tables = (
        (MEASUREMENTS, measurements()),
        (DIFFERENCES, differences(catalog)),
        (TRAININGS, trainings()),
        (TUNABLES, tunables(catalog)),
    )
    for begin, table in tables:
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{table}\n{END}{rest.partition(END)[2]}"
    return text


def _figures(account: Memory) -> dict[str, float]:
    first, longest = account.stages[0], account.model.context or 0
    requests = min(
        stage.cache * GIB / account.stage_bytes(index, longest)
        for index, stage in enumerate(account.stages)
    )
    return {
        "weights": first.weights,
        "activations": first.activations,
        # The engine of these logs did not set graphs aside.
        "cache": first.cache + first.graphs,
        "tokens": requests * longest,
        "context": account.max_context or 0,
    }


# Any: a row of TOML, whose fields are the dataclasses' own.
def _model(name: str, row: dict[str, Any]) -> Model:
    caches = tuple(Cache(**cache) for cache in row.get("caches", ()))
    return Model(**{**row, "name": name, "caches": caches})


def _order(model: Model) -> tuple[float, str]:
    return (model.weights_gib or 0.0, model.name.lower())


def _section(catalog: Catalog, cloud: str, name: str, models: list[Model]) -> str:
    sku = catalog.find_sku(name, cloud=cloud)
    assert sku is not None, name
    lines = [f"{sku.name}: {sku.gpus}", "", COLUMNS, *(_line(model, sku) for model in models), ""]
    return "\n".join(line.rstrip() for line in lines)


def _line(model: Model, sku: Sku) -> str:
    found = estimate(model, sku.gpus)
    name = f"{model.name:<49}"
    if isinstance(found, Misfit):
        return f"{name}  does not fit"
    if found.nodes > SHOWN_NODES:
        return f"{name}  {found.nodes:>5}  -"
    begin = f"{name}  {found.nodes:>5}  {found.split!s:<6}  {SHORT[found.precision.dtype]}"
    account = found.memory
    if account is None:
        return f"{begin}  {'-':>7}  {'-':>6}  {'-':>6}  {'-':>9}  {'-':>8}"
    tight, longest = account.tightest, account.max_context
    engine = tight.activations + tight.graphs + tight.outside
    context = "-" if longest is None else "ALL" if longest == model.context else f"{longest:,}"
    return (
        f"{begin}  {tight.weights:>7.1f}  {engine:>6.1f}  {tight.cache:>6.1f}  {context:>9}"
        f"  {account.requests(min(REQUEST, model.context or REQUEST)):>8,}"
    )


if __name__ == "__main__":
    main()
