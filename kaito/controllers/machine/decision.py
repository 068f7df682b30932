"""What a decision is made from, and what it says. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kaito.api.machine import Machine
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine.cloud import UNASKED, Ask, CloudFacts
from kaito.runtime import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One Machine's world at one moment."""

    name: str
    machine: Machine | None
    """None when there is no such Machine (any more)."""
    nodes: tuple[Node, ...] = ()
    """The Nodes that say they are of the pool of that name, the oldest first."""
    cloud: CloudFacts = UNASKED
    now: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What decisions depend on besides the observation."""

    cloud: str
    """What people call the cloud, to begin a sentence with."""
    poll_seconds: float
    """The unit of every pause."""
    gpus: Callable[[str], int]
    """NVIDIA GPUs of an instance type; 0 for types that nobody knows."""
    cluster: str = ""
    """The uid of the namespace kube-system, which tells this cluster from others."""
    making_patience: float = 3600.0
    """Seconds that a pool may be in the making. GPU nodes take 5 to 20 minutes."""
    joining_patience: float = 900.0
    """Seconds from then on for its Node to join; karpenter's registration timeout. Not in polls:
    a busy API server is no reason to throw nodes away."""

    @property
    def longest_pause(self) -> float:
        """Between two looks or two attempts while nobody has to act: 5 min at the default poll."""
        return 20 * self.poll_seconds

    @property
    def user_pause(self) -> float:
        """Between two attempts while somebody has to act: 10 min at the default poll."""
        return 40 * self.poll_seconds


@dataclass(frozen=True, slots=True)
class PatchMachine:
    """A merge patch of the Machine, refused when somebody wrote in between."""

    patch: Object


@dataclass(frozen=True, slots=True)
class DeleteMachine:
    """Ask for the Machine's deletion; its finalizer does the rest."""

    uid: str


@dataclass(frozen=True, slots=True)
class PatchNode:
    """A merge patch of a Node, refused when somebody wrote in between."""

    name: str
    patch: Object


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Ask for a Node's deletion."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SetStatus:
    """The Machine's whole status."""

    status: Object


@dataclass(frozen=True, slots=True)
class Tell:
    """An event about the Machine, for people."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Write = PatchMachine | DeleteMachine | PatchNode | DeleteNode | SetStatus | Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Either a question to the cloud, after whose answer is decided anew, or writes in order."""

    ask: Ask | None = None
    writes: tuple[Write, ...] = ()
    again: float | None = None
    """Seconds until the next look; None to wait for a change."""
