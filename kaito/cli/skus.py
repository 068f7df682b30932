"""`kaito skus`: the node sizes of the catalogue, and what is known of one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaito.catalog.catalog import Catalog, load
from kaito.catalog.offer import Offer, alone, models_on
from kaito.catalog.replacement import ARCHITECTURE, cheapness
from kaito.catalog.sku import Gpus, Sku
from kaito.cli import sku_report
from kaito.cli.facts import UNKNOWN, Json, count, dollars, offer_json, tokens
from kaito.cli.naming import CLOUD, described, model_named, short, size_named
from kaito.cli.parser import CommandError
from kaito.cli.selection import DTYPES
from kaito.cli.table import WIDTH, headed

FILTERS = ("gpu", "count", "min_memory", "max_price", "dtype", "model", "retired")
RIGHT = ("MEMORY", "$/HOUR", "COMPUTE", "CONTEXT", "VCPUS", "RAM", "NVME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A size of the list."""

    sku: Sku
    offer: Offer | None
    """The model that was asked for there; None where none was."""


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one size."""
    catalog = load()
    if arguments.name:
        _one(catalog, arguments)
        return 0
    entries = _entries(catalog, arguments)
    if arguments.output == "json":
        print(json.dumps([_entry_json(each) for each in entries], indent=2))
    else:
        wide = arguments.output == "wide"
        print("\n".join(_lines(entries, wide=wide)))
    return 0


def _one(catalog: Catalog, arguments: argparse.Namespace) -> None:
    given = [f"--{each.replace('_', '-')}" for each in FILTERS if getattr(arguments, each)]
    if given:
        raise CommandError(
            f"{', '.join(given)} and a NAME: leave one of them out, for a name tells one size.",
            code=2,
        )
    sku = size_named(catalog, arguments.name, arguments.cloud)
    product = catalog.products[sku.gpus.product]
    offers = models_on(sku, catalog)
    if arguments.output == "json":
        print(json.dumps(sku_report.as_json(sku, product, offers), indent=2))
    else:
        print(sku_report.text(sku, product, offers), end="")


def _entries(catalog: Catalog, arguments: argparse.Namespace) -> list[Entry]:
    cloud = arguments.cloud or CLOUD
    model = model_named(catalog, arguments.model) if arguments.model else None
    there = sorted((sku for sku in catalog.skus.values() if sku.cloud == cloud), key=cheapness)
    if arguments.gpu and not any(_has(sku.gpus, arguments.gpu) for sku in there):
        kinds = ", ".join(sorted({short(sku.gpus.product) for sku in there}))
        raise CommandError(f"No size of {cloud} has --gpu {arguments.gpu}: there are {kinds}.")
    matching = [sku for sku in there if _matches(sku, arguments)]
    offered = [sku for sku in matching if arguments.retired or sku.retired is None]
    entries = [Entry(sku=sku, offer=alone(model, sku) if model else None) for sku in offered]
    entries = [each for each in entries if model is None or each.offer is not None]
    if entries:
        return entries
    if offered and model is not None:
        said = f"{model.name} runs on one node of none of them: `kaito models {arguments.model}`"
        raise CommandError(f"{count(len(offered), 'size')} of {cloud} matched, but {said}.")
    more = f"--retired shows {count(len(matching), 'size')} that {cloud} offers no more."
    raise CommandError(
        f"No size of {cloud} matches all that is asked for. "
        + (more if matching else f"Leave an option out; `kaito skus --cloud {cloud}` lists all.")
    )


def _matches(sku: Sku, asked: argparse.Namespace) -> bool:
    gpus, price = sku.gpus, sku.price
    return (
        (asked.gpu is None or _has(gpus, asked.gpu))
        and (asked.count is None or gpus.count == asked.count)
        and (asked.min_memory is None or gpus.memory_gib >= asked.min_memory)
        and (
            asked.max_price is None or (price is not None and price.usd_per_hour <= asked.max_price)
        )
        and (asked.dtype is None or DTYPES[asked.dtype] in (gpus.dtypes or ()))
    )


def _has(gpus: Gpus, words: str) -> bool:
    return set(words.lower().split()) <= set(gpus.product.lower().split())


_HEADER = ("NAME", "GPUS", "MEMORY", "$/HOUR", "COMPUTE")
_WIDE_HEADER = ("VCPUS", "RAM", "NVME", "REGION", "LISTED", "DTYPES")


def _lines(entries: Sequence[Entry], *, wide: bool) -> Iterator[str]:
    header = (*_HEADER, "CONTEXT", *(_WIDE_HEADER if wide else ()), "NOTE")
    rows = [
        (
            *_cells(each.sku),
            _context(each),
            *(_wide_cells(each.sku) if wide else ()),
            _note(each.sku),
        )
        for each in entries
    ]
    return headed(header, rows, right=RIGHT, width=None if wide else WIDTH)


def _cells(sku: Sku) -> tuple[str, ...]:
    capability = sku.gpus.compute_capability
    return (
        sku.name,
        described(sku.gpus),
        f"{sku.gpus.memory_gib:g}Gi" if sku.gpus.memory_gib else UNKNOWN,
        dollars(sku.price.usd_per_hour if sku.price else None),
        UNKNOWN if capability is None else f"{capability:.1f}",
    )


def _context(each: Entry) -> str:
    return tokens(each.offer.estimate.max_context) if each.offer else ""


def _wide_cells(sku: Sku) -> tuple[str, ...]:
    return (
        str(sku.vcpus),
        f"{sku.ram_gib}Gi",
        f"{sku.nvme_gib}Gi",
        sku.price.region if sku.price else UNKNOWN,
        str(sku.price.date) if sku.price else UNKNOWN,
        ",".join(sku.gpus.dtypes or (UNKNOWN,)),
    )


def _note(sku: Sku) -> str:
    if sku.retired is not None:
        return f"retired {sku.retired}"
    return "" if sku.architecture == ARCHITECTURE else sku.architecture


def _entry_json(each: Entry) -> dict[str, Json]:
    asked: dict[str, Json] = {"onSize": offer_json(each.offer)} if each.offer else {}
    return {**sku_report.facts(each.sku), **asked}
