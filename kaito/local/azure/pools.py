"""Agent pools and their long operations: what the cloud holds, and what becomes of it in time.

A state machine without I/O and without a clock: the time is an argument of everything that
depends on it, and `settle` finishes what is due. Operations end at a known time or never.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kaito.local.azure.account import Account
from kaito.local.azure.effects import Circumstances, Effect, effect
from kaito.local.azure.errors import (
    ArmError,
    Broken,
    Failure,
    busy,
    invalid,
    pool_not_found,
    refuse,
)
from kaito.local.azure.faults import Ask, Faults
from kaito.local.azure.limits import Limits
from kaito.local.azure.operation import Operation, Outcome, Verb
from kaito.local.azure.pool import Pool, Preconditions, State
from kaito.local.azure.sizes import VmSizes
from kaito.local.azure.validation import check_name, desired_properties, size_of

# ARM keeps finished operations for about a day; this many are more than any client looks back.
KEPT_OPERATIONS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds that operations take."""

    create: float
    delete: float


@dataclass(slots=True)
class AgentPools:
    """The pools of one cluster. Methods raise ArmError or Broken and then have changed nothing,
    except that Broken for a lost answer comes after everything was done.

    `keep` is called with every pool and operation that changed, `drop` with those that are gone:
    that is how they are kept across restarts.
    """

    account: Account
    sizes: VmSizes
    durations: Durations
    new_id: Callable[[], str]
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    keep: Callable[[Pool | Operation], None] = lambda _: None
    drop: Callable[[Pool | Operation], None] = lambda _: None
    _pools: dict[str, Pool] = field(default_factory=dict)
    _operations: dict[str, Operation] = field(default_factory=dict)
    _due: list[tuple[float, str]] = field(default_factory=list)

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

    def reading(self, ask: Ask, pool: str = "") -> None:
        """Somebody reads: ArmError or Broken when a fault is about that."""
        found = self._pools.get(pool)
        self._meet(ask, pool, found.vm_size if found else "", answered=True)

    def put(
        self, name: str, sent: Mapping[str, Any], conditions: Preconditions, now: float
    ) -> Pool:
        """Create the pool or change it; its operation runs when this returns."""
        check_name(name)
        before = self._pools.get(name)
        conditions.check(before)
        properties = desired_properties(
            name, sent, before.properties if before else None, self.limits
        )
        size = size_of(properties, self.sizes, self.account.location)
        self._check_idle(before)
        if before is None and len(self._pools) >= self.limits.pools:
            raise too_many_pools(self.limits.pools)
        ask = Ask.UPDATE if before is not None and before.exists else Ask.CREATE
        cores = size.cores * properties["count"]
        met = self._meet(ask, name, size.name, properties["nodeLabels"], cores)
        verb = Verb.UPDATE if before else Verb.CREATE
        operation = self._start(verb, name, now, self.durations.create, met)
        pool = Pool(
            name=name,
            properties=properties,
            state=State.UPDATING if before else State.CREATING,
            created=before.created if before else now,
            operation=operation.id,
            exists=before.exists if before else False,
            stopped=before.stopped if before else False,
            machines=before.machines if before else (),
            next_machine=before.next_machine if before else 0,
            spoiled=before.spoiled if before and before.exists else met.machines,
        )
        self._store(pool)
        _answer(met)
        return pool

    def delete(self, name: str, conditions: Preconditions, now: float) -> Operation:
        """Begin to delete the pool."""
        pool = self.get(name)
        conditions.check(pool)
        self._check_idle(pool)
        if pool.is_system and sum(each.is_system for each in self) == 1:
            raise ArmError(400, _last_system_pool(), flat=True)
        return self._change(pool, Verb.DELETE, Ask.DELETE, State.DELETING, now)

    def delete_machines(self, name: str, names: Sequence[str], now: float) -> Operation:
        """Begin to delete machines of the pool, which then has as many fewer."""
        pool = self.get(name)
        known = {self.account.node_name(name, number): number for number in pool.machines}
        strangers = [each for each in names if each not in known]
        if strangers:
            words = f"{', '.join(strangers)} not found in agent pool {name}"
            raise invalid("machineNames", words)
        self._check_idle(pool)
        doomed = tuple(sorted({known[each] for each in names}))
        if pool.is_system and len(doomed) == len(pool.machines):
            raise ArmError(400, _last_system_pool(), flat=True)
        return self._change(
            pool, Verb.DELETE_MACHINES, Ask.DELETE_MACHINES, State.UPDATING, now, doomed
        )

    def abort(self, name: str, now: float) -> Operation:
        """Cancel the pool's running operation; ArmError 409 when none is running."""
        pool = self.get(name)
        running = self._operations[pool.operation]
        if not running.running:
            raise refuse(
                409, "OperationNotAllowed", f"No operation of node pool {name} is in progress."
            )
        met = self._meet(Ask.ABORT, name, pool.vm_size)
        self._end(replace(running, ends=Outcome.CANCELED, failure=None), now)
        # Nothing but a new PUT or a DELETE can follow, so the abort itself is over at once.
        operation = self._start(Verb.ABORT, name, now, 0, met)
        self._store(replace(pool, state=State.CANCELED, operation=operation.id))
        _answer(met)
        return operation

    def settle(self, now: float) -> list[str]:
        """Finish what is due; the names of the pools whose Nodes may have to change."""
        changed = []
        while self._due and self._due[0][0] <= now:
            _, operation_id = heapq.heappop(self._due)
            operation = self._operations.get(operation_id)
            if operation is not None and operation.running:
                self._finish(operation, now)
                changed.append(operation.pool)
        return changed

    def next_due(self) -> float | None:
        """When `settle` has something to do next."""
        while self._due:
            operation = self._operations.get(self._due[0][1])
            if operation is not None and operation.running:
                return self._due[0][0]
            heapq.heappop(self._due)
        return None

    def _check_idle(self, pool: Pool | None) -> None:
        if pool is None:
            return
        running = self._operations[pool.operation]
        if running.running:
            raise busy(running.verb, pool.name)

    def _meet(
        self,
        ask: Ask,
        pool: str,
        vm_size: str,
        labels: Mapping[str, str] | None = None,
        cores: int = 0,
        *,
        answered: bool = False,
    ) -> Effect:
        """What a fault does to the request; raises what comes before anything is done.

        `answered` requests change nothing, so that a lost answer is lost at once.
        """
        fault = self.faults.strike(ask, pool, vm_size, labels)
        about = Circumstances(
            account=self.account, ask=ask, pool=pool, vm_size=vm_size, cores=cores
        )
        met = effect(fault, about)
        if met.refusal is not None:
            raise met.refusal
        if met.cut == "before" or (met.cut and answered):
            raise Broken("connection broken by a fault")
        return met

    def _change(
        self,
        pool: Pool,
        verb: Verb,
        ask: Ask,
        state: State,
        now: float,
        machines: tuple[int, ...] = (),
    ) -> Operation:
        met = self._meet(ask, pool.name, pool.vm_size)
        operation = self._start(verb, pool.name, now, self.durations.delete, met, machines)
        self._store(replace(pool, state=state, operation=operation.id, failure=None))
        _answer(met)
        return operation

    def _start(
        self,
        verb: Verb,
        pool: str,
        now: float,
        seconds: float,
        met: Effect,
        machines: tuple[int, ...] = (),
    ) -> Operation:
        ends = Outcome.FAILED if met.failure else Outcome.SUCCEEDED
        operation = Operation(
            id=self.new_id(),
            pool=pool,
            verb=verb,
            started=now,
            due=None if met.delay is None else now + seconds + met.delay,
            ends=Outcome.CANCELED if met.canceled else ends,
            failure=met.failure,
            machines=machines,
        )
        self._record(operation)
        self._schedule(operation)
        return operation

    def _finish(self, operation: Operation, now: float) -> None:
        self._end(operation, now)
        pool = self._pools.get(operation.pool)
        if pool is None or operation.verb is Verb.ABORT:
            return
        if operation.ends is not Outcome.SUCCEEDED:
            self._store(replace(pool, state=State(operation.ends.value), failure=operation.failure))
        elif operation.verb is Verb.DELETE:
            del self._pools[pool.name]
            self.drop(pool)
        else:
            self._store(_succeeded(pool, operation))

    def _end(self, operation: Operation, now: float) -> None:
        self._record(replace(operation, outcome=operation.ends, ended=now))

    def _schedule(self, operation: Operation) -> None:
        if operation.running and operation.due is not None:
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


def _succeeded(pool: Pool, operation: Operation) -> Pool:
    if operation.verb is Verb.DELETE_MACHINES:
        left = tuple(number for number in pool.machines if number not in operation.machines)
        properties = {**pool.properties, "count": len(left)}
        return replace(pool, state=State.SUCCEEDED, machines=left, properties=properties)
    machines, following = pool.scaled()
    return replace(
        pool,
        state=State.SUCCEEDED,
        exists=True,
        stopped=pool.properties["powerState"].get("code") == "Stopped",
        machines=machines,
        next_machine=following,
        failure=None,
    )


def _answer(met: Effect) -> None:
    if met.cut == "after":
        raise Broken("answer lost by a fault")


def too_many_pools(most: int) -> ArmError:
    """400 for one pool more than a cluster has."""
    failure = Failure(
        code="MaxAgentPoolCountReached",
        message=f"The managed cluster has reached the maximum of {most} agent pools.",
    )
    return ArmError(400, failure, flat=True)


def _last_system_pool() -> Failure:
    return Failure(
        code="OperationNotAllowed", message="There has to be at least one system agent pool."
    )
