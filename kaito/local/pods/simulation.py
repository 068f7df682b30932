"""What a simulated container does as time passes. Pure: the seconds since it was begun go in.

How it fails is asked for by annotations (kaito.local.rehearsal).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kaito.local.pods import events
from kaito.local.pods.containers import CREATING, REASON_COMPLETED, REASON_ERROR, ContainerState
from kaito.local.profile import Profile
from kaito.local.rehearsal import NOTHING, SLOW, Asked, PodFault
from kaito.runtime import Object

ERR_PULL, PULL_BACK_OFF = "ErrImagePull", "ImagePullBackOff"
CRASH_LOOP = "CrashLoopBackOff"
OUT_OF_MEMORY = 137  # 128 and the number of SIGKILL
SHORTEST_PAUSE = 0.01  # seconds: a loop must take some time
# How long a kubelet shows the error itself before it shows that it waits, of the whole pause.
_ERROR_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Moment:
    """A container's state, and in how many seconds it changes (None: no more)."""

    state: ContainerState
    again: float | None = None


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the steps of a container take, in seconds."""

    pull: float
    start: float
    work: float

    @classmethod
    def of(cls, profile: Profile, asked: Asked) -> Durations:
        slow = SLOW if asked.fault is PodFault.SLOW else 1.0
        pull = profile.image_pull
        if asked.image_size is not None and profile.pull_rate:
            pull = asked.image_size / profile.pull_rate
        start = profile.container_start if asked.start is None else asked.start
        if asked.weights is not None and profile.download_rate:
            start += asked.weights / profile.download_rate
        return cls(pull * slow, start * slow, profile.job_run * slow)


def runs_to_completion(pod: Object) -> bool:
    """Whether the pod is a Job's, whose program ends by itself."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] == "Job" for owner in owners)


def at(
    elapsed: float,
    began: float,
    container: Mapping[str, Any],
    pod: Object,
    profile: Profile,
    asked: Asked = NOTHING,
) -> Moment:
    """The state of a container `elapsed` seconds after it was begun, at time `began`."""
    took = Durations.of(profile, asked)
    if elapsed < took.pull:
        return Moment(CREATING, took.pull - elapsed)
    started = took.pull
    failures = asked.times
    if asked.fault is PodFault.IMAGE:
        tries = _Tries(profile, each=took.pull, first_pause=0)
        number, since, until = tries.at(elapsed - took.pull)
        if not failures or number < failures:
            return _not_pulled(container["image"], since, until, profile)
        started += tries.begin(failures)
    if elapsed < started + took.start:
        return Moment(CREATING, started + took.start - elapsed)
    started += took.start
    if asked.fault in (PodFault.CRASH, PodFault.OUT_OF_MEMORY):
        memory = asked.fault is PodFault.OUT_OF_MEMORY
        code, reason = (OUT_OF_MEMORY, "OOMKilled") if memory else (asked.exit_code, REASON_ERROR)
        crash = _Crash(code, reason, began + started, asked, profile)
        return crash.at(elapsed - started, container, pod)
    ready = asked.fault is not PodFault.UNREADY
    running = ContainerState(is_="running", started=began + started, ready=ready)
    if not runs_to_completion(pod):
        return Moment(running)
    return _working(running, elapsed - started, took.work)


def _working(running: ContainerState, elapsed: float, work: float) -> Moment:
    if elapsed < work:
        return Moment(running, work - elapsed)
    return Moment(
        ContainerState(
            is_="terminated",
            reason=REASON_COMPLETED,
            started=running.started,
            ended=running.started + work,
            restarts=running.restarts,
        )
    )


def _not_pulled(image: str, since: float, until: float, profile: Profile) -> Moment:
    """The state `since` seconds after an attempt failed, `until` the next one."""
    shown = _ERROR_SHARE * (since + until)
    message = pull_error(image)
    if since < shown:
        return Moment(
            ContainerState(is_="waiting", reason=ERR_PULL, message=message), shown - since
        )
    told = f'Back-off pulling image "{image}": {ERR_PULL}: {message}'
    return Moment(ContainerState(is_="waiting", reason=PULL_BACK_OFF, message=told), until)


def pull_error(image: str) -> str:
    """What containerd says of an image that its registry does not have."""
    name, _, _ = image.partition("@")
    full = image if ":" in name.rsplit("/", 1)[-1] or "@" in image else f"{image}:latest"
    if "." not in full.split("/", 1)[0] or "/" not in full:
        full = f"docker.io/{full}" if "/" in full else f"docker.io/library/{full}"
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{full}": '
        f'failed to resolve reference "{full}": {full}: not found'
    )


@dataclass(frozen=True, slots=True)
class _Tries:
    """Attempts that fail, each taking `each` seconds, with pauses that double in between. The
    `first_pause` counts up from there: -1 is one more attempt without any."""

    profile: Profile
    each: float
    first_pause: int

    def _pauses(self) -> Iterator[float]:
        number = self.first_pause
        while True:
            yield restart_pause(number, self.profile) if number >= 0 else 0.0
            number += 1

    def at(self, elapsed: float) -> tuple[int, float, float]:
        """(attempts that ended after the first, seconds since the last end, until the next), all
        counted from the end of the first attempt."""
        number, ended = 0, 0.0
        for pause in self._pauses():
            following = ended + pause + self.each
            if elapsed < following:
                return number, elapsed - ended, following - elapsed
            number, ended = number + 1, following
            if pause >= max(SHORTEST_PAUSE, self.profile.restart_backoff_cap):
                # From here on all is equal: no need to walk through an idle week.
                more = int((elapsed - ended) // (pause + self.each))
                number, ended = number + more, ended + more * (pause + self.each)
        raise AssertionError

    def begin(self, number: int) -> float:
        """When the attempt of that number ends, counted from the end of the first."""
        pauses = self._pauses()
        return sum(next(pauses) + self.each for _ in range(number))


@dataclass(frozen=True, slots=True)
class _Crash:
    """A program that ends `asked.after` seconds after each start, first started at `first`."""

    code: int
    reason: str
    first: float
    asked: Asked
    profile: Profile

    def at(self, elapsed: float, container: Mapping[str, Any], pod: Object) -> Moment:
        """Where it stands `elapsed` seconds after its first start."""
        after = self.asked.after
        if elapsed < after:
            return Moment(self._running(0, 0.0), after - elapsed)
        tries = _Tries(self.profile, each=after, first_pause=-1)
        number, since, until = tries.at(elapsed - after)
        if self.asked.times and number + 1 >= self.asked.times:
            return self._healed(elapsed, tries, pod)
        ended = elapsed - since
        last = self._ended(number, ended)
        if pod["spec"].get("restartPolicy") == "Never":
            return Moment(self._ended(0, after))
        if until <= after:
            # Started again, and not ended yet.
            return Moment(self._running(number + 1, elapsed + until - after, last), until)
        pause = restart_pause(number - 1, self.profile) if number else 0.0
        metadata = pod["metadata"]
        whole = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        message = (
            f"back-off {events.duration(pause)} restarting failed "
            f"container={container['name']} pod={whole}"
        )
        waiting = ContainerState(
            is_="waiting", reason=CRASH_LOOP, message=message, restarts=number, last=last
        )
        return Moment(waiting, until - after)

    def _healed(self, elapsed: float, tries: _Tries, pod: Object) -> Moment:
        number = self.asked.times
        ended = self.asked.after + tries.begin(number - 1)
        pause = restart_pause(number - 2, self.profile) if number > 1 else 0.0
        last = self._ended(number - 1, ended)
        if elapsed < ended + pause:
            waiting = ContainerState(
                is_="waiting", reason=CRASH_LOOP, restarts=number - 1, last=last
            )
            return Moment(waiting, ended + pause - elapsed)
        running = self._running(number, ended + pause, last)
        if not runs_to_completion(pod):
            return Moment(running)
        work = Durations.of(self.profile, self.asked).work
        return _working(running, elapsed - ended - pause, work)

    def _running(
        self, restarts: int, since: float, last: ContainerState | None = None
    ) -> ContainerState:
        started = self.first + since
        return ContainerState(
            is_="running", started=started, ready=True, restarts=restarts, last=last
        )

    def _ended(self, restarts: int, at: float) -> ContainerState:
        return ContainerState(
            is_="terminated",
            reason=self.reason,
            exit_code=self.code,
            started=self.first + at - self.asked.after,
            ended=self.first + at,
            restarts=restarts,
        )


def told(
    before: ContainerState | None, now: ContainerState, container: Mapping[str, Any], pod: Object
) -> list[events.Told]:
    """What a kubelet tells of a container that went from one state to another; None: it began."""
    image = container.get("image", "")
    said: list[events.Told] = []
    if before is None:
        said.append(events.pulling(image))
    if now in (CREATING, before):
        return said
    waited = before is None or before == CREATING or before.reason in (ERR_PULL, PULL_BACK_OFF)
    match now.reason:
        case "ErrImagePull":
            if before is not None and before.reason == PULL_BACK_OFF:
                said.append(events.pulling(image))
            failed = f'Failed to pull image "{image}": {now.message}'
            said += [events.Told("Warning", "Failed", failed)]
            return [*said, events.Told("Warning", "Failed", f"Error: {ERR_PULL}")]
        case "ImagePullBackOff":
            said.append(events.Told("Normal", "BackOff", f'Back-off pulling image "{image}"'))
            return [*said, events.Told("Warning", "Failed", f"Error: {PULL_BACK_OFF}")]
    if waited:
        said += [events.pulled(image, 0.0), events.CREATED, events.STARTED]
    elif before is not None and now.restarts > before.restarts:
        said += [events.present(image), events.CREATED, events.STARTED]
    if now.reason == CRASH_LOOP:
        metadata = pod["metadata"]
        whole = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        said.append(events.backing_off(container["name"], whole))
    return said


def restart_pause(restarts: int, profile: Profile) -> float:
    """Seconds to wait before a container is started again that was started again so often."""
    # The exponent is bounded because a float is.
    pause: float = profile.restart_backoff * 2 ** min(restarts, 30)
    return max(SHORTEST_PAUSE, min(pause, profile.restart_backoff_cap))
