"""What keeps a Pod from serving, in the words of its own status. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kaito.api import conditions
from kaito.api.words import one_line
from kaito.controllers.workspace.mounting import overdue_at, waits
from kaito.runtime import Object, find_condition, parse_rfc3339

# Characters of what is copied from a Pod: an image's name comes four times when it is not there.
MESSAGE_LENGTH = 512
TAIL_LENGTH = 160  # of a longer one: what went wrong comes last, where from comes first
WAITING = {
    "ErrImagePull": conditions.IMAGE_PULL_ERROR,
    "ImagePullBackOff": conditions.IMAGE_PULL_ERROR,
    "InvalidImageName": conditions.IMAGE_PULL_ERROR,
    "CreateContainerConfigError": conditions.CONTAINER_START_ERROR,
    "CreateContainerError": conditions.CONTAINER_START_ERROR,
    "RunContainerError": conditions.CONTAINER_START_ERROR,
    "CrashLoopBackOff": conditions.CRASH_LOOP,
}
# The gravest first: what explains the others stands before them.
GRAVITY = (
    conditions.CONTAINER_OOM_KILLED,
    conditions.IMAGE_PULL_ERROR,
    conditions.CONTAINER_START_ERROR,
    conditions.CRASH_LOOP,
    conditions.POD_EVICTED,
    conditions.VOLUMES_NOT_MOUNTED,
    conditions.UNSCHEDULABLE,
    conditions.PODS_REFUSED,
)
# What the kubelet tries again without end, and what does not mend itself.
FINAL = frozenset(
    [
        conditions.CONTAINER_OOM_KILLED,
        conditions.IMAGE_PULL_ERROR,
        conditions.CONTAINER_START_ERROR,
        conditions.VOLUMES_NOT_MOUNTED,
        conditions.PODS_REFUSED,
    ]
)
# A Pod that is deleted leaves its GPUs when its grace is over, and a scheduler sees that soon.
ROOM_SECONDS = 60.0
# What a Deployment says whose Pods are refused: by a quota, Pod Security, a webhook.
REPLICA_FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a Pod does not serve."""

    reason: str
    message: str
    since: float = 0.0
    """Seconds since the epoch; before that it is the ordinary course of things."""

    @property
    def final(self) -> bool:
        """Whether it stays until somebody acts."""
        return self.reason in FINAL


def trouble(
    pods: Sequence[Object], workload: Object | None, now: float, *, replacing: bool = False
) -> Trouble | None:
    """The gravest trouble of these Pods and of what makes them, None when nothing says of any.
    `replacing` says that new Pods wait for the room of old ones."""
    said = [*_of_all(pods, replacing), *_refused(workload)]
    found = [each for each in said if each.since <= now]
    return min(found, key=lambda each: GRAVITY.index(each.reason), default=None)


def trouble_in(pods: Sequence[Object], now: float, *, replacing: bool = False) -> float | None:
    """In how many seconds there is trouble though nothing changes; None where there will not be."""
    times = (each.since - now for each in _of_all(pods, replacing))
    return min((each for each in times if each > 0), default=None)


def _of_all(pods: Sequence[Object], replacing: bool) -> Iterator[Trouble]:
    going = (_time(pod["metadata"].get("deletionTimestamp")) for pod in pods)
    room = max((at + ROOM_SECONDS for at in going if at), default=0.0)
    for each in (each for pod in pods for each in _of(pod)):
        if each.reason == conditions.UNSCHEDULABLE:
            patience = each.since + ROOM_SECONDS if replacing else 0.0
            yield replace(each, since=max(room, patience))
        else:
            yield each


def _refused(workload: Object | None) -> Iterator[Trouble]:
    status = (workload or {}).get("status") or {}
    failed = find_condition(_list(status, "conditions"), REPLICA_FAILURE)
    if workload is not None and failed is not None and failed.get("status") == "True":
        said = one_line(str(failed.get("message") or failed.get("reason", "")), MESSAGE_LENGTH)
        subject = f"{workload['kind']} {workload['metadata']['name']}"
        message = f"No Pods can be made for {subject}: {said.rstrip('. ')}."
        yield Trouble(reason=conditions.PODS_REFUSED, message=message)


def _of(pod: Object) -> Iterator[Trouble]:
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        return
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        yield _trouble(conditions.POD_EVICTED, name, "was evicted", status.get("message"))
    for condition in _list(status, "conditions"):
        if (
            condition.get("type") == "PodScheduled"
            and condition.get("status") == "False"
            and condition.get("reason") == "Unschedulable"
        ):
            said = condition.get("message")
            found = _trouble(conditions.UNSCHEDULABLE, name, "fits on no node", said)
            yield replace(found, since=_time(condition.get("lastTransitionTime")))
    late = overdue_at(pod)
    if late is not None:
        yield replace(_trouble(conditions.VOLUMES_NOT_MOUNTED, name, waits(pod), ""), since=late)
    for container in (*_list(status, "initContainerStatuses"), *_list(status, "containerStatuses")):
        yield from _of_container(name, container)


def _of_container(pod: str, container: Object) -> Iterator[Trouble]:
    subject = f"{pod}, container {container.get('name', '')},"
    state, last = container.get("state") or {}, container.get("lastState") or {}
    for ended in (state.get("terminated"), last.get("terminated")):
        if ended and ended.get("reason") == "OOMKilled" and not container.get("ready"):
            yield _trouble(
                conditions.CONTAINER_OOM_KILLED, subject, "ran out of memory", _last_words(ended)
            )
    waiting = state.get("waiting") or {}
    reason = WAITING.get(str(waiting.get("reason")))
    if reason:
        said = waiting.get("message")
        code = (last.get("terminated") or {}).get("exitCode")
        if reason == conditions.CRASH_LOOP and code is not None:
            said = f"its last exit code was {code}"
            words = _last_words(last["terminated"])
            said += f", its last words: {words}" if words else ""
        yield _trouble(reason, subject, f"waits: {waiting['reason']}", said)


def _last_words(ended: Object) -> str:
    """What a container said at its end: the last line of a message that may be a log's end."""
    lines = str(ended.get("message") or "").splitlines()
    return next((each.strip() for each in reversed(lines) if each.strip()), "")


def _trouble(reason: str, subject: str, words: str, said: object) -> Trouble:
    detail = f": {said}" if said else ""
    text = f"Pod {subject} {words}{detail}".rstrip(". ") + "."
    return Trouble(reason=reason, message=_shortened(one_line(text, len(text))))


def _shortened(text: str) -> str:
    """The text, its middle replaced by dots where it is too long."""
    if len(text) <= MESSAGE_LENGTH:
        return text
    return text[: MESSAGE_LENGTH - TAIL_LENGTH - 5] + " ... " + text[-TAIL_LENGTH:]


def _time(timestamp: object) -> float:
    """Seconds since the epoch, 0 for what is no time."""
    try:
        return parse_rfc3339(str(timestamp))
    except ValueError:
        return 0.0


def _list(status: Object, name: str) -> Sequence[Object]:
    found: Sequence[Object] = status.get(name) or ()
    return found
