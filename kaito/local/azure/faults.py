"""Failures on demand: which requests fail, in which of the real service's ways.

A fault is asked for in three ways: by a `PoolFault` of the profile, by one that is added while the
cluster runs (rehearsing.py), or by the label `local.kaito.sh/fault` on a pool, which reaches it
from the labels of a Machine and so from the label selector of a Workspace. This module says what
is wanted and when; what the service then answers stands in effects.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

FAULT_LABEL = "local.kaito.sh/fault"


class Ask(StrEnum):
    """What a request asks for."""

    CREATE = "create"
    """A PUT of a pool that has no machines yet: a new one, or one that failed."""
    UPDATE = "update"
    DELETE = "delete"
    DELETE_MACHINES = "delete-machines"
    ABORT = "abort"
    GET = "get"
    LIST = "list"
    POLL = "poll"
    """The state of a long operation."""


class FaultKind(StrEnum):
    """The ways in which a request can go wrong. Each has its answer in effects.py."""

    QUOTA = "quota"
    QUOTA_REGION = "quota-region"
    RETIRED = "sku-retired"
    POLICY = "policy"
    UNAUTHORIZED = "unauthorized"
    UNAUTHENTICATED = "unauthenticated"
    LOCKED = "locked"
    CLUSTER_GONE = "cluster-gone"
    GROUP_GONE = "group-gone"
    DISABLED = "subscription-disabled"
    FORGOTTEN = "operation-forgotten"
    BUSY = "busy"
    THROTTLED = "throttled"
    SUBSCRIPTION_THROTTLED = "subscription-throttled"
    SERVER_ERROR = "server-error"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway-timeout"
    RESET = "reset"
    LOST = "lost"
    QUOTA_LATE = "quota-late"
    SPOT_QUOTA_LATE = "spot-quota-late"
    SKU = "sku-not-available"
    ALLOCATION = "allocation-failed"
    ZONE = "zonal-allocation-failed"
    OVERCONSTRAINED = "overconstrained"
    OVERCONSTRAINED_ZONE = "overconstrained-zonal"
    SUBNET_FULL = "subnet-full"
    FAILED = "failed"
    CANCELED = "canceled"
    SLOW = "slow"
    STUCK = "stuck"
    NO_NODE = "no-node"
    NEVER_READY = "never-ready"
    NO_GPU = "no-gpu"
    OTHER = "other"


SLOW_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFault:
    """Make requests fail. `vm_size` and `pool` are shell patterns; both must match.

    `times` is how many attempts of one pool fail before it works; 0 means every one. `seconds` is
    how much longer a slow operation takes. `status`, `code` and `message` are what a fault of the
    kind `other` answers; with the status 0 the operation is accepted and fails later. ValueError
    for what makes no sense.
    """

    kind: FaultKind
    on: Ask = Ask.CREATE
    vm_size: str = "*"
    pool: str = "*"
    times: int = 0
    seconds: float = SLOW_SECONDS
    status: int = 0
    code: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        if self.times < 0 or not 0 <= self.seconds < math.inf:
            raise ValueError(f"times {self.times} and seconds {self.seconds} cannot be negative")
        if self.status and not 400 <= self.status <= 599:
            raise ValueError(f"status {self.status} is no error; take 400 to 599, or 0 for later")
        if (self.kind is FaultKind.OTHER) != bool(self.code):
            raise ValueError("a fault of the kind other needs a code, and no other kind has one")

    def hits(self, ask: Ask, pool: str, vm_size: str) -> bool:
        """Whether it is about such a request; a request about no pool in particular has neither
        name nor size, which only `*` matches."""
        return (
            self.on is ask and fnmatchcase(pool, self.pool) and fnmatchcase(vm_size, self.vm_size)
        )


# A throttled client must get through in the end, or there is nothing to see.
_LABELLED_TIMES = {FaultKind.THROTTLED: 2, FaultKind.SUBSCRIPTION_THROTTLED: 2}


def labelled(labels: Mapping[str, str], pool: str) -> PoolFault | None:
    """The fault that a pool's label asks for: it is about the pool's creation.

    A label with an unknown value is no fault: users may label pools as they like.
    """
    wanted = labels.get(FAULT_LABEL)
    if wanted not in tuple(FaultKind) or wanted == FaultKind.OTHER:
        return None
    kind = FaultKind(wanted)
    return PoolFault(kind=kind, pool=pool, times=_LABELLED_TIMES.get(kind, 0))


@dataclass(slots=True)
class Faults:
    """The faults that are in force, and how often those that end have struck. The first that fits
    counts."""

    given: tuple[PoolFault, ...] = ()
    """Those of the profile, which are there as long as the cluster."""
    _added: dict[str, PoolFault] = field(default_factory=dict)
    _next: int = 1
    _attempts: Counter[tuple[str, PoolFault]] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[tuple[str, PoolFault]]:
        """All of them with their ids; those of the profile have none."""
        yield from self._added.items()
        for fault in self.given:
            yield "", fault

    def add(self, fault: PoolFault) -> str:
        """Put a fault into force, before all others; its id."""
        name = str(self._next)
        self._next += 1
        self._added = {name: fault, **self._added}
        return name

    def remove(self, name: str) -> bool:
        """Take one back by its id; False when there is none."""
        return self._added.pop(name, None) is not None

    def clear(self) -> None:
        """Take back all that were added."""
        self._added.clear()

    def strike(
        self, ask: Ask, pool: str = "", vm_size: str = "", labels: Mapping[str, str] | None = None
    ) -> PoolFault | None:
        """The fault that a request meets, which counts as an attempt; None when it meets none."""
        for fault in self._fitting(ask, pool, vm_size, labels or {}):
            if not fault.times:
                return fault
            self._attempts[pool, fault] += 1
            if self._attempts[pool, fault] <= fault.times:
                return fault
        return None

    def restrictions(self) -> Iterator[PoolFault]:
        """Those that say that a size is not sold here, whatever the pool."""
        kinds = (FaultKind.SKU, FaultKind.RETIRED)
        return (fault for _, fault in self if fault.kind in kinds and fault.on is Ask.CREATE)

    def _fitting(
        self, ask: Ask, pool: str, vm_size: str, labels: Mapping[str, str]
    ) -> Iterable[PoolFault]:
        own = labelled(labels, pool)
        faults = [own] if own is not None else []
        faults += [fault for _, fault in self]
        return (fault for fault in faults if fault.hits(ask, pool, vm_size))
