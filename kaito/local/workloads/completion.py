"""When a Job starts pods, and when it is over: pure decisions.

Every pod is counted once: first its uid is written into the status, then its finalizer is taken
away, then the number goes up. A crash in between loses and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kaito.local.workloads.completions import criteria_met, index_of, parse, write
from kaito.local.workloads.failures import (
    failures_of_index,
    has_failed,
    index_is_lost,
    meaning,
    pause_before_next,
)
from kaito.local.workloads.podview import OVER, deletion_rank, is_active, is_deleting, is_ready
from kaito.local.workloads.podview import phase as phase_of
from kaito.runtime import Object, find_condition, is_true, parse_rfc3339, rfc3339

TRACKING = "batch.kubernetes.io/job-tracking"
BURST = 500  # pods made or removed at once
_MESSAGES = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "DeadlineExceeded": "Job was active longer than specified deadline",
    "MaxFailedIndexesExceeded": "Job has exceeded the specified maximal number of failed indexes",
    "FailedIndexes": "Job has failed indexes",
    "CompletionsReached": "Reached expected number of succeeded pods",
}
SUCCESS, FAILURE = "SuccessCriteriaMet", "FailureTarget"
_END = {SUCCESS: "Complete", FAILURE: "Failed"}


@dataclass(frozen=True, slots=True)
class Start:
    """A pod to make. `index` is None unless completions are indexed; `failures` and `ignored`
    are what its index has behind it, None where no limit per index is set."""

    index: int | None = None
    failures: int | None = None
    ignored: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What to do about a Job, in this order: write the status, release, delete, create."""

    status: Object
    release: tuple[str, ...] = ()
    """Pods that need the Job's finalizer no more."""
    delete: tuple[str, ...] = ()
    create: tuple[Start, ...] = ()
    again: float | None = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class _Tally:
    """What is known of the pods. Names of uids that wait to be counted are in `uncounted`."""

    job: Object
    pods: Sequence[Object]
    active: list[Object] = field(init=False)
    succeeded_uids: list[str] = field(default_factory=list)
    failed_uids: list[str] = field(default_factory=list)
    succeeded: int = 0
    """Counted for good."""
    failed: int = 0
    done: set[int] = field(default_factory=set)
    """Indexes that have succeeded."""
    lost: set[int] | None = None
    """Indexes that have failed for good; None without a limit per index."""
    release: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.active = [pod for pod in self.pods if is_active(pod)]

    @property
    def all_succeeded(self) -> int:
        if is_indexed(self.job):
            return len(self.done)
        return self.succeeded + len(self.succeeded_uids)

    @property
    def all_failed(self) -> int:
        return self.failed + len(self.failed_uids)


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_over(job: Object) -> bool:
    """Whether the Job has finished, well or badly."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(is_true(conditions, end) for end in _END.values())


def plan(job: Object, pods: Sequence[Object], now: float, backoff: float) -> JobPlan:
    """The pods to make or remove and the status to show; `backoff` is the pause after the first
    failure in seconds, doubled by each further one."""
    before = job.get("status", {})
    if is_over(job):
        return JobPlan(status=before, release=tuple(_name(pod) for pod in pods if _tracked(pod)))
    suspended = bool(job["spec"].get("suspend"))
    start = before.get("startTime") or ("" if suspended else rfc3339(now))
    tally = _count(job, pods)
    verdict, left = _verdict(job, tally, now, start)
    conditions = list(before.get("conditions") or ())
    delete: list[Object] = []
    create: list[Start] = []
    waits = [left] if left is not None else []
    if verdict is not None:
        delete = tally.active
        tally.release += [_name(pod) for pod in delete if _tracked(pod)]
        if verdict.type == FAILURE:
            tally.failed_uids += [pod["metadata"]["uid"] for pod in delete if _tracked(pod)]
    elif not job["metadata"].get("deletionTimestamp"):
        delete, create, pause = _moves(job, tally, now, backoff)
        # These are no failures: the Job itself does not want them any more.
        tally.release += [_name(pod) for pod in delete if _tracked(pod)]
        waits += [pause] if pause else []
        verdict = _completed(job, tally)
        if verdict is None:
            conditions, changed = _with_suspension(conditions, suspended, now)
            start = ("" if suspended else rfc3339(now)) if changed else start
    staying = [pod for pod in tally.active if pod not in delete]
    terminating = sum(is_deleting(pod) and phase_of(pod) not in OVER for pod in pods) + len(delete)
    ended = not (tally.succeeded_uids or tally.failed_uids or terminating)
    if verdict is not None:
        conditions = _with_verdict(conditions, verdict, now, ended=ended)
    status = _status(job, tally, staying, conditions, start)
    status["terminating"] = terminating
    if staying or create:
        status["active"] = len(staying) + len(create)
    if is_true(conditions, "Complete"):
        status["completionTime"] = rfc3339(now)
    return JobPlan(
        status=status,
        release=tuple(dict.fromkeys(tally.release)),
        delete=tuple(map(_name, delete)),
        create=tuple(create),
        again=min(waits) if waits else None,
    )


def _count(job: Object, pods: Sequence[Object]) -> _Tally:
    """Take over what was counted, and what has ended since."""
    before = job.get("status", {})
    uncounted = before.get("uncountedTerminatedPods") or {}
    tally = _Tally(job, pods, succeeded=before.get("succeeded", 0), failed=before.get("failed", 0))
    tracked = {pod["metadata"]["uid"]: pod for pod in pods if _tracked(pod)}
    for uid in uncounted.get("succeeded") or ():
        if uid in tracked:
            tally.succeeded_uids.append(uid)
        else:
            tally.succeeded += 1
    for uid in uncounted.get("failed") or ():
        if uid in tracked:
            tally.failed_uids.append(uid)
        else:
            tally.failed += 1
    leaving = bool(job["metadata"].get("deletionTimestamp"))
    below = job["spec"].get("completions") or 0
    if is_indexed(job):
        tally.done = parse(before.get("completedIndexes", ""), below)
    for uid, pod in tracked.items():
        failed, succeeded = has_failed(pod, job), phase_of(pod) == "Succeeded"
        if not (failed or succeeded or leaving):
            continue
        tally.release.append(_name(pod))
        index = index_of(pod, below)
        if uid in tally.failed_uids or uid in tally.succeeded_uids:
            continue
        if succeeded and is_indexed(job):
            tally.done |= {index} if index is not None else set()
        elif succeeded:
            tally.succeeded_uids.append(uid)
        elif failed and meaning(job, pod).counts and (index is not None or not is_indexed(job)):
            tally.failed_uids.append(uid)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        tally.lost = parse(before.get("failedIndexes") or "", below)
        tally.lost |= {
            index
            for index, own in _by_index(job, pods).items()
            if index not in tally.done and index_is_lost(job, own)
        }
    return tally


def _verdict(
    job: Object, tally: _Tally, now: float, start: str
) -> tuple[_Verdict | None, float | None]:
    """How the Job ends (None while it goes on), and seconds until it is too late."""
    spec = job["spec"]
    conditions = job.get("status", {}).get("conditions") or ()
    for type_ in (SUCCESS, FAILURE):
        known = find_condition(conditions, type_)
        if known is not None and known["status"] == "True":
            return _Verdict(type_, known["reason"], known["message"]), None
    failed = [pod for pod in tally.pods if has_failed(pod, job)]
    told = next((text for pod in failed if (text := meaning(job, pod).job)), "")
    if told:
        return _Verdict(FAILURE, "PodFailurePolicy", told), None
    if tally.all_failed > spec.get("backoffLimit", 6) or _restarted_too_often(job, tally.active):
        return _failure("BackoffLimitExceeded"), None
    deadline, left = spec.get("activeDeadlineSeconds"), None
    if deadline is not None and start and not spec.get("suspend"):
        left = parse_rfc3339(start) + deadline - now
        if left <= 0:
            return _failure("DeadlineExceeded"), None
    if tally.lost is not None:
        most = spec.get("maxFailedIndexes")
        if most is not None and len(tally.lost) > most:
            return _failure("MaxFailedIndexesExceeded"), None
        if tally.lost and len(tally.lost) + len(tally.done) >= spec["completions"]:
            return _failure("FailedIndexes"), None
    met = criteria_met(job, tally.done)
    return (_Verdict(SUCCESS, "SuccessPolicy", met) if met else None), left


def _failure(reason: str) -> _Verdict:
    return _Verdict(FAILURE, reason, _MESSAGES[reason])


def _restarted_too_often(job: Object, active: Sequence[Object]) -> bool:
    """Failures of containers that are restarted in their pod count, too."""
    if job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(
        each.get("restartCount", 0)
        for pod in active
        for name in ("initContainerStatuses", "containerStatuses")
        for each in pod.get("status", {}).get(name) or ()
    )
    return bool(restarts) and restarts >= job["spec"].get("backoffLimit", 6)


def _completed(job: Object, tally: _Tally) -> _Verdict | None:
    completions = job["spec"].get("completions")
    # Without a number of completions pods share a queue: one success ends it for all.
    enough = tally.all_succeeded >= (completions if completions is not None else 1)
    if not enough or tally.active:
        return None
    return _Verdict(SUCCESS, "CompletionsReached", _MESSAGES["CompletionsReached"])


def _moves(
    job: Object, tally: _Tally, now: float, backoff: float
) -> tuple[list[Object], list[Start], float]:
    """The pods to remove, those to make, and the pause before that may be done."""
    spec, active = job["spec"], tally.active
    if spec.get("suspend"):
        return list(active), [], 0.0
    completions, parallelism = spec.get("completions"), spec.get("parallelism", 1)
    if completions is None:
        # A work queue: once one pod has succeeded, no more are started.
        wanted = len(active) if tally.all_succeeded else parallelism
    else:
        wanted = max(0, min(parallelism, completions - tally.all_succeeded))
    surplus = _surplus(job, active, len(active) - wanted, tally.done)
    if surplus:
        return surplus[:BURST], [], 0.0
    missing = wanted - len(active)
    if spec.get("podReplacementPolicy") == "Failed":
        missing -= sum(is_deleting(pod) and phase_of(pod) not in OVER for pod in tally.pods)
    if missing <= 0:
        return [], [], 0.0
    if tally.lost is None:
        pause = pause_before_next(job, tally.pods, now, backoff)
        if pause:
            return [], [], pause
    if not is_indexed(job):
        return [], [Start()] * min(missing, BURST), 0.0
    return [], *_starts(job, tally, min(missing, BURST), now, backoff)


def _surplus(job: Object, active: Sequence[Object], least: int, done: set[int]) -> list[Object]:
    """Pods whose index is done or another's, and then those that are missed least."""
    ranked = sorted(active, key=deletion_rank)
    if not is_indexed(job):
        return ranked[: max(0, least)]
    seen = set(done)
    needless = []
    for pod in reversed(ranked):
        index = index_of(pod, job["spec"]["completions"])
        if index is None or index in seen:
            needless.append(pod)
        else:
            seen.add(index)
    others = [pod for pod in ranked if pod not in needless]
    return needless + others[: max(0, least - len(needless))]


def _starts(
    job: Object, tally: _Tally, most: int, now: float, backoff: float
) -> tuple[list[Start], float]:
    by_index = _by_index(job, tally.pods)
    busy = {index for index, own in by_index.items() if any(map(is_active, own))}
    busy |= tally.done | (tally.lost or set())
    free = [index for index in range(job["spec"]["completions"]) if index not in busy][:most]
    if tally.lost is None:
        return [Start(index) for index in free], 0.0
    starts, pauses = [], []
    for index in free:
        own = by_index.get(index, [])
        pause = pause_before_next(job, own, now, backoff)
        if pause:
            pauses.append(pause)
        else:
            starts.append(Start(index, *failures_of_index(job, own)))
    return starts, min(pauses) if pauses and not starts else 0.0


def _status(
    job: Object, tally: _Tally, active: Sequence[Object], conditions: list[Object], start: str
) -> Object:
    uncounted = {"succeeded": tally.succeeded_uids, "failed": tally.failed_uids}
    status: Object = {
        "ready": sum(map(is_ready, active)),
        "uncountedTerminatedPods": {name: uids for name, uids in uncounted.items() if uids},
    }
    succeeded = len(tally.done) if is_indexed(job) else tally.succeeded
    counts = {"succeeded": succeeded, "failed": tally.failed}
    status |= {name: count for name, count in counts.items() if count}
    texts = {"startTime": start, "completedIndexes": write(tally.done)}
    status |= {name: text for name, text in texts.items() if text}
    if tally.lost is not None:
        status["failedIndexes"] = write(tally.lost)
    if conditions:
        status["conditions"] = conditions
    return status


def _with_suspension(
    conditions: list[Object], suspended: bool, now: float
) -> tuple[list[Object], bool]:
    """The conditions that say whether the Job is suspended, and whether that is news."""
    found = find_condition(conditions, "Suspended")
    if (found["status"] == "True" if found is not None else False) == suspended:
        return conditions, False
    word = "suspended" if suspended else "resumed"
    said = condition("Suspended", f"Job{word.capitalize()}", f"Job {word}", now)
    said["status"] = "True" if suspended else "False"
    if found is None:
        return [*conditions, said], True
    return [said if each is found else each for each in conditions], True


def _with_verdict(
    conditions: list[Object], verdict: _Verdict, now: float, *, ended: bool
) -> list[Object]:
    """What was decided, and once every pod has been counted, that the Job is over."""
    types = (verdict.type, _END[verdict.type]) if ended else (verdict.type,)
    missing = [each for each in types if not is_true(conditions, each)]
    return conditions + [
        condition(type_, verdict.reason, verdict.message, now) for type_ in missing
    ]


def condition(type_: str, reason: str, message: str, now: float) -> Object:
    """A condition of a Job that holds from now on."""
    return {
        "type": type_,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": rfc3339(now),
        "lastTransitionTime": rfc3339(now),
    }


def _by_index(job: Object, pods: Sequence[Object]) -> Mapping[int, list[Object]]:
    found: dict[int, list[Object]] = {}
    for pod in pods:
        index = index_of(pod, job["spec"].get("completions") or 0)
        if index is not None:
            found.setdefault(index, []).append(pod)
    return found


def _tracked(pod: Object) -> bool:
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _name(pod: Object) -> str:
    name: str = pod["metadata"]["name"]
    return name
