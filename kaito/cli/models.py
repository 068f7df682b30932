"""`kaito models`: the models of the catalogue, where they run, and what is known of one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaito.catalog.capability import VLLM, objection
from kaito.catalog.catalog import Catalog, load
from kaito.catalog.estimate import Misfit
from kaito.catalog.model import Model
from kaito.catalog.offer import Offer, offer, sizes_of
from kaito.catalog.sku import Sku
from kaito.cli import model_report
from kaito.cli.facts import UNKNOWN, Json, count, dollars, gib, offer_json, tokens
from kaito.cli.naming import CLOUD, described, model_named, preset, size_named
from kaito.cli.parser import FAILED, CommandError
from kaito.cli.table import WIDTH, headed

# Those that narrow the list; NAME needs none of them.
FILTERS = (
    *("quantization", "license", "access", "architecture", "search", "max_weights", "historical"),
)
UNQUANTISED = "none"
RIGHT = ("WEIGHTS", "CONTEXT", "OF", "NODES", "$/HOUR")
MARK = "*"
GATED = (
    f"{MARK} gated: its weights need the token of somebody who accepted the licence. Of some "
    "models that is not known (-o wide)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model of the list."""

    model: Model
    offer: Offer | None
    """On the size that was asked for, or on the cheapest; None where no size does."""


def run(arguments: argparse.Namespace) -> int:
    """Print the list, or one model; 1 when it does not run on the size that was asked for."""
    catalog = load()
    size = size_named(catalog, arguments.size, arguments.cloud) if arguments.size else None
    cloud = size.cloud if size else arguments.cloud or CLOUD
    if arguments.name:
        return _one(catalog, arguments, size, cloud)
    entries = list(_entries(_chosen(catalog, arguments), catalog, size, cloud))
    if size is not None and not entries:
        raise CommandError(_none_on(size))
    if arguments.output == "json":
        print(json.dumps([_entry_json(each, size) for each in entries], indent=2))
    else:
        print("\n".join(_lines(entries, size, wide=arguments.output == "wide")))
    return 0


def _none_on(size: Sku) -> str:
    """That no model of the list runs there, why, and what to ask instead."""
    lacking = objection(VLLM, size.gpus)
    if lacking is not None:
        return (
            f"No model runs on {size.name}: {lacking} `kaito models` names the cheapest size of "
            f"each, `kaito skus --cloud {size.cloud}` lists sizes."
        )
    return (
        f"None of the models asked for runs on {size.name}: leave an option out, or see in `kaito "
        f"skus {size.name}` what does."
    )


def _one(catalog: Catalog, arguments: argparse.Namespace, size: Sku | None, cloud: str) -> int:
    given = [f"--{each.replace('_', '-')}" for each in FILTERS if getattr(arguments, each)]
    if given:
        raise CommandError(
            f"{', '.join(given)} and a NAME: leave one of them out, for a name tells one model.",
            code=2,
        )
    model = model_named(catalog, arguments.name)
    found = offer(model, size) if size else None
    misfit = found if isinstance(found, Misfit) else None
    if size is None:
        offers = list(sizes_of(model, catalog, cloud=cloud))
    else:
        offers = [found] if isinstance(found, Offer) else []
    if arguments.output == "json":
        print(json.dumps(model_report.as_json(model, offers, misfit), indent=2))
    else:
        print(model_report.text(model, offers, misfit, cloud=cloud), end="")
    return FAILED if misfit else 0


def _chosen(catalog: Catalog, arguments: argparse.Namespace) -> list[Model]:
    known = list({model.name: model for model in catalog.models.values()}.values())
    for option, values in (
        ("license", {model.license for model in known}),
        ("architecture", {model.architecture for model in known}),
        ("quantization", {UNQUANTISED, *(model.quantization for model in known)}),
    ):
        _expect(option, getattr(arguments, option), values)
    matching = [model for model in known if _matches(model, arguments)]
    chosen = [model for model in matching if arguments.historical or not model.historical]
    if chosen:
        return chosen
    more = f"--historical shows {count(len(matching), 'preset')} of earlier releases."
    raise CommandError(
        "No model matches all that is asked for. "
        + (more if matching else "Leave an option out; `kaito models` lists all.")
    )


def _expect(option: str, asked: str | None, values: set[str | None]) -> None:
    there = sorted(value for value in values if value)
    if asked is not None and asked.lower() not in {value.lower() for value in there}:
        raise CommandError(f"No model has --{option} {asked}: there are {', '.join(there)}.")


def _matches(model: Model, arguments: argparse.Namespace) -> bool:
    weights, text = arguments.max_weights, (arguments.search or "").lower()
    return (
        _is(model.license, arguments.license)
        and _is(model.access, arguments.access)
        and _is(model.architecture, arguments.architecture)
        and _is(model.quantization or UNQUANTISED, arguments.quantization)
        and (weights is None or (model.weights_gib is not None and model.weights_gib <= weights))
        and any(text in name.lower() for name in (model.name, *model.aliases))
    )


def _is(value: str | None, asked: str | None) -> bool:
    return asked is None or (value is not None and value.lower() == asked.lower())


def _entries(
    models: Sequence[Model], catalog: Catalog, size: Sku | None, cloud: str
) -> Iterator[Entry]:
    for model in models:
        if size is None:
            cheapest = next(sizes_of(model, catalog, cloud=cloud), None)
            yield Entry(model=model, offer=cheapest)
        elif isinstance(found := offer(model, size), Offer):
            yield Entry(model=model, offer=found)


def _lines(entries: Sequence[Entry], size: Sku | None, *, wide: bool) -> Iterator[str]:
    header = _SIZE_HEADER if size else _HEADER
    cells = _size_cells if size else _cells
    extra = _WIDE_HEADER if wide else ("",)
    rows = [(*cells(each), *(_wide_cells(each) if wide else _mark(each))) for each in entries]
    yield from headed((*header, *extra), rows, right=RIGHT, width=None if wide else WIDTH)
    if not wide and any(map(any, map(_mark, entries))):
        yield from ("", *model_report.wrapped(GATED))


_HEADER = ("NAME", "WEIGHTS", "CONTEXT", "CHEAPEST SIZE", "$/HOUR")
_SIZE_HEADER = ("NAME", "WEIGHTS", "NODES", "CONTEXT", "OF", "DTYPE", "$/HOUR")
_WIDE_HEADER = ("LICENCE", "ACCESS", "QUANTIZATION", "ARCHITECTURE", "GPUS", "REGION", "LISTED")


def _cells(each: Entry) -> tuple[str, ...]:
    model, found = each.model, each.offer
    return (
        preset(model),
        gib(model.weights_gib),
        tokens(model.context),
        found.sku.name if found else UNKNOWN,
        dollars(found.usd_per_hour if found else None),
    )


def _size_cells(each: Entry) -> tuple[str, ...]:
    model, found = each.model, each.offer
    assert found is not None
    return (
        preset(model),
        gib(model.weights_gib),
        str(found.estimate.nodes),
        tokens(found.estimate.max_context),
        tokens(model.context),
        found.estimate.precision.dtype,
        dollars(found.usd_per_hour),
    )


def _wide_cells(each: Entry) -> tuple[str, ...]:
    model, sku = each.model, each.offer.sku if each.offer else None
    price = sku.price if sku else None
    return (
        model.license or UNKNOWN,
        model.access or UNKNOWN,
        model.quantization or UNQUANTISED,
        model.architecture or UNKNOWN,
        described(sku.gpus) if sku else UNKNOWN,
        price.region if price else UNKNOWN,
        str(price.date) if price else UNKNOWN,
    )


def _mark(each: Entry) -> tuple[str]:
    return (MARK if each.model.access == "gated" else "",)


def _entry_json(each: Entry, size: Sku | None) -> dict[str, Json]:
    where = "onSize" if size else "cheapest"
    return {
        **model_report.facts(each.model),
        where: offer_json(each.offer) if each.offer else None,
    }
