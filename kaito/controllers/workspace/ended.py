"""How a training ended: what its Job, its Pods and the kubelet say, in one reason and one sentence.
Pure.

What containers leave as a message is quoted, for it is meant for people; what is decided follows
from exit codes and from Kubernetes' own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kaito.api import conditions, tuning
from kaito.api.words import one_line
from kaito.controllers.workspace.revisions import Ended
from kaito.runtime import Object, find_condition, is_true

MESSAGE_LENGTH = 2400  # characters; a container leaves 2 KiB, and a few words come around it
RESULT_LENGTH = 2048
COMPLETE, FAILED = "Complete", "Failed"
DISRUPTED = "DisruptionTarget"
EVICTED = "Evicted"  # by the kubelet, for what a node has too little of
# An eviction counts as none of a Job's tries, and each costs the time of a GPU node.
MOST_EVICTIONS = 5
# As the Job's controller says which of its rules it followed.
_CODE = re.compile(r"Container (\S+) for pod \S+ failed with exit code (\d{1,3}) ")


def pods_of(job: Object, pods: Sequence[Object]) -> list[Object]:
    """The Pods of this very Job, the first made first."""
    uid = job["metadata"].get("uid")
    own = [
        pod
        for pod in pods
        if any(each.get("uid") == uid for each in pod["metadata"].get("ownerReferences") or ())
    ]
    return sorted(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp") or ""))


def is_over(pod: Object) -> bool:
    """Whether none of its containers runs any more, nor ever will."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def containers(pod: Object) -> list[Object]:
    """What is said of its containers, in the order in which they run."""
    status = pod.get("status") or {}
    return [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]


def ended(job: Object, pods: Sequence[Object], run: str) -> Ended | None:
    """How a Job of this run ended; None while it has not, and while its Pods have yet to be seen to
    have ended. `pods` are its own."""
    if not all(is_over(pod) or pod["metadata"].get("deletionTimestamp") for pod in pods):
        return None  # the Job is heard of before them, and they alone say how
    status = job.get("status") or {}
    said = status.get("conditions") or ()
    uid = str(job["metadata"].get("uid", ""))
    if is_true(said, COMPLETE):
        at = str(status.get("completionTime") or "")
        return Ended(run=run, job=uid, at=at, result=_result(pods))
    failed = find_condition(said, FAILED)
    if failed is None or failed.get("status") != "True":
        return None
    reason, message = next(_causes(failed, pods))
    tries = int(status.get("failed") or 0)
    if failed.get("reason") == "BackoffLimitExceeded" and tries > 1:
        message = f"{message} It was tried {tries} times."
    return Ended(
        run=run,
        job=uid,
        at=str(failed.get("lastTransitionTime") or ""),
        reason=reason,
        message=one_line(message, MESSAGE_LENGTH),
    )


def worn_out(job: Object, pods: Sequence[Object], run: str) -> Ended | None:
    """The end of a Job whose Pods its nodes have too little for; None while that may be chance."""
    evicted = [pod for pod in pods if (pod.get("status") or {}).get("reason") == EVICTED]
    if len(evicted) < MOST_EVICTIONS:
        return None
    words = (evicted[-1].get("status") or {}).get("message") or "its node has too little"
    message = (
        f"{len(evicted)} Pods were evicted one after the other, the last one thus: "
        f"{_sentence(words)} Change tuning, or take nodes with more memory and disk."
    )
    return Ended(
        run=run,
        job=str(job["metadata"].get("uid", "")),
        at=str(evicted[-1]["metadata"].get("creationTimestamp") or ""),
        reason=conditions.EVICTED_TOO_OFTEN,
        message=one_line(message, MESSAGE_LENGTH),
    )


def cause(pod: Object) -> tuple[str, str] | None:
    """Why a Pod failed, a reason and a sentence; None where nothing says so."""
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if status.get("reason") == EVICTED or is_true(status.get("conditions") or (), DISRUPTED):
        words = status.get("message") or "its node had to do without it"
        return conditions.POD_EVICTED, f"Pod {name} was evicted: {_sentence(words)}"
    for container in containers(pod):
        found = (container.get("state") or {}).get("terminated") or {}
        code = found.get("exitCode", 0)
        if not code:
            continue
        where = f"(container {container.get('name', '')} of Pod {name}, exit code {code})"
        known = tuning.ENDINGS.get(code)
        words = str(found.get("message") or "").strip()
        # A container of which only one process was killed may know more than the kubelet.
        if known is not None:
            return known.reason, f"{_bare(words or known.sentence)} {where}."
        if found.get("reason") == "OOMKilled":
            return conditions.CONTAINER_OOM_KILLED, f"The node's memory does not suffice {where}."
        # The end of a log, where the container left no message: its last line says most.
        last = words.splitlines()[-1] if words else "It says nothing"
        return conditions.FAILED, f"{_bare(last)} {where}."
    return None


def _causes(failed: Object, pods: Sequence[Object]) -> Iterator[tuple[str, str]]:
    """Reasons for a Job's failure, the best first."""
    over = [pod for pod in reversed(pods) if is_over(pod)]
    found = [why for pod in over if (why := cause(pod)) is not None]
    # What was evicted is not what failed, where something failed as well.
    yield from (why for why in found if why[0] != conditions.POD_EVICTED)
    yield from found
    said = str(failed.get("message") or "")
    code = _CODE.match(said)
    known = tuning.ENDINGS.get(int(code[2])) if code else None
    if code and known is not None:
        yield known.reason, f"{_bare(known.sentence)} (container {code[1]}, exit code {code[2]})."
    name = str(failed.get("reason") or "")
    yield conditions.FAILED, f"The Job ended, {name}: {_sentence(said or 'it says nothing more')}"


def _result(pods: Sequence[Object]) -> str:
    """Where the result is, as the pusher says; "" where it does not."""
    for pod in reversed(pods):
        for container in containers(pod):
            found = (container.get("state") or {}).get("terminated") or {}
            if container.get("name") == tuning.PUSHER and found.get("exitCode") == 0:
                lines = str(found.get("message") or "").splitlines()
                return one_line(lines[-1], RESULT_LENGTH) if lines else ""
    return ""


def _bare(words: str) -> str:
    """A sentence to go on after, beginning like one; a link or a name that it begins with stays."""
    text = one_line(words, MESSAGE_LENGTH).rstrip(". ")
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def _sentence(words: object) -> str:
    return f"{one_line(str(words), MESSAGE_LENGTH).rstrip('. ')}."
