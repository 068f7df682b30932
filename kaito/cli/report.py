"""A quote as people read it, at 80 columns, and as scripts do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kaito.catalog.estimate import Estimate
from kaito.catalog.memory import Memory, Stage
from kaito.catalog.offer import Offer
from kaito.catalog.sku import Gpus
from kaito.catalog.timing import Range, total
from kaito.catalog.tuning import TuningOffer
from kaito.cli import tuning_report
from kaito.cli.answer import Answer
from kaito.cli.ranges import as_seconds, spell
from kaito.cli.table import INDENT, LABEL, block, columns, labelled
from kaito.controllers.workspace.asked import Own
from kaito.controllers.workspace.changes import Change
from kaito.controllers.workspace.needs import CLAIM, SECRET, Needed
from kaito.controllers.workspace.quote import Otherwise, Quote
from kaito.runtime import Object

MOST_PATHS = 4  # changed fields that are named


def text(answer: Answer) -> str:
    """The report of one Workspace."""
    return "\n".join(_lines(answer)) + "\n"


def _lines(answer: Answer) -> Iterator[str]:
    quote = answer.quote
    yield f"Workspace {answer.key}"
    yield from labelled("", _subject(quote))
    yield from labelled("Verdict", f"{answer.verdict}.")
    for problem in quote.problems:
        yield from labelled("Problem", problem.message)
    for warning in quote.warnings:
        yield from labelled("Warning", warning)
    if quote.now is not None:
        now = quote.now
        yield from labelled(
            "Now", f"{now['type']} {now['status']}, {now['reason']}: {now['message']}"
        )
    if quote.asked and quote.asked.own:
        yield from labelled("Taken", _own(quote.asked.own, quote.asked.gpus))
    if quote.estimate is not None:
        yield from _estimate(quote.estimate, quote)
    if quote.tuned is not None:
        yield from tuning_report.lines(quote.tuned)
    for needed in quote.needs:
        if answer.there(needed) is None:
            yield from labelled("Needs", _needed(needed))
    for waits in answer.waits:
        yield from labelled("Waits", waits)
    if quote.gap:
        yield from labelled("Gap", quote.gap)
    if quote.plan is not None:
        yield from labelled("Price", _price(quote))
        if quote.tuned is not None and quote.hindrance is None:
            yield from tuning_report.course(quote.speed, quote.cost, answer.tokens)
        if quote.otherwise:
            yield from block("Else", [_other(each) for each in quote.otherwise])
        yield from _time(answer)
        yield from block("Objects", _objects(quote, answer.changes))
    if quote.sizes:
        yield from block("Instead", [_size(each) for each in quote.sizes])
    if quote.models:
        yield from block(
            "Or" if quote.sizes else "Instead", [_model(each) for each in quote.models]
        )


def _subject(quote: Quote) -> str:
    asked = quote.asked
    if asked is None:
        return "It cannot be read."
    tuning = asked.workspace.tuning
    inference = asked.workspace.inference
    what = asked.model.name if asked.model else ""
    if inference is not None and inference.template is not None:
        what = "A Pod template of your own"
    size = asked.workspace.resource.instance_type
    where = f"on {asked.sku.name}, {asked.sku.gpus}" if asked.sku else f"on {size}" if size else ""
    if not where:
        where = "on nodes that are there"
    done = f"{tuning.method.lower() or 'lora'} of " if tuning is not None else ""
    return f"{done}{what or 'a model that is not known'} {where}"


def _own(own: Own, gpus: Gpus | None) -> str:
    facts = ", ".join(filter(None, (own.size, str(gpus) if gpus else "GPUs not known")))
    said = f"node{_s(len(own.names))} {', '.join(own.names)} ({facts})"
    if own.others:
        said += f"; {own.others} more would do, and resource.preferredNodes chooses"
    return said


def _needed(needed: Needed) -> str:
    holding = f" with the key {needed.key}" if needed.key else ""
    return f"{needed.kind} {needed.object.name}{holding} in {needed.object.namespace}"


def _estimate(found: Estimate, quote: Quote) -> Iterator[str]:
    each = " each" if found.nodes > 1 else ""
    yield from labelled(
        "Nodes",
        f"{found.nodes} node{_s(found.nodes)} with {found.gpus_per_node} "
        f"GPU{_s(found.gpus_per_node)}{each}",
    )
    split = found.split
    yield from labelled(
        "Split",
        f"{split.data_parallel} {'copies' if split.data_parallel > 1 else 'copy'}, each layer on "
        f"{split.tensor_parallel} GPU{_s(split.tensor_parallel)}, in {split.pipeline_parallel} "
        f"stage{_s(split.pipeline_parallel)}, computed in {found.precision.dtype}",
    )
    memory = found.memory
    if memory is None:
        yield from labelled("Context", "not known: the model's shape or the GPUs' memory is not")
    else:
        yield from _context(memory, quote.asked.told.context if quote.asked else None)
        yield from labelled("Memory", _memory(memory.tightest))
    told = " ".join((*quote.warnings, *(each.message for each in quote.problems)))
    for line in (*found.problems, *found.advice):
        if line not in told:
            yield from labelled("Note", f"{_begun(line, quote)}.")


def _begun(line: str, quote: Quote) -> str:
    """A sentence with its first letter as a sentence begins; names of models stay as they are."""
    model = quote.asked.model if quote.asked else None
    named = model is not None and line.startswith(model.name)
    return line if named else f"{line[:1].upper()}{line[1:]}"


def _context(memory: Memory, told: int | None) -> Iterator[str]:
    longest = memory.max_context
    if not longest:
        return
    taken = min(told or longest, longest)
    at_once = memory.requests(taken)
    room = f"room for {at_once:,} request{_s(at_once)} of that length at once"
    if told is None or told > longest:
        said = f"{longest:,} tokens of the model's {memory.model.context:,}; {room}"
    else:
        said = f"{told:,} tokens, as max-model-len of its ConfigMap says; {room}; {longest:,} fit"
    yield from labelled("Context", said)


def _memory(stage: Stage) -> str:
    parts = {
        "weights": stage.weights,
        "activations": stage.activations,
        "CUDA graphs": stage.graphs,
        "outside": stage.outside,
        "for requests": max(0.0, stage.cache),
    }
    told = ", ".join(f"{gib:.1f} {what}" for what, gib in parts.items())
    return f"{stage.usable:.1f} GiB of each GPU: {told}"


def _price(quote: Quote) -> str:
    if quote.cost is None:
        made = quote.plan is not None and quote.plan.brings_up_nodes and quote.made
        return "not known" if made else "nothing is brought up"
    cost, price = quote.cost, quote.cost.each
    # A training ends, and its node goes with it.
    month = "" if quote.tuned is not None else f", ${cost.month:,.0f} a month"
    said = (
        f"${cost.hour:,.2f} an hour{month} ({cost.nodes} x {price.region} list price of "
        f"{price.date})"
    )
    if not cost.new:
        return f"{said}, no more than today"
    return said if cost.new == cost.nodes else f"{said}, {cost.new} of the nodes new"


def _other(each: Otherwise) -> tuple[str, ...]:
    cost = "price not known"
    if each.each is not None:
        cost = f"${each.nodes * each.each.usd_per_hour:,.2f} an hour"
    return (each.size, f"{each.nodes} node{_s(each.nodes)}", cost)


def _time(answer: Answer) -> Iterator[str]:
    phases = answer.quote.phases
    label = "Ready" if answer.quote.tuned is None else "Begins"
    if answer.ready:
        yield from labelled(label, "now" if label == "Ready" else "it has ended")
        return
    if not phases:
        never = answer.quote.hindrance is not None
        yield from labelled(label, "never as it is" if never else "not known for a template")
        return
    sources = list(dict.fromkeys(phase.source for phase in phases))
    whole = total(tuple(phases))
    after = " after what it waits for" if answer.waits else ""
    yield from labelled(label, f"in {spell(whole)}{after}")
    for line in columns(
        [
            (spell(phase.seconds), phase.what, f"[{sources.index(phase.source) + 1}]")
            for phase in phases
        ]
    ):
        yield " " * (len(INDENT) + LABEL) + line
    for number, source in enumerate(sources, start=1):
        yield from labelled("", f"[{number}] {source}")


def _objects(quote: Quote, changes: Sequence[Change] | None) -> list[tuple[str, ...]]:
    if changes is None:
        return [(each["kind"], each["metadata"]["name"]) for each in quote.objects]
    return [(change.verb, change.kind, change.name, _paths(change.paths)) for change in changes]


def _paths(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:MOST_PATHS])
    return f"{shown}, ..." if len(paths) > MOST_PATHS else shown


def _size(each: Offer | TuningOffer) -> tuple[str, ...]:
    price = each.usd_per_hour
    cost = "price not known" if price is None else f"${price:,.2f} an hour"
    gpus = each.sku.gpus
    return (each.sku.name, f"{gpus.count} x {gpus.product.removeprefix('NVIDIA ')}", cost)


def _model(each: Offer) -> tuple[str, ...]:
    context = each.estimate.max_context
    return (
        each.model.aliases[0] if each.model.aliases else each.model.name,
        f"{each.model.weights_gib:g} GiB",
        f"{context:,} tokens" if context else "",
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


# Any: what JSON can hold.
def as_json(answer: Answer) -> Object:
    """The same for scripts; figures that are not known are null."""
    quote, changes = answer.quote, answer.changes
    asked, cost = quote.asked, quote.cost
    own = asked.own if asked else None
    return {
        "namespace": answer.key.namespace,
        "name": answer.key.name,
        "verdict": answer.verdict,
        "possible": quote.possible,
        "runs": quote.runs,
        "problems": [{"path": each.path, "message": each.message} for each in quote.problems],
        "warnings": list(quote.warnings),
        "now": quote.now,
        "waits": " ".join(answer.waits) or None,
        "gap": quote.gap or None,
        "secrets": [
            {"name": each.object.name, "key": each.key or None, "exists": answer.there(each)}
            for each in quote.needs
            if each.kind == SECRET
        ],
        "claims": [
            {"name": each.object.name, "exists": answer.there(each)}
            for each in quote.needs
            if each.kind == CLAIM
        ],
        "model": asked.model.name if asked and asked.model else None,
        "size": asked.sku.name if asked and asked.sku else (own.size or None) if own else None,
        "gpus": str(asked.gpus) if asked and asked.gpus else None,
        "ownNodes": [*own.names] if own else [],
        "estimate": None if quote.estimate is None else _estimate_json(quote.estimate),
        "training": None
        if quote.tuned is None
        else tuning_report.as_json(quote.tuned, quote.speed, cost, answer.tokens),
        "price": None
        if cost is None
        else {
            "nodes": cost.nodes,
            "newNodes": cost.new,
            "usdPerHour": round(cost.hour, 4),
            "usdPerMonth": round(cost.month, 2),
            "region": cost.each.region,
            "date": str(cost.each.date),
            "source": cost.each.source,
        },
        "otherSizes": [
            {
                "size": each.size,
                "nodes": each.nodes,
                "usdPerHour": None
                if each.each is None
                else round(each.nodes * each.each.usd_per_hour, 4),
            }
            for each in quote.otherwise
        ],
        "secondsToReady": as_seconds(_to_ready(answer)),
        "phases": [
            {
                "name": phase.name,
                "what": phase.what,
                "seconds": as_seconds(phase.seconds),
                "source": phase.source,
            }
            for phase in quote.phases
        ],
        "objects": list(quote.objects),
        "changes": None
        if changes is None
        else [
            {"verb": c.verb, "kind": c.kind, "name": c.name, "paths": list(c.paths)}
            for c in changes
        ],
        "sizes": [_alternative(each) for each in quote.sizes],
        "models": [_alternative(each) for each in quote.models],
    }


def _estimate_json(found: Estimate) -> Object:
    memory, longest = found.memory, found.max_context
    return {
        "nodes": found.nodes,
        "gpusPerNode": found.gpus_per_node,
        "dataParallel": found.data_parallel,
        "tensorParallel": found.tensor_parallel,
        "pipelineParallel": found.pipeline_parallel,
        "dtype": found.precision.dtype,
        "maxContext": found.max_context,
        "requestsAtMaxContext": memory.requests(longest) if memory and longest else longest,
        "memoryGiBPerGPU": None if memory is None else _memory_json(memory.tightest),
        "problems": [*found.problems],
        "advice": [*found.advice],
    }


def _to_ready(answer: Answer) -> Range | None:
    if answer.ready:
        return Range(low=0, high=0)
    return total(answer.quote.phases) if answer.quote.phases else None


def _memory_json(stage: Stage) -> Object:
    return {
        "usable": round(stage.usable, 2),
        "weights": round(stage.weights, 2),
        "activations": round(stage.activations, 2),
        "graphs": round(stage.graphs, 2),
        "outside": round(stage.outside, 2),
        "requests": round(stage.cache, 2),
    }


def _alternative(each: Offer | TuningOffer) -> Object:
    return {
        "model": each.model.name,
        "size": each.sku.name,
        "maxContext": each.estimate.max_context if isinstance(each, Offer) else None,
        "usdPerHour": None if each.usd_per_hour is None else round(each.usd_per_hour, 4),
    }
