"""What is known of the cloud about one claim's pool: the facts that decisions are made from.

Facts live in memory only. After a restart they are UNKNOWN and are asked for again; nothing that
money depends on is read from them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kaito.provisioner import Absent, Failure, NodeRequest, Pool, PoolMachine


class Unknown(Enum):
    """The cloud has not been asked, or its answer did not arrive."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True, slots=True)
class Refusal:
    """The cloud did not make the pool: it refused the request, or failed after accepting it."""

    instance_type: str
    failure: Failure
    at: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """A question or a deletion that the cloud refused, and how many in a row."""

    failure: Failure
    at: float
    times: int = 1
    deleting: bool = False
    """Whether it was the deletion that was refused last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFacts:
    """All that is known; times are seconds since the epoch."""

    pool: Pool | Absent | Unknown = UNKNOWN
    at: float = 0.0
    """When the cloud was last asked about the pool."""
    since: float = 0.0
    """When the pool was first seen in its present state, by this process."""
    confirmed: bool = False
    """Whether `pool` answers a question about this very pool, not a list of all."""
    refusals: tuple[Refusal, ...] = ()
    """Launches of this generation that failed, in order."""
    trouble: Trouble | None = None
    machines: tuple[PoolMachine, ...] | None = None
    """The pool's machines, None when nobody has asked since the pool was last changed."""
    crowd: int = 0
    """How many pools the cluster has, whoever made them, as far as we know."""


UNASKED = CloudFacts()


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask the cloud to make the pool, unless one of its name exists."""

    request: NodeRequest
    instance_type: str
    afresh: bool = False
    """Whether earlier refusals are forgotten: a new round over all instance types."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask how the pool is doing; a list of all pools may answer."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask about this very pool."""


@dataclass(frozen=True, slots=True)
class Destroy:
    """Ask the cloud to delete this pool, whose labels have been judged."""

    pool: Pool
    refusal: Refusal | None = None
    """What made it useless, to be remembered when it is gone."""


@dataclass(frozen=True, slots=True)
class Resize:
    """Ask the cloud to give this pool, whose labels have been judged, so many machines."""

    pool: Pool
    count: int
    refusal: Refusal | None = None
    """Why the last attempt failed, to be remembered while this one is under way."""


@dataclass(frozen=True, slots=True)
class ListMachines:
    """Ask which machines the pool has."""


@dataclass(frozen=True, slots=True)
class DeleteMachine:
    """Ask the cloud to delete one machine of this pool, whose labels have been judged."""

    pool: Pool
    machine: PoolMachine


Ask = Launch | Look | Confirm | Destroy | Resize | ListMachines | DeleteMachine
