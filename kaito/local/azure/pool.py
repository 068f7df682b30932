"""An agent pool as the cloud keeps it, and the conditions under which a request may touch it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kaito.local.azure.errors import Failure, refuse
from kaito.local.azure.faults import FaultKind


class State(StrEnum):
    """provisioningState of a pool, in the service's words."""

    CREATING = "Creating"
    UPDATING = "Updating"
    DELETING = "Deleting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An agent pool. `properties` are as on the wire, defaults filled in, without its state."""

    name: str
    properties: Mapping[str, Any]
    state: State
    created: float
    operation: str
    """The id of its latest operation."""
    exists: bool = False
    """Whether it has come up once."""
    stopped: bool = False
    """Whether its machines are deallocated."""
    machines: tuple[int, ...] = ()
    """The numbers of its virtual machines, ascending."""
    next_machine: int = 0
    """Numbers are never given twice."""
    spoiled: FaultKind | None = None
    """What is wrong with its machines."""
    failure: Failure | None = None

    @property
    def etag(self) -> str:
        """Changes whenever the pool changes."""
        parts = [self.name, self.properties, self.state, self.operation, self.machines]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.properties["nodeLabels"]
        return labels

    @property
    def vm_size(self) -> str:
        size: str = self.properties["vmSize"]
        return size

    @property
    def is_system(self) -> bool:
        return bool(self.properties["mode"] == "System")

    @property
    def nodes(self) -> tuple[int, ...]:
        """The numbers of the machines whose Nodes should be in the cluster now."""
        return () if self.stopped or self.spoiled is FaultKind.NO_NODE else self.machines

    def scaled(self) -> tuple[tuple[int, ...], int]:
        """Its machines and the next number once it has as many as it should have: the youngest go
        first, and new ones get new numbers."""
        count: int = self.properties["count"]
        more = range(self.next_machine, self.next_machine + count - len(self.machines))
        return (*self.machines, *more)[:count], self.next_machine + len(more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preconditions:
    """If-Match and If-None-Match of a request."""

    if_match: str = ""
    if_none_match: str = ""

    def check(self, pool: Pool | None) -> None:
        """ArmError 412 when they do not hold for the pool as it stands, 400 when they say what
        AKS does not take."""
        if self.if_none_match not in ("", "*"):
            raise refuse(
                400,
                "InvalidHeaderValue",
                f"The header if-none-match is {self.if_none_match!r}: it can only be empty or *.",
            )
        if self.if_none_match and pool is not None:
            raise refuse(412, "PreconditionFailed", f"Node pool {pool.name} exists already.")
        wanted = self.if_match.removeprefix("W/").strip('"')
        if self.if_match and (pool is None or wanted not in ("*", pool.etag)):
            raise refuse(412, "PreconditionFailed", "The etag is not that of the node pool.")
