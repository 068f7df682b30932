"""What to do about one Machine: a pure function of what was observed. No I/O, no clock.

    not ours               nothing
    no finalizer yet       store it; nothing is asked of the cloud before that
    not launched           make the pool, or find it made already, and wait for its Node
    launched               make the Node the Machine's own, see it become usable
    deleting               the pool, its Nodes, and last the finalizer: only when the cloud has
                           confirmed that there is no such pool
    gone                   let go of Nodes that were its own

A decision either asks the cloud one question, and is taken anew with the answer, or writes.
"""

from __future__ import annotations

from dataclasses import replace

from kaito.api.labels import INSTANCE_TYPE, ZONE
from kaito.api.machine import FINALIZER, INITIALIZED, LAUNCHED, REGISTERED, Machine
from kaito.api.meta import is_true
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine import conditions
from kaito.controllers.machine.cloud import Confirm, Destroy, Launch, Look, Refusal
from kaito.controllers.machine.conditions import DONE, Progress, Step, report, unlaunched
from kaito.controllers.machine.decision import (
    Decision,
    DeleteMachine,
    DeleteNode,
    Observation,
    PatchMachine,
    PatchNode,
    Policy,
    Tell,
    Write,
)
from kaito.controllers.machine.launch import (
    Attempt,
    Wait,
    next_attempt,
    overdue,
    remaining_pause,
)
from kaito.controllers.machine.readiness import (
    INITIALIZED_LABEL,
    initialisation,
    registration,
    release,
    the_node,
)
from kaito.controllers.machine.waiting import due, watch
from kaito.provisioner import Absent, NodeRequest, Pool, PoolState, Unsatisfiable, node_request
from kaito.provisioner.ownership import belongs_to, served
from kaito.runtime import Object

NOTHING = Decision()

NO_ZONE = "0"  # what the zone label of an AKS node says when the node is in no zone


def decide(seen: Observation, policy: Policy) -> Decision:
    """The next thing to do."""
    machine = seen.machine
    if machine is None:
        return _let_go(seen, policy)
    if not served(machine.metadata.labels):
        return NOTHING
    if machine.metadata.deleting:
        return _dismantle(machine, seen, policy)
    if FINALIZER not in machine.metadata.finalizers:
        return _claim(machine)
    leaving = [node for node in seen.nodes if node.deleting and node.held]
    if leaving:
        return _node_deleted(machine, leaving, seen, policy)
    if is_true(machine.status.conditions, LAUNCHED):
        return _prepare(machine, seen, policy)
    try:
        request = node_request(machine, policy.cluster)
    except Unsatisfiable as error:
        return Decision(writes=tuple(report(machine, _failed(f"{error}."), None, seen.now)))
    return _launch(machine, request, seen, policy)


# Launching


def _claim(machine: Machine) -> Decision:
    """The finalizer, with the label that kubectl's TYPE column shows when there is one type."""
    meta = machine.metadata
    patch: Object = {
        "resourceVersion": meta.resource_version,
        "finalizers": [*meta.finalizers, FINALIZER],
    }
    try:
        types = node_request(machine).instance_types
    except Unsatisfiable:
        types = ()
    if len(types) == 1 and INSTANCE_TYPE not in meta.labels:
        patch["labels"] = {INSTANCE_TYPE: types[0]}
    return Decision(writes=(PatchMachine({"metadata": patch}),))


def _launch(machine: Machine, request: NodeRequest, seen: Observation, policy: Policy) -> Decision:
    match seen.cloud.pool:
        case Pool() as pool:
            return _await_node(machine, request, pool, seen, policy)
        case Absent():
            match _next(request, seen, policy):
                case Attempt(instance_type, afresh):
                    return Decision(ask=Launch(request, instance_type, afresh))
                case Wait(message, seconds):
                    writes = report(machine, _failed(message), None, seen.now)
                    return Decision(writes=tuple(writes), again=seconds)
        case _:
            return watch(machine, _expected(request, "requested", seen, policy), seen, policy)


def _await_node(
    machine: Machine, request: NodeRequest, pool: Pool, seen: Observation, policy: Policy
) -> Decision:
    if not belongs_to(pool.labels, machine.metadata.labels):
        return watch(machine, _failed(_foreign(pool, policy)), seen, policy, slow=True)
    if pool.state is PoolState.DELETING:
        said = "an earlier pool of that name is being deleted"
        return watch(machine, _expected(request, said, seen, policy), seen, policy)
    node = the_node(machine, seen.nodes)
    if isinstance(node, Node) or node.reason != conditions.NODE_NOT_FOUND:
        return _prepare(machine, seen, policy)
    failure = pool.failure or overdue(pool, seen.now - seen.cloud.since, policy)
    refusal = None
    if failure is not None:
        refusal = Refusal(pool.instance_type, failure, seen.now)
    elif pool.instance_type.lower() in {wanted.lower() for wanted in request.instance_types}:
        return watch(machine, _coming(pool), seen, policy)
    # It failed, brings no Node, or was made for an earlier spec. Such a pool may cost money, and
    # its name is needed for the next attempt.
    if remaining_pause(seen.cloud.trouble, seen.now, policy):
        said = str(refusal.failure) if refusal else "it is of another instance type."
        progress = _failed(f"Agent pool {pool.name} has to be deleted first: {said}")
        return watch(machine, progress, seen, policy)
    if due(seen, policy.poll_seconds):
        # Somebody may have mended it since.
        return Decision(ask=Look())
    return Decision(ask=Destroy(pool, refusal))


def _next(request: NodeRequest, seen: Observation, policy: Policy) -> Attempt | Wait:
    refusals = seen.cloud.refusals
    return next_attempt(request.name, request.instance_types, refusals, seen.now, policy)


def _expected(request: NodeRequest, said: str, seen: Observation, policy: Policy) -> Progress:
    """While it cannot be asked for: why the last attempt failed, if another has to wait for it."""
    match _next(request, seen, policy):
        case Wait(message, _):
            return _failed(message)
        case Attempt():
            return _launching(request.name, said)


def _failed(message: str) -> Progress:
    return unlaunched(Step("False", conditions.LAUNCH_FAILED, message))


def _launching(name: str, said: str) -> Progress:
    message = f"Agent pool {name} is being made: {said}."
    return unlaunched(Step("Unknown", conditions.LAUNCHING, message))


def _coming(pool: Pool) -> Progress:
    if pool.state is not PoolState.READY:
        return _launching(pool.name, pool.said)
    message = f"Agent pool {pool.name} has been made; its Node has not joined the cluster yet."
    return unlaunched(Step("Unknown", conditions.LAUNCHING, message))


def _foreign(pool: Pool, policy: Policy) -> str:
    return (
        f"{policy.cloud} has an agent pool {pool.name} whose labels do not show that KAITO made it "
        f"for this Machine, so it is left alone. Delete that pool, or delete this Machine."
    )


# Launched


def _prepare(machine: Machine, seen: Observation, policy: Policy) -> Decision:
    """Registration and initialisation. The Node's own changes bring us back, no timer."""
    node = the_node(machine, seen.nodes)
    if isinstance(node, Step):
        if node.reason == conditions.NODE_NOT_FOUND:
            return _node_missing(machine, node, seen, policy)
        return Decision(writes=tuple(report(machine, _unregistered(node), None, seen.now)))
    patch = registration(machine, node)
    if patch is not None and machine.spec.startup_taints:
        # The patch puts them on; whether they have been removed is seen the next time.
        message = f"Node {node.name} has just been given the Machine's startup taints."
        usable = Step("False", conditions.STARTUP_TAINTS, message)
    else:
        usable = initialisation(machine, node, policy.gpus(node.labels.get(INSTANCE_TYPE, "")))
    if usable == DONE and INITIALIZED_LABEL not in node.labels:
        patch = patch or {"metadata": {}}
        patch["metadata"].setdefault("labels", {})[INITIALIZED_LABEL] = "true"
    progress = Progress(launched=DONE, registered=DONE, initialized=usable)
    writes: list[Write] = [PatchNode(node.name, patch)] if patch is not None else []
    return Decision(
        writes=(*writes, *_described(machine, node), *report(machine, progress, node, seen.now))
    )


def _described(machine: Machine, node: Node) -> list[Write]:
    """What kubectl shows of the node beside the Machine, once it is known."""
    labels = {
        name: node.labels[name]
        for name in (INSTANCE_TYPE, ZONE)
        if node.labels.get(name, NO_ZONE) != NO_ZONE and name not in machine.metadata.labels
    }
    return [PatchMachine({"metadata": {"labels": labels}})] if labels else []


def _node_missing(machine: Machine, missing: Step, seen: Observation, policy: Policy) -> Decision:
    """No Node: it is on its way, or being replaced, or its pool has been deleted behind us."""
    if isinstance(seen.cloud.pool, Absent) and seen.cloud.confirmed:
        return _give_up(machine, f"Agent pool {seen.name} has been deleted; so is its Machine.")
    return watch(machine, _unregistered(missing), seen, policy, confirm=True)


def _node_deleted(
    machine: Machine, leaving: list[Node], seen: Observation, policy: Policy
) -> Decision:
    """Somebody deletes the Machine's Node.

    A person who does that wants the machine gone. A cluster that is stopped or upgraded does it
    too, and there the pool is to be kept: it brings another Node.
    """
    pause = remaining_pause(seen.cloud.trouble, seen.now, policy)
    if pause:
        return Decision(again=pause)
    if due(seen, policy.poll_seconds):
        return Decision(ask=Confirm())
    pool = seen.cloud.pool
    wanted_gone = isinstance(pool, Pool) and pool.state in {PoolState.READY, PoolState.DELETING}
    if wanted_gone or isinstance(pool, Absent):
        names = ", ".join(node.name for node in leaving)
        return _give_up(machine, f"Node {names} is being deleted; so is its Machine.")
    return Decision(writes=tuple(PatchNode(node.name, release(node)) for node in leaving))


def _give_up(machine: Machine, message: str) -> Decision:
    writes = (DeleteMachine(machine.metadata.uid), Tell("Warning", "NodeLost", message))
    return Decision(writes=writes)


def _unregistered(missing: Step) -> Progress:
    waiting = Step("False", conditions.NOT_REGISTERED, "The Machine's Node is not registered.")
    return Progress(launched=DONE, registered=missing, initialized=waiting)


# Deleting


def _dismantle(machine: Machine, seen: Observation, policy: Policy) -> Decision:
    if FINALIZER not in machine.metadata.finalizers:
        return NOTHING
    match seen.cloud.pool:
        case Absent() if seen.cloud.confirmed:
            return _finish(machine, seen, policy)
        case Pool() as pool if belongs_to(pool.labels, machine.metadata.labels):
            return _destroy(machine, pool, seen, policy)
        case Pool() as pool if not is_true(machine.status.conditions, LAUNCHED):
            # Never ours: there is nothing of ours to delete.
            return _finish(machine, replace(seen, nodes=()), policy)
        case Pool() as pool:
            return watch(
                machine,
                _terminating(
                    machine,
                    f"Agent pool {pool.name} has lost the labels that showed it was made for this "
                    "Machine, so it is left alone. Delete it, or give it back its kaito.sh labels.",
                ),
                seen,
                policy,
                confirm=True,
            )
        case _:
            progress = _terminating(machine, f"Looking for agent pool {seen.name}.")
            return watch(machine, progress, seen, policy, confirm=True)


def _destroy(machine: Machine, pool: Pool, seen: Observation, policy: Policy) -> Decision:
    message = f"Agent pool {pool.name} is being deleted ({pool.said})."
    progress = _terminating(machine, message)
    if pool.state is not PoolState.DELETING:
        if remaining_pause(seen.cloud.trouble, seen.now, policy):
            return watch(machine, progress, seen, policy, confirm=True)
        return Decision(ask=Destroy(pool))
    # After the pool and not before: a Node that our finalizer does not hold yet goes at once, and
    # its Pods with it, while the cloud would still let them end in peace.
    decision = watch(machine, progress, seen, policy, confirm=True)
    if decision.ask is not None:
        return decision
    staying = [node for node in seen.nodes if not node.deleting]
    deletions = tuple(DeleteNode(node.name, node.metadata.uid) for node in staying)
    return replace(decision, writes=(*deletions, *decision.writes))


def _finish(machine: Machine, seen: Observation, policy: Policy) -> Decision:
    """The pool is no more: nothing costs money, so nothing needs to be held."""
    uid = machine.metadata.uid
    held = [node for node in seen.nodes if node.held and uid in node.machine_owners]
    writes: list[Write] = [
        DeleteNode(node.name, node.metadata.uid) for node in seen.nodes if not node.deleting
    ]
    writes += [PatchNode(node.name, release(node)) for node in held if node.deleting]
    if writes:
        # Their changes bring us back. A Node that is gone already, and that the cache does not
        # know of yet, brings none: looking again at once would ask for it in a storm.
        return Decision(writes=tuple(writes), again=policy.poll_seconds)
    left = [name for name in machine.metadata.finalizers if name != FINALIZER]
    patch = {"resourceVersion": machine.metadata.resource_version, "finalizers": left or None}
    return Decision(writes=(PatchMachine({"metadata": patch}),))


def _terminating(machine: Machine, message: str) -> Progress:
    """What the conditions said stays; Ready says what is going on."""
    known = {c.type: c for c in machine.status.conditions}

    def step(type_: str) -> Step:
        found = known.get(type_)
        if found is None:
            return Step("Unknown", conditions.TERMINATING)
        match found.status:
            case "True" | "False" as truth:
                return Step(truth, found.reason, found.message)
            case _:
                return Step("Unknown", found.reason, found.message)

    return Progress(
        launched=step(LAUNCHED),
        registered=step(REGISTERED),
        initialized=step(INITIALIZED),
        terminating=Step("False", conditions.TERMINATING, message),
    )


def _let_go(seen: Observation, policy: Policy) -> Decision:
    """No such Machine: Nodes that it owned and that are being deleted wait for our finalizer."""
    held = [node for node in seen.nodes if node.deleting and node.held and node.machine_owners]
    if not held:
        return NOTHING
    pool = seen.cloud.pool
    if isinstance(pool, Absent) and seen.cloud.confirmed:
        return Decision(writes=tuple(PatchNode(node.name, release(node)) for node in held))
    pause = remaining_pause(seen.cloud.trouble, seen.now, policy)
    if not pause and due(seen, policy.longest_pause):
        return Decision(ask=Confirm())
    # The pool outlived its Machine: the sweep judges it.
    return Decision(again=max(pause, policy.longest_pause))
