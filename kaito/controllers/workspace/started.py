"""Whether a training runs, and what keeps it from that. Pure.

All but the last of its containers are init containers, so a Pod that trains for hours is Pending
all the while, in Kubernetes' words. What counts here is whether a container has run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kaito.api import conditions, tuning
from kaito.controllers.workspace import weights
from kaito.controllers.workspace.ended import cause, containers, is_over
from kaito.controllers.workspace.judgement import Verdict
from kaito.controllers.workspace.pods import trouble, trouble_in
from kaito.runtime import Object, parse_rfc3339

# A Job's controller makes the Pod within a second, and tries again for ever where it may not: that
# is told by Events alone, which the manager does not read.
POD_SECONDS = 60.0
DOES: Mapping[str, str] = {
    weights.PULLER: "fetches the model",
    tuning.DOWNLOADER: "downloads the data",
    tuning.PULLER: "pulls the data",
    tuning.TRAINER: "trains the model",
    tuning.PUSHER: "stores the result",
}


def pending(message: str) -> Verdict:
    """That the training has not started."""
    return Verdict(truth="False", reason=conditions.JOB_PENDING, message=message)


def started(job: Object, pods: Sequence[Object], now: float) -> Verdict:
    """Whether a Job that has not ended runs; `pods` are its own."""
    name = job["metadata"]["name"]
    if (job.get("spec") or {}).get("suspend"):
        return pending(f"Job {name} is suspended by somebody else.")
    live = current(pods)
    if live is None:
        return _without_pod(job, pods, now)
    wrong = trouble([live], None, now)
    # What a container that has ended says is its Job's to judge, which may try again.
    if wrong is not None and wrong.reason != conditions.CONTAINER_OOM_KILLED:
        return Verdict(truth="False", reason=wrong.reason, message=wrong.message, final=wrong.final)
    doing = busy(live)
    if not doing:
        return pending(f"Pod {live['metadata']['name']} of Job {name} is about to start.")
    return Verdict(
        truth="True",
        reason=conditions.JOB_HAS_STARTED,
        message=f"Job {name} {DOES.get(doing, f'runs {doing}')}.{_before(pods)}",
    )


def look_again(job: Object, pods: Sequence[Object], now: float) -> float | None:
    """Seconds until there may be trouble though nothing changes; None where there will not be."""
    live = current(pods)
    if live is not None:
        return trouble_in([live], now)
    late = _made(job) + POD_SECONDS - now
    return late if late > 0 and not pods else None


def current(pods: Sequence[Object]) -> Object | None:
    """The Pod of the present attempt."""
    going = (p for p in reversed(pods) if not is_over(p) and not _deleting(p))
    return next(going, None)


def busy(pod: Object) -> str:
    """The container that runs, or was the last to; "" where none has run."""
    ran = [
        str(each.get("name", ""))
        for each in containers(pod)
        if {"running", "terminated"} & (each.get("state") or {}).keys()
    ]
    return ran[-1] if ran else ""


def _without_pod(job: Object, pods: Sequence[Object], now: float) -> Verdict:
    name = job["metadata"]["name"]
    why = _failure(pods)
    if why:
        return pending(f"{why} Job {name} tries it again.")
    if not pods and now >= _made(job) + POD_SECONDS:
        namespace = job["metadata"].get("namespace", "default")
        return Verdict(
            truth="False",
            reason=conditions.PODS_REFUSED,
            message=f"No Pod is made for Job {name}: a quota, Pod Security or a webhook is in the "
            f"way, and kubectl describe job {name} -n {namespace} says which.",
            final=True,
        )
    return pending(f"Job {name} waits for its Pod.")


def _before(pods: Sequence[Object]) -> str:
    """What went wrong at the attempt before, to be added to a sentence."""
    why = _failure([pod for pod in pods if is_over(pod)])
    return f" The attempt before: {why}" if why else ""


def _failure(pods: Sequence[Object]) -> str:
    """Why the last Pod failed of which that is known, "" where nothing says so."""
    return next((found[1] for pod in reversed(pods) if (found := cause(pod))), "")


def _made(job: Object) -> float:
    """When a Job was made, in seconds since the epoch; 0 where nobody says."""
    try:
        return parse_rfc3339(str(job["metadata"].get("creationTimestamp")))
    except ValueError:
        return 0.0


def _deleting(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
