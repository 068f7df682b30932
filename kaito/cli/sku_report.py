"""One node size as people read it, at 80 columns, and as scripts do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kaito.catalog.capability import ENGINES, VLLM, EngineNeeds, caveat, objection
from kaito.catalog.gpu import Product
from kaito.catalog.offer import Offer
from kaito.catalog.replacement import ARCHITECTURE
from kaito.catalog.sku import Gpus, Sku
from kaito.cli.facts import Json, count, fields_of, gib, json_of, offer_json, tokens
from kaito.cli.naming import preset
from kaito.cli.table import block, labelled

LARGEST = 10  # models that are named


def text(sku: Sku, product: Product, offers: Sequence[Offer]) -> str:
    """Everything; the offers are the models that run there, the largest first."""
    return "\n".join(_lines(sku, product, offers)) + "\n"


def _lines(sku: Sku, product: Product, offers: Sequence[Offer]) -> Iterator[str]:
    gpus = sku.gpus
    yield f"{sku.name} of {sku.cloud}"
    yield from labelled("GPUs", _gpus(gpus))
    yield from labelled("Data types", ", ".join(gpus.dtypes or ("not known",)))
    if gpus.slices:
        yield from labelled("Slices", ", ".join(gpus.slices))
    yield from labelled("Node", _node(sku))
    yield from labelled("Price", _price(sku))
    if sku.retired is not None:
        yield from labelled("Retired", f"{sku.cloud} offers it no more from {sku.retired} on")
    for label, engine in zip(("Engines", ""), ENGINES.values(), strict=False):
        for place, line in enumerate(_engine(engine, gpus)):
            yield from labelled(label if place == 0 else "", line)
    yield from _models(sku, offers)
    yield from labelled("Source", f"{sku.source}; of {sku.date}")
    yield from labelled("", f"GPUs: {product.source}; of {product.date}")
    if sku.price is not None:
        yield from labelled("", f"Price: {sku.price.source}; of {sku.price.date}")
    unknown = "; ".join(filter(None, (sku.unknown, product.unknown)))
    if unknown:
        yield from labelled("Not known", unknown)


def _gpus(gpus: Gpus) -> str:
    capability = gpus.compute_capability
    known = "not known" if capability is None else f"{capability:.1f}"
    each = f", {gpus.each_gib:g} GiB each" if gpus.count > 1 and gpus.memory_gib else ""
    return f"{gpus}{each}, compute capability {known}"


def _node(sku: Sku) -> str:
    disks = f"{sku.nvme_gib:,} GiB of NVMe" if sku.nvme else "no NVMe"
    processors: str = sku.architecture
    if processors != ARCHITECTURE:
        processors += f", so that KAITO brings none up: it asks for {ARCHITECTURE}"
    return f"{sku.vcpus} vCPUs, {sku.ram_gib:,} GiB of memory, {disks}, {processors}"


def _price(sku: Sku) -> str:
    price = sku.price
    if price is None:
        return "not known"
    return f"${price.usd_per_hour:,.2f} an hour ({price.region} list price of {price.date})"


def _engine(engine: EngineNeeds, gpus: Gpus) -> Iterator[str]:
    whole = objection(engine, gpus)
    if whole is not None:
        yield whole
        return
    methods = engine.quantizations
    refused = [each for each in methods if objection(engine, gpus, quantization=each)]
    widened = [
        each for each in methods if each not in refused and caveat(engine, gpus, quantization=each)
    ]
    yield f"{engine} runs."
    for dtype in engine.dtypes:
        lacking = objection(engine, gpus, dtype=dtype)
        if lacking is not None:
            yield lacking
    if refused:
        yield f"It cannot read weights in {', '.join(refused)}."
    if widened:
        yield f"It widens to 16 bits, to compute with them, weights in {', '.join(widened)}."


def _models(sku: Sku, offers: Sequence[Offer]) -> Iterator[str]:
    more = ""
    if objection(VLLM, sku.gpus) is None:
        more = f"; more on several nodes or with reservations: `kaito models --size {sku.name}`"
    number = count(len(offers), "model") if offers else "none"
    sentence = f"{number} on one node with nothing to be said against it{more}"
    yield from labelled("Runs", sentence)
    rows = [
        (preset(each.model), gib(each.model.weights_gib), tokens(each.estimate.max_context))
        for each in offers[:LARGEST]
    ]
    if rows:
        yield from block("Largest", [("", "weights", "context"), *rows], right=(1, 2))


def facts(sku: Sku) -> dict[str, Json]:
    """Every field, and what follows from them; null for what is not known."""
    gpus = sku.gpus
    return {
        **fields_of(sku),
        "gpus": {
            **fields_of(gpus),
            "memoryGiB": gpus.memory_gib or None,
            "eachGiB": gpus.each_gib or None,
            "dtypes": json_of(gpus.dtypes),
            "slices": [*gpus.slices],
        },
    }


def as_json(sku: Sku, product: Product, offers: Sequence[Offer]) -> dict[str, Json]:
    """The facts, the GPU as its maker sells it, what the engines say, and the models that run."""
    return {
        **facts(sku),
        "product": fields_of(product),
        "engines": [_engine_json(name, each, sku.gpus) for name, each in ENGINES.items()],
        "models": [offer_json(each) for each in offers],
    }


def _engine_json(name: str, engine: EngineNeeds, gpus: Gpus) -> dict[str, Json]:
    return {
        "name": name,
        "version": engine.version,
        "objection": objection(engine, gpus),
        "dtypes": {each: objection(engine, gpus, dtype=each) for each in engine.dtypes},
        "quantizations": {
            each: {
                "objection": objection(engine, gpus, quantization=each),
                "caveat": caveat(engine, gpus, quantization=each),
            }
            for each in engine.quantizations
        },
    }
