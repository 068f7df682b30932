"""What a kubelet tells of containers, in its words. Pure.

Only of what happens is told: nothing is said twice for being looked at twice.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Type = Literal["Normal", "Warning"]


class Told(NamedTuple):
    """An Event about a pod."""

    type: Type
    reason: str
    message: str


CREATED = Told("Normal", "Created", "Container created")
STARTED = Told("Normal", "Started", "Container started")


def pulling(image: str) -> Told:
    return Told("Normal", "Pulling", f'Pulling image "{image}"')


def pulled(image: str, seconds: float) -> Told:
    took = duration(seconds)
    said = f'Successfully pulled image "{image}" in {took} ({took} including waiting).'
    return Told("Normal", "Pulled", f"{said} Image size: 0 bytes.")


def present(image: str) -> Told:
    """The image of a container that is started again."""
    said = f'Container image "{image}" already present on machine and can be accessed by the pod'
    return Told("Normal", "Pulled", said)


def backing_off(container: str, pod: str) -> Told:
    """`pod` is NAME_NAMESPACE(UID)."""
    said = f"Back-off restarting failed container {container} in pod {pod}"
    return Told("Warning", "BackOff", said)


def duration(seconds: float) -> str:
    """As Go prints one: 10s, 1m20s, 500ms."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g}m{rest:g}s" if minutes else f"{rest:g}s"
