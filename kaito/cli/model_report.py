"""One model as people read it, at 80 columns, and as scripts do."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import assert_never

from kaito.catalog.cache import Cache
from kaito.catalog.engine import engine
from kaito.catalog.estimate import Misfit
from kaito.catalog.model import KV_VALUE_BYTES, Model
from kaito.catalog.offer import Offer
from kaito.catalog.precision import cache_type
from kaito.cli.facts import (
    UNKNOWN,
    Json,
    camel,
    count,
    dollars,
    fields_of,
    json_of,
    offer_json,
    size,
)
from kaito.cli.naming import preset
from kaito.cli.table import WIDTH, block, labelled


def wrapped(words: str) -> list[str]:
    """A sentence on lines of 80 columns."""
    return textwrap.wrap(words, WIDTH, break_on_hyphens=False)


def text(model: Model, offers: Sequence[Offer], misfit: Misfit | None, *, cloud: str) -> str:
    """Everything; the offers are those of a cloud, or the one of the size that was asked for.

    `misfit` tells why there is none for that size."""
    return "\n".join(_lines(model, offers, misfit, cloud)) + "\n"


def _lines(
    model: Model, offers: Sequence[Offer], misfit: Misfit | None, cloud: str
) -> Iterator[str]:
    yield model.name
    yield from labelled("Preset", " or ".join(dict.fromkeys((preset(model), model.name))))
    if model.historical:
        yield from labelled("", "a preset of earlier releases")
    yield from labelled("Licence", f"{model.license or 'not known'}; {_access(model)}")
    yield from labelled("Weights", _weights(model))
    yield from labelled("Context", _tokens(model.context))
    yield from labelled("Shape", _shape(model))
    yield from labelled("Cache", _cache(model))
    yield from block("", [(f"- {_group(each)}",) for each in model.cache_groups or ()])
    yield from labelled("Disk", f"{model.disk} GiB of a node")
    yield from labelled("Engine", _engine(model))
    yield from labelled("Revision", model.revision or "not known")
    if misfit is not None:
        yield from labelled("Sizes", f"it does not run there: {misfit.message}")
    else:
        yield from _sizes(offers, cloud)
    yield from labelled("Source", f"{model.source}; read on {model.date}")
    if model.unknown:
        yield from labelled("Not known", model.unknown)


def _access(model: Model) -> str:
    match model.access:
        case "open":
            return "open, no token is needed"
        case "gated":
            return "gated, a token of somebody who accepted it is needed"
        case None:
            return "whether a token is needed is not known"
    assert_never(model.access)


def _weights(model: Model) -> str:
    parts = ["not known" if model.weights_gib is None else f"{model.weights_gib:g} GiB of files"]
    if model.loaded_gib is not None:
        parts.append(f"of which {model.loaded_gib:g} GiB are loaded")
    if model.quantization:
        bits = "" if model.quantization_bits is None else f", {model.quantization_bits} bits"
        parts.append(f"quantised: {model.quantization}{bits}")
    else:
        parts.append(model.dtype or "data type not known")
    if model.parameters_b is not None:
        parts.append(f"{model.parameters_b:,.6g} billion parameters")
    if model.active_parameters_b is not None:
        parts.append(f"{model.active_parameters_b:g} billion a token")
    return "; ".join(parts)


def _tokens(number: int | None) -> str:
    return "not known" if number is None else f"{number:,} tokens"


def _shape(model: Model) -> str:
    figures = {
        "layers": model.layers,
        "wide": model.hidden,
        "heads": model.heads,
        "for keys and values": model.kv_heads,
        "wide each": model.head_dim,
        "tokens of vocabulary": model.vocabulary,
    }
    known = [f"{figure:,} {what}" for what, figure in figures.items() if figure is not None]
    attention = model.attention
    return ", ".join(
        [model.architecture or "architecture not known", *known, *filter(None, [attention])]
    )


def _cache(model: Model) -> str:
    each = model.kv_bytes_per_token
    if each is None:
        return "not known"
    said = f"{size(each)} a token if every layer were alike, which decides the nodes"
    if model.context is None or model.cache_groups is None:
        return said
    kept = sum(
        group.bytes_of(model.context, value_bytes=KV_VALUE_BYTES) for group in model.cache_groups
    )
    narrow = ", of which the engine keeps half" if cache_type(model) == "fp8" else ""
    return (
        f"{said}; {size(kept)} for {model.context:,} tokens as the layers are, with values "
        f"of 16 bits{narrow}:"
    )


def _group(group: Cache) -> str:
    layers = count(group.layers, "layer")
    entry = size(group.values_per_entry * KV_VALUE_BYTES)
    match group.kind:
        case "full":
            return f"{layers}: {entry} for every token"
        case "sliding":
            return f"{layers}: {entry} for each of the last {group.window:,} tokens"
        case "latent":
            tokens = "token" if group.stride == 1 else f"{group.stride} tokens"
            last = "" if group.window is None else f" of the last {group.window:,}"
            return f"{layers}: {entry} for every {tokens}{last}, latent"
        case "state":
            return (
                f"{layers}: {size(group.layers * (group.bytes or 0))} for a request of any length"
            )
    assert_never(group.kind)


def _engine(model: Model) -> str:
    told = [
        f"tool parser {model.tool_parser or 'none'}",
        f"reasoning parser {model.reasoning_parser or 'none'}",
        f"chat template {model.chat_template or 'as the model has it'}",
    ]
    if model.mistral_format:
        told.append("weights, configuration and tokenizer in Mistral's format")
    if model.remote_code:
        told.append("runs code that comes with the weights")
    return f"vLLM {engine().version}: {', '.join(told)}"


def _sizes(offers: Sequence[Offer], cloud: str) -> Iterator[str]:
    if not offers:
        said = f"none of {cloud} runs it on one node with nothing to be said against it"
        yield from labelled("Sizes", said)
        return
    rows = [
        (
            each.sku.name,
            f"{each.estimate.nodes} x" if each.estimate.nodes > 1 else "",
            dollars(each.usd_per_hour),
            f"{each.estimate.max_context:,}" if each.estimate.max_context else UNKNOWN,
        )
        for each in offers
    ]
    header = ("", "", "$/hour", "tokens")
    yield from block("Sizes", [header, *rows], right=(2, 3))
    for each in offers if len(offers) == 1 else ():
        for line in (*each.estimate.problems, *each.estimate.advice):
            yield from labelled("Note", f"{line[:1].upper()}{line[1:]}.")


def facts(model: Model) -> dict[str, Json]:
    """Every field, and what follows from them; null for what is not known."""
    return {
        "preset": preset(model),
        **fields_of(model),
        "caches": json_of(model.cache_groups),
        "missing": [camel(fact) for fact in model.missing],
        "attention": model.attention,
        "diskGiB": model.disk,
        "kvBytesPerToken": model.kv_bytes_per_token,
    }


def as_json(model: Model, offers: Sequence[Offer], misfit: Misfit | None) -> dict[str, Json]:
    """The facts and the sizes that run it, or why the one that was asked for does not."""
    return {
        **facts(model),
        "sizes": [offer_json(each) for each in offers],
        "misfit": misfit.message if misfit else None,
    }
