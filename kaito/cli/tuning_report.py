"""What `kaito plan` says of a training, as people read it and as scripts do."""

from __future__ import annotations

from collections.abc import Iterator

from kaito.catalog.footprint import Footprint
from kaito.catalog.throughput import MILLION, SOURCE, Speed
from kaito.catalog.training import Training
from kaito.catalog.tuning import Tuning
from kaito.cli.ranges import HOUR, as_seconds, spell
from kaito.cli.table import labelled
from kaito.controllers.workspace.quote import Cost
from kaito.runtime import Object


def lines(tuned: Tuning) -> Iterator[str]:
    """How it is trained and what that takes."""
    yield from labelled("Trains", _how(tuned.training, tuned.parameters))
    gpus = "1 GPU" if tuned.processes == 1 else f"each of {tuned.processes} GPUs of one node"
    tokens = f"{tuned.training.batch} x {tuned.training.length:,} tokens"
    yield from labelled("Step", f"{tokens} on {gpus}")
    if tuned.footprint is None:
        yield from labelled("Memory", "not known: the model's shape or the GPUs' memory is not")
    else:
        yield from labelled("Memory", _memory(tuned.footprint))
    yield from labelled(
        "Disk", f"{tuned.disk_gib} GiB: weights, image, data, and what it is turned into"
    )


def course(speed: Speed | None, cost: Cost | None, tokens: int | None) -> Iterator[str]:
    """How long it takes and what that costs: so many tokens, or each million."""
    if speed is None:
        yield from labelled("Takes", "an unknown time: the speed of these GPUs is not known")
        return
    wanted = tokens or MILLION
    taken = speed.seconds(wanted)
    said = f"{spell(taken)} for {f'{wanted:,}' if tokens else 'each million'} tokens"
    if cost is not None:
        low, high = (seconds / HOUR * cost.hour for seconds in (taken.low, taken.high))
        said += f", ${low:,.2f}-{high:,.2f}"
    if tokens is None:
        said += "; with --tokens N, for all that are trained on in all epochs"
    yield from labelled("Takes", f"{said} ({speed.slow:,.0f}-{speed.fast:,.0f} tokens a second)")
    yield from labelled("", SOURCE)


def as_json(tuned: Tuning, speed: Speed | None, cost: Cost | None, tokens: int | None) -> Object:
    """The same for scripts; figures that are not known are null."""
    training, memory = tuned.training, tuned.footprint
    taken = speed.seconds(tokens) if speed and tokens else None
    return {
        "method": training.method,
        "bits": training.bits,
        "rank": training.rank,
        "targets": list(training.targets),
        "parameters": tuned.parameters,
        "batch": training.batch,
        "length": training.length,
        "checkpointing": training.checkpointing,
        "optimizer": training.optimizer,
        "processes": tuned.processes,
        "memoryGiBPerGPU": None if memory is None else _memory_json(memory),
        "diskGiB": tuned.disk_gib,
        "tokensPerSecond": None
        if speed is None
        else {"low": round(speed.slow), "high": round(speed.fast)},
        "secondsPerMillionTokens": as_seconds(speed.seconds(MILLION)) if speed else None,
        "tokens": tokens,
        "seconds": as_seconds(taken),
        "usd": None
        if taken is None or cost is None
        else {
            "low": round(taken.low / HOUR * cost.hour, 2),
            "high": round(taken.high / HOUR * cost.hour, 2),
        },
    }


def _how(training: Training, parameters: int) -> str:
    bits = "16 bits" if training.bits == 16 else f"{training.bits} bits, frozen"
    targets = "all projections" if "all-linear" in training.targets else ", ".join(training.targets)
    again = "computed twice" if training.checkpointing else "kept"
    return (
        f"{parameters:,} numbers, a LoRA of rank {training.rank} for {targets}; weights in {bits}; "
        f"activations are {again}"
    )


def _memory(found: Footprint) -> str:
    parts = {
        "weights": found.weights,
        "adapter, its gradients and optimizer": found.adapter + found.gradients + found.optimizer,
        "activations": found.activations,
        "logits": found.logits,
        "outside": found.outside,
    }
    told = ", ".join(f"{gib:.1f} {what}" for what, gib in parts.items())
    return f"{found.needed:.1f} of {found.usable:.1f} GiB of each GPU: {told}"


def _memory_json(found: Footprint) -> Object:
    return {
        "usable": round(found.usable, 2),
        "needed": round(found.needed, 2),
        "weights": round(found.weights, 2),
        "adapter": round(found.adapter, 2),
        "gradients": round(found.gradients, 2),
        "optimizer": round(found.optimizer, 2),
        "activations": round(found.activations, 2),
        "logits": round(found.logits, 2),
        "outside": round(found.outside, 2),
    }
