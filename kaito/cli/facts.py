"""Values of the catalogue for scripts and for people: JSON, and the words for figures."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

from kaito.catalog.offer import Offer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# What JSON can hold.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

UNKNOWN = "-"
KIB = 1024


def json_of(value: object) -> Json:
    """The value with every field of its own, null for None; TypeError for what is no value."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime.date() | Fraction():
            return str(value)
        case Mapping():
            return {str(key): json_of(each) for key, each in value.items()}
        case list() | tuple():
            return [json_of(each) for each in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return fields_of(value)
    raise TypeError(f"{type(value).__name__} is no value")


def fields_of(value: DataclassInstance) -> dict[str, Json]:
    """The fields of a dataclass, named as JSON names them."""
    return {
        camel(field.name): json_of(getattr(value, field.name))
        for field in dataclasses.fields(value)
    }


def camel(name: str) -> str:
    """weights_gib as weightsGiB."""
    first, *rest = name.split("_")
    return first + "".join("GiB" if word == "gib" else word.capitalize() for word in rest)


def offer_json(found: Offer) -> dict[str, Json]:
    """A model on a size."""
    price = found.sku.price
    return {
        "model": found.model.name,
        "cloud": found.sku.cloud,
        "size": found.sku.name,
        "nodes": found.estimate.nodes,
        "dataParallel": found.estimate.data_parallel,
        "tensorParallel": found.estimate.tensor_parallel,
        "pipelineParallel": found.estimate.pipeline_parallel,
        "dtype": found.estimate.precision.dtype,
        "maxContext": found.estimate.max_context,
        "usdPerHour": None if found.usd_per_hour is None else round(found.usd_per_hour, 4),
        "region": price.region if price else None,
        "priceDate": str(price.date) if price else None,
        "problems": [*found.estimate.problems],
        "advice": [*found.estimate.advice],
    }


def gib(amount: float | None) -> str:
    """14.96 as 15.0Gi; from 100 on without a fraction."""
    if amount is None:
        return UNKNOWN
    return f"{amount:.0f}Gi" if amount >= 100 else f"{amount:.1f}Gi"


def size(amount: float) -> str:
    """Bytes as KiB, MiB or GiB, with three figures."""
    exact = amount / KIB
    for unit in ("KiB", "MiB"):
        if exact < 1000:
            return f"{exact:.3g} {unit}"
        exact /= KIB
    return f"{exact:,.3g} GiB" if exact < 1000 else f"{exact:,.0f} GiB"


def tokens(count: int | None) -> str:
    """131,072 as 128K and 1,048,576 as 1M; other figures as they are."""
    if count is None:
        return UNKNOWN
    for unit, size in (("M", KIB**2), ("K", KIB)):
        if count and count % size == 0:
            return f"{count // size}{unit}"
    return f"{count:,}"


def dollars(amount: float | None) -> str:
    """US dollars to the cent."""
    return UNKNOWN if amount is None else f"{amount:,.2f}"


def count(number: int, noun: str) -> str:
    """1 GPU, 2 GPUs."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
