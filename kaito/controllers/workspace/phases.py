"""How the start of a Workspace's model went: which phase was reached when, and how long each took.

Times are those that others wrote into their objects, so that nothing is measured here and a
restart of the daemon changes nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kaito.api import machine, nodeclaim
from kaito.api.tuning import DOWNLOADER, PULLER, PUSHER, TRAINER
from kaito.controllers.workspace.order import Order
from kaito.runtime import Object, find_condition, parse_rfc3339, rfc3339

REQUESTED = "Requested"
LAUNCHED = "Launched"
JOINED = "Joined"
GPUS_VISIBLE = "GPUsVisible"
IMAGE_PULLED = "ImagePulled"
WEIGHTS_LOADED = "WeightsLoaded"
READY = "Ready"
# Of a training, after its image.
DATA_LOADED = "DataLoaded"
TRAINED = "Trained"
STORED = "Stored"

# What an order's conditions say of its node, in the words of Machines and of NodeClaims.
NODE_PHASES = {
    LAUNCHED: (machine.LAUNCHED, nodeclaim.LAUNCHED),
    JOINED: (machine.REGISTERED, nodeclaim.REGISTERED),
    GPUS_VISIBLE: (machine.INITIALIZED, nodeclaim.INITIALIZED),
}
# A phase that begins something anew: those after it are of that start, and of no earlier one.
BEGINNINGS = frozenset([REQUESTED, IMAGE_PULLED])


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What the phases follow from."""

    orders: Sequence[Order] = ()
    """What asks for one node each; none where the user brings them."""
    pods: Sequence[Object] = ()
    """Those that serve, or are to."""
    expected: int = 1
    """How many Pods there will be."""
    tunes: bool = False
    """Whether they tune a model and do not serve one."""


class _Phase(NamedTuple):
    name: str
    at: float | None
    """When all parts of it were reached, in seconds since the epoch; None when some were not."""
    since: float | None = None
    """The earliest time that it can have begun, whatever came before it."""


def phases(
    start: Start, before: Iterable[Mapping[str, object]], answers: Object | None = None
) -> list[Object]:
    """The phases that have been reached, in order: name, reachedAt, and seconds since the one
    before it (0 for the first).

    `answers` is the condition that the model answers, None while it is not known. `before` is what
    was said last: a phase keeps its time while the start it belongs to is the same, so that a Pod
    that falters for a moment does not seem to have taken days to start.
    """
    known = {str(each.get("name")): _time(each.get("reachedAt")) for each in before}
    told: list[Object] = []
    same, last = True, None
    for name, observed, since in _observed(start, answers or {}):
        at = observed
        if name in BEGINNINGS:
            same = known.get(name) == at
        elif same:
            at = known.get(name) or at
        if at is None:
            break
        # Others' clocks may disagree: no phase ends before it begins.
        began = max((t for t in (last, since) if t is not None), default=at)
        told.append({"name": name, "reachedAt": rfc3339(at), "seconds": max(0, int(at - began))})
        last = at
    return told


def _observed(start: Start, answers: Object) -> Iterator[_Phase]:
    if start.orders:
        requested = _last(order.metadata.creation_timestamp for order in start.orders)
        yield _Phase(REQUESTED, requested)
        for name, types in NODE_PHASES.items():
            yield _Phase(name, _last(_stepped(order, types) for order in start.orders), requested)
    if start.tunes:
        yield from _of_training(max(start.pods, key=_born, default={}))
        return
    there = len(start.pods) >= start.expected
    born = _last(pod["metadata"].get("creationTimestamp") for pod in start.pods)
    pulled = (at for pod in start.pods for at in _started(pod))
    yield _Phase(IMAGE_PULLED, _last(pulled) if there else None, born)
    yield _Phase(WEIGHTS_LOADED, _last(map(_loaded, start.pods)) if there else None, born)
    yield _Phase(READY, _time(_since(answers)), born)


def _of_training(pod: Object) -> Iterator[_Phase]:
    """Its containers run one after the other: each that has ended ends a phase."""
    born = _time((pod.get("metadata") or {}).get("creationTimestamp"))
    said = [*_said(pod, "initContainerStatuses"), *_said(pod, "containerStatuses")]
    states = {str(each.get("name")): each.get("state") or {} for each in said}
    began = (_began(state) for state in states.values())
    yield _Phase(IMAGE_PULLED, next((at for at in began if at is not None), None), born)
    loaded = [states[name] for name in (DOWNLOADER, PULLER) if name in states]
    # Data of a volume is there when the trainer begins.
    data = _ended(loaded[0]) if loaded else _began(states.get(TRAINER, {}))
    yield _Phase(DATA_LOADED, data, born)
    yield _Phase(TRAINED, _ended(states.get(TRAINER, {})), born)
    yield _Phase(STORED, _ended(states.get(PUSHER, {})), born)


def _born(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")


def _said(pod: Object, part: str) -> Sequence[Object]:
    found: Sequence[Object] = (pod.get("status") or {}).get(part) or ()
    return found


def _began(state: Object) -> float | None:
    """When a container began to run; None for one that has not."""
    found = state.get("running") or state.get("terminated") or {}
    return _time(found.get("startedAt"))


def _ended(state: Object) -> float | None:
    """When a container ended well; None for one that has not."""
    found = state.get("terminated") or {}
    return _time(found.get("finishedAt")) if found.get("exitCode") == 0 else None


def _stepped(order: Order, types: Sequence[str]) -> str:
    """When an order's node took a step, "" when it has not."""
    condition = order.condition(*types)
    return condition.last_transition_time if condition and condition.status == "True" else ""


def _started(pod: Object) -> Iterator[object]:
    """When each container of a Pod was started last; its image was there by then."""
    statuses: Sequence[Object] = (pod.get("status") or {}).get("containerStatuses") or ({},)
    for container in statuses:
        running = (container.get("state") or {}).get("running") or {}
        yield running.get("startedAt")


def _loaded(pod: Object) -> object:
    """When a Pod's server answered that it can serve."""
    return _since(find_condition((pod.get("status") or {}).get("conditions") or (), "Ready") or {})


def _since(condition: Object) -> object:
    """Since when a condition is True, None when it is not."""
    return condition.get("lastTransitionTime") if condition.get("status") == "True" else None


def _last(timestamps: Iterable[object]) -> float | None:
    """The latest of these times, None when one of them is missing or there are none."""
    times = [_time(each) for each in timestamps]
    found = [each for each in times if each is not None]
    return max(found) if found and len(found) == len(times) else None


def _time(timestamp: object) -> float | None:
    """None for what is no timestamp, too: a claim's conditions are anybody's words."""
    try:
        return parse_rfc3339(str(timestamp))
    except (ValueError, OverflowError):
        return None
