"""What goes wrong on request: the annotations that make pods and Nodes fail, to rehearse it.

A pod is asked by its own annotations, those of the template that it was made from and those of
its namespace, in this order. A Node is asked by its annotations, or by the label of the same name
that its agent pool gave it. What cannot be read asks for nothing. This module fails nothing by
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from kaito.local.apiserver.quantity import value
from kaito.local.digits import whole
from kaito.runtime import Key, Object, Store

PREFIX = "local.kaito.sh/"
FAULT = f"{PREFIX}fault"
EXIT_CODE = f"{PREFIX}exit-code"
AFTER = f"{PREFIX}fault-after"
TIMES = f"{PREFIX}fault-times"
IMAGE_SIZE = f"{PREFIX}image-size"
START = f"{PREFIX}start"
WEIGHTS = f"{PREFIX}weights"
SLOW = 10.0  # times longer than else


class PodFault(StrEnum):
    """The ways in which a pod can fail."""

    IMAGE = "image-pull"
    """The image cannot be pulled."""
    CRASH = "crash"
    """The program ends with an exit code after it was started, and again."""
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel kills the program after it was started, and again."""
    UNREADY = "never-ready"
    """It runs and its readiness probe never succeeds."""
    SLOW = "slow"
    """Image, start and work take ten times as long."""


class NodeFault(StrEnum):
    """The ways in which a Node can fail."""

    NEVER_READY = "never-ready"
    """It joins and never becomes Ready."""
    NOT_READY = "not-ready"
    """Its kubelet says that the container runtime is down."""
    LOST = "lost"
    """Nothing is heard of its kubelet any more."""
    NO_GPU = "no-gpu"
    """No device plugin reports its GPUs; they go if they were there."""
    DISK = "disk-pressure"
    """The disk is nearly full: pods are evicted."""
    MEMORY = "memory-pressure"
    """Memory runs out: pods are evicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a pod was asked to do. `after` is in seconds from its start, `times` how many starts
    fail before it works (0: all), `start` in seconds, `image_size` and `weights` in bytes."""

    fault: PodFault | None = None
    exit_code: int = 1
    after: float = 0.0
    times: int = 0
    image_size: float | None = None
    start: float | None = None
    weights: float | None = None

    @classmethod
    def of(cls, annotations: Mapping[str, str]) -> Self:
        """Read the annotations."""
        fault = annotations.get(FAULT, "")
        code = whole(annotations.get(EXIT_CODE, "")) or 0
        return cls(
            fault=PodFault(fault) if fault in tuple(PodFault) else None,
            exit_code=code if 0 < code < 256 else 1,
            after=_seconds(annotations.get(AFTER, "")) or 0.0,
            times=whole(annotations.get(TIMES, "")) or 0,
            image_size=_bytes(annotations.get(IMAGE_SIZE, "")),
            start=_seconds(annotations.get(START, "")),
            weights=_bytes(annotations.get(WEIGHTS, "")),
        )


NOTHING = Asked()


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the pods of a cluster are asked; `namespaces` is a cache of its namespaces."""

    namespaces: Store[Object]

    def of(self, pod: Object) -> Asked:
        """What this pod is asked."""
        namespace = self.namespaces.get(Key("", pod["metadata"].get("namespace", "")))
        around = (namespace or {}).get("metadata", {}).get("annotations") or {}
        asked = around | (pod["metadata"].get("annotations") or {})
        if not any(name.startswith(PREFIX) for name in asked):
            return NOTHING
        return Asked.of(asked)


def asked_of_node(node: Object) -> NodeFault | None:
    """How a Node shall fail now."""
    metadata = node["metadata"]
    found = (metadata.get("annotations") or {}).get(FAULT)
    if found is None:
        found = (metadata.get("labels") or {}).get(FAULT, "")
    return NodeFault(found) if found in tuple(NodeFault) else None


def _seconds(text: str) -> float | None:
    """Seconds, also written as 90s, 500ms or 2m."""
    for suffix, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("", 1.0)):
        number = text.removesuffix(suffix)
        if text.endswith(suffix) and whole(number.replace(".", "", 1)) is not None:
            return float(number) * factor
    return None


def _bytes(text: str) -> float | None:
    try:
        return float(value(text)) if text else None
    except (ValueError, ArithmeticError):
        return None
