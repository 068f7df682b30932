"""What a source of nodes must do, and the values that it speaks in.

A node comes from a pool of one: asking for a node means creating its pool, and the pool's name is
the name of the claim that asks. Where a cloud allows few pools, claims for equal nodes share one
(sharing.py): it grows by its count and shrinks by the very machine that is to go. No operation
waits for a long-running one: it starts it, returns what the cloud shows at that moment, and leaves
it to the caller to look again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kaito.provisioner.failure import Failure
from kaito.provisioner.request import NodeRequest


class PoolState(StrEnum):
    """What a pool is doing, as far as decisions depend on it."""

    CREATING = "creating"
    READY = "ready"
    UPDATING = "updating"
    STOPPED = "stopped"
    DELETING = "deleting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool as the cloud shows it."""

    name: str
    state: PoolState
    said: str
    """The cloud's own word for the state, for messages."""
    instance_type: str
    labels: Mapping[str, str]
    """The labels of its nodes; they prove whose pool it is (ownership.py)."""
    etag: str = ""
    """The cloud's version of the pool, "" when it has none."""
    failure: Failure | None = None
    """Why it is FAILED; None in other states."""
    count: int = 1
    """How many machines it is to have."""
    remedy: str = ""
    """What a person can do when it is DELETING for too long, one clause; "" for nothing."""


@dataclass(frozen=True, slots=True)
class PoolMachine:
    """One machine of a pool, whether its Node has joined the cluster or not."""

    name: str
    provider_id: str

    def behind(self, provider_id: str) -> bool:
        """Whether a Node's spec.providerID names it; clouds do not agree on letter case."""
        return self.provider_id.lower() == provider_id.lower()


@dataclass(frozen=True, slots=True)
class Absent:
    """The cloud says that there is no such pool."""


class NodeSource(Protocol):
    """A cloud that nodes come from. Every coroutine raises CloudError when the cloud refuses.

    Calls end within a minute, retries at the edge included; longer waits are the caller's.
    """

    @property
    def name(self) -> str:
        """What people call it, to begin a sentence with."""

    @property
    def cloud(self) -> str:
        """What the catalogue of node sizes calls it."""

    @property
    def pool_label(self) -> str:
        """The label by which a Node names its pool."""

    @property
    def image_label(self) -> str:
        """The label by which a Node names the image that it runs, "" when there is none."""

    @property
    def most_pools(self) -> int:
        """How many pools the cluster can have, whoever made them."""

    def pool_of(self, provider_id: str) -> str | None:
        """The pool that a Node's spec.providerID belongs to; None when it is none of this cloud."""

    def relabelling(self, pool: Pool, labels: Mapping[str, str]) -> str:
        """How a person gives the pool these labels in addition, as a command in backquotes; ""
        when the cloud has none."""

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        """Create the pool unless one of its name exists; what exists after that.

        An existing pool is never changed and may be somebody else's: check its labels.
        """

    async def observe(self, name: str) -> Pool | Absent:
        """One pool as it is now. Absent only when the cloud denies this very pool."""

    async def pools(self) -> list[Pool]:
        """Every pool of the cluster, whoever made it."""

    async def delete(self, pool: Pool) -> Pool | Absent:
        """Start to delete a pool, provided that it has still `pool.labels` and `pool.count`.

        Returns what exists after the call: the pool in DELETING, Absent, or another pool
        that has taken its name and was left alone. A pool that is still being made may refuse
        (cause BUSY): its making is called off then, and the deletion is to be asked for again.
        """

    async def resize(self, pool: Pool, count: int) -> Pool | Absent:
        """Start to give the pool `count` machines and the label ownership.SHARED; all else stays.

        Nothing is done when it is not as `pool` says any more. Returns what exists after the call.
        Never ask for fewer machines than there are: the cloud would choose which of them go.
        """

    async def machines(self, name: str) -> list[PoolMachine]:
        """The machines of a pool as they are now; none when there is no such pool."""

    async def delete_machine(self, pool: Pool, machine: PoolMachine) -> Pool | Absent:
        """Start to delete this machine, with which the pool's count goes down by one, provided
        that the pool still carries `pool.labels`. Returns what exists after the call."""
