"""Agent pools and their long operations: what the cloud holds, and what becomes of it in time.

A state machine without I/O and without a clock: the time is an argument of everything that
depends on it, and `settle` finishes what is due. Operations end at a known time or never.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from kaito.local.azure.errors import Failure, busy, pool_not_found, refuse
from kaito.local.azure.faults import (
    FaultKind,
    PoolFault,
    fault_of,
    late_failure,
    refusal,
)
from kaito.local.azure.sizes import VmSizes
from kaito.local.azure.validation import check_name, desired_properties, size_of

# ARM keeps finished operations for about a day; this many are more than any client looks back.
KEPT_OPERATIONS = 2000


class State(StrEnum):
    """provisioningState of a pool, in the service's words."""

    CREATING = "Creating"
    UPDATING = "Updating"
    DELETING = "Deleting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


class Verb(StrEnum):
    """What a long operation does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ABORT = "abort"


class Outcome(StrEnum):
    """The status of a long operation."""

    RUNNING = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A long operation. Times are seconds since the epoch; `due` is None when it never ends."""

    id: str
    pool: str
    verb: Verb
    started: float
    due: float | None
    outcome: Outcome = Outcome.RUNNING
    ended: float | None = None
    failure: Failure | None = None
    """How it ends, or has ended, when it does not succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An agent pool. `properties` are as on the wire, defaults filled in, without its state."""

    name: str
    properties: Mapping[str, Any]
    state: State
    created: float
    operation: str
    """The id of its latest operation."""
    joins: bool = True
    """Whether its machines register with the cluster."""
    exists: bool = False
    """Whether its machines have come up."""
    failure: Failure | None = None

    @property
    def etag(self) -> str:
        """Changes whenever the pool changes."""
        text = json.dumps([self.name, self.properties, self.state, self.operation], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.properties["nodeLabels"]
        return labels

    @property
    def nodes(self) -> int:
        """How many Nodes of it should be in the cluster now."""
        count: int = self.properties["count"]
        return count if self.exists and self.joins else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preconditions:
    """If-Match and If-None-Match of a request."""

    if_match: str = ""
    if_none_match: str = ""

    def check(self, pool: Pool | None) -> None:
        """ArmError 412 when they do not hold for the pool as it stands."""
        if self.if_none_match == "*" and pool is not None:
            raise refuse(412, "PreconditionFailed", f"Node pool {pool.name} exists already.")
        wanted = self.if_match.strip('"')
        if not wanted:
            return
        if pool is None or wanted not in ("*", pool.etag):
            raise refuse(412, "PreconditionFailed", "The etag is not that of the node pool.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds that operations take."""

    create: float
    delete: float


@dataclass(slots=True)
class AgentPools:
    """The pools of one cluster. Methods raise ArmError and then have changed nothing.

    `keep` is called with every pool and operation that changed, `drop` with those that are gone:
    that is how they are kept across restarts.
    """

    location: str
    sizes: VmSizes
    durations: Durations
    new_id: Callable[[], str]
    faults: tuple[PoolFault, ...] = ()
    keep: Callable[[Pool | Operation], None] = lambda _: None
    drop: Callable[[Pool | Operation], None] = lambda _: None
    _pools: dict[str, Pool] = field(default_factory=dict)
    _operations: dict[str, Operation] = field(default_factory=dict)
    _due: list[tuple[float, str]] = field(default_factory=list)
    _attempts: Counter[tuple[str, FaultKind]] = field(default_factory=Counter)

    def restore(self, pools: Iterator[Pool], operations: Iterator[Operation]) -> None:
        """Take over what an earlier run has kept."""
        for pool in pools:
            self._pools[pool.name] = pool
        for operation in sorted(operations, key=lambda op: op.started):
            self._operations[operation.id] = operation
            self._schedule(operation)

    def __iter__(self) -> Iterator[Pool]:
        return iter(sorted(self._pools.values(), key=lambda pool: pool.name))

    def find(self, name: str) -> Pool | None:
        return self._pools.get(name)

    def get(self, name: str) -> Pool:
        """The pool of that name; ArmError 404."""
        pool = self._pools.get(name)
        if pool is None:
            raise pool_not_found()
        return pool

    def operation(self, operation_id: str) -> Operation:
        """A long operation; ArmError 404 when it is unknown or long forgotten."""
        operation = self._operations.get(operation_id)
        if operation is None:
            raise refuse(404, "NotFound", f"Operation {operation_id} is not found.")
        return operation

    def put(self, name: str, body: Any, conditions: Preconditions, now: float) -> Pool:
        """Create the pool or change it; its operation runs when this returns."""
        check_name(name)
        before = self._pools.get(name)
        conditions.check(before)
        properties = desired_properties(body, before.properties if before else None)
        size = size_of(properties, self.sizes, self.location)
        self._check_idle(before)
        failing = self._fault(name, size.name, properties["nodeLabels"], before)
        kind = failing.kind if failing else None
        if kind is not None:
            refused = refusal(kind, size.name, size.cores * properties["count"], self.location)
            if refused is not None:
                raise refused
        operation = self._start(
            Verb.UPDATE if before else Verb.CREATE,
            name,
            now,
            None if kind is FaultKind.STUCK else self.durations.create,
            late_failure(kind, size.name, size.cores, self.location) if kind else None,
        )
        pool = Pool(
            name=name,
            properties=properties,
            state=State.UPDATING if before else State.CREATING,
            created=before.created if before else now,
            operation=operation.id,
            joins=kind is not FaultKind.NO_NODE,
            exists=before.exists if before else False,
        )
        self._store(pool)
        return pool

    def delete(self, name: str, conditions: Preconditions, now: float) -> Operation:
        """Begin to delete the pool."""
        pool = self.get(name)
        conditions.check(pool)
        self._check_idle(pool)
        operation = self._start(Verb.DELETE, name, now, self.durations.delete)
        self._store(replace(pool, state=State.DELETING, operation=operation.id, failure=None))
        return operation

    def abort(self, name: str, now: float) -> Operation:
        """Cancel the pool's running operation; ArmError 409 when none is running."""
        pool = self.get(name)
        running = self._operations[pool.operation]
        if running.outcome is not Outcome.RUNNING:
            raise refuse(
                409, "OperationNotAllowed", f"No operation of node pool {name} is in progress."
            )
        self._end(running, Outcome.CANCELED, now)
        # Nothing but a new PUT or a DELETE can follow, so the abort itself is over at once.
        operation = self._start(Verb.ABORT, name, now, 0)
        self._store(replace(pool, state=State.CANCELED, operation=operation.id))
        return operation

    def settle(self, now: float) -> list[str]:
        """Finish what is due; the names of the pools whose Nodes may have to change."""
        changed = []
        while self._due and self._due[0][0] <= now:
            _, operation_id = heapq.heappop(self._due)
            operation = self._operations.get(operation_id)
            if operation is not None and operation.outcome is Outcome.RUNNING:
                self._finish(operation, now)
                changed.append(operation.pool)
        return changed

    def next_due(self) -> float | None:
        """When `settle` has something to do next."""
        while self._due:
            operation = self._operations.get(self._due[0][1])
            if operation is not None and operation.outcome is Outcome.RUNNING:
                return self._due[0][0]
            heapq.heappop(self._due)
        return None

    def _check_idle(self, pool: Pool | None) -> None:
        if pool is None:
            return
        running = self._operations[pool.operation]
        if running.outcome is Outcome.RUNNING:
            raise busy(running.verb, pool.name)

    def _fault(
        self, name: str, vm_size: str, labels: Mapping[str, str], before: Pool | None
    ) -> PoolFault | None:
        if before is not None and before.exists:
            return None
        fault = fault_of(self.faults, name, vm_size, labels)
        if fault is None:
            return None
        self._attempts[name, fault.kind] += 1
        past = fault.times and self._attempts[name, fault.kind] > fault.times
        return None if past else fault

    def _start(
        self,
        verb: Verb,
        pool: str,
        now: float,
        seconds: float | None,
        failure: Failure | None = None,
    ) -> Operation:
        operation = Operation(
            id=self.new_id(),
            pool=pool,
            verb=verb,
            started=now,
            due=None if seconds is None else now + seconds,
            failure=failure,
        )
        self._record(operation)
        self._schedule(operation)
        return operation

    def _finish(self, operation: Operation, now: float) -> None:
        self._end(operation, Outcome.FAILED if operation.failure else Outcome.SUCCEEDED, now)
        pool = self._pools.get(operation.pool)
        if pool is None:
            return
        if operation.verb is Verb.DELETE:
            del self._pools[pool.name]
            self.drop(pool)
        elif operation.verb is not Verb.ABORT:
            failed = operation.failure is not None
            self._store(
                replace(
                    pool,
                    state=State.FAILED if failed else State.SUCCEEDED,
                    exists=pool.exists or not failed,
                    failure=operation.failure,
                )
            )

    def _end(self, operation: Operation, outcome: Outcome, now: float) -> None:
        failure = operation.failure if outcome is Outcome.FAILED else None
        self._record(replace(operation, outcome=outcome, ended=now, failure=failure))

    def _schedule(self, operation: Operation) -> None:
        if operation.outcome is Outcome.RUNNING and operation.due is not None:
            heapq.heappush(self._due, (operation.due, operation.id))

    def _store(self, pool: Pool) -> None:
        self._pools[pool.name] = pool
        self.keep(pool)

    def _record(self, operation: Operation) -> None:
        self._operations[operation.id] = operation
        self.keep(operation)
        # Far enough beyond what is kept that the search pays for itself.
        if len(self._operations) > 2 * (KEPT_OPERATIONS + len(self._pools)):
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        latest = {pool.operation for pool in self._pools.values()}
        past = [op for op in self._operations.values() if op.id not in latest and op.ended]
        for operation in past[:-KEPT_OPERATIONS]:
            del self._operations[operation.id]
            self.drop(operation)
