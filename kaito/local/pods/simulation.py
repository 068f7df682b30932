"""What a simulated container does as time passes. Pure: the seconds since it was bound go in.

How pods fail is asked for by the annotation `local.kaito.sh/fault` on a pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kaito.local.pods.containers import CREATING, REASON_COMPLETED, ContainerState
from kaito.local.profile import Profile
from kaito.runtime import Object

POD_FAULT = "local.kaito.sh/fault"


class PodFault(StrEnum):
    """The ways in which a simulated container can fail."""

    IMAGE = "image-pull"
    """The image cannot be pulled."""
    CRASH = "crash"
    """The program ends with status 1 as soon as it is started, and again."""
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel kills the program when it is started, and again."""
    UNREADY = "never-ready"
    """It runs and its readiness probe never succeeds."""


_EXITS = {PodFault.CRASH: (1, "Error"), PodFault.OUT_OF_MEMORY: (137, "OOMKilled")}


@dataclass(frozen=True, slots=True)
class Moment:
    """A container's state, and in how many seconds it changes (None: no more)."""

    state: ContainerState
    again: float | None = None


def fault_of_pod(pod: Object) -> PodFault | None:
    """The failure a pod asks for; an unknown value asks for none."""
    value = (pod["metadata"].get("annotations") or {}).get(POD_FAULT)
    return PodFault(value) if value in tuple(PodFault) else None


def runs_to_completion(pod: Object) -> bool:
    """Whether the pod is a Job's, whose program ends by itself."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] == "Job" for owner in owners)


def at(
    elapsed: float, bound: float, container: Mapping[str, Any], pod: Object, profile: Profile
) -> Moment:
    """The state of a container `elapsed` seconds after its pod was bound, at time `bound`."""
    fault = fault_of_pod(pod)
    pulled = profile.image_pull
    started = pulled + profile.container_start
    if elapsed < pulled:
        return Moment(CREATING, pulled - elapsed)
    if fault is PodFault.IMAGE:
        image = container.get("image", "")
        return Moment(
            ContainerState(
                is_="waiting",
                reason="ImagePullBackOff",
                message=f'Back-off pulling image "{image}": simulated failure',
            )
        )
    if elapsed < started:
        return Moment(CREATING, started - elapsed)
    if fault in _EXITS:
        code, reason = _EXITS[fault]
        return _crashing(elapsed - started, bound + started, code, reason, pod, profile)
    ended = started + profile.job_run
    if runs_to_completion(pod):
        if elapsed >= ended:
            return Moment(
                ContainerState(
                    is_="terminated",
                    reason=REASON_COMPLETED,
                    started=bound + started,
                    ended=bound + ended,
                )
            )
        running = ContainerState(is_="running", started=bound + started, ready=True)
        return Moment(running, ended - elapsed)
    ready = fault is not PodFault.UNREADY
    return Moment(ContainerState(is_="running", started=bound + started, ready=ready))


def _crashing(
    since: float, first: float, code: int, reason: str, pod: Object, profile: Profile
) -> Moment:
    """A program that ends as soon as it is started, `since` seconds after its first start."""
    if pod["spec"].get("restartPolicy") == "Never":
        ended = ContainerState(
            is_="terminated", reason=reason, exit_code=code, started=first, ended=first
        )
        return Moment(ended)
    restarts, begun = 0, 0.0
    while begun + (pause := restart_pause(restarts, profile)) <= since:
        begun += pause
        restarts += 1
        if pause >= profile.restart_backoff_cap:
            # From here on the pauses are equal: no need to walk through an idle week.
            more = int((since - begun) // pause)
            restarts, begun = restarts + more, begun + more * pause
    last = ContainerState(
        is_="terminated", reason=reason, exit_code=code, started=first + begun, ended=first + begun
    )
    waiting = ContainerState(
        is_="waiting",
        reason="CrashLoopBackOff",
        message=f"back-off {pause:g}s restarting failed container",
        restarts=restarts,
        last=last,
    )
    return Moment(waiting, begun + pause - since)


def restart_pause(restarts: int, profile: Profile) -> float:
    """Seconds to wait before a container is started again that was started again so often."""
    # The exponent is bounded because a float is.
    pause: float = profile.restart_backoff * 2 ** min(restarts, 30)
    return min(pause, profile.restart_backoff_cap)
