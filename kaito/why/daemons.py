"""Whether the two daemons are at work, as far as their leases tell. Pure.

A lease of our own clock is compared with times of theirs, so one that ran out is believed only
after a margin; one that was given back, at once. Daemons that run without leader election hold
none: an absent lease by itself proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from kaito.api import machine, nodeclaim
from kaito.controllers.workspace.order import Order
from kaito.why.chain import Finding, Fix, Link, State, Verdict
from kaito.why.scene import Scene, moment

NAMESPACE = "kaito-system"
"""Where the daemons are unless they are told otherwise."""
CLOCKS_DIFFER = 60.0  # seconds; more than the clocks of a laptop and a cluster do
LASTING = 15.0  # seconds of a lease that does not say
# A daemon that has just started takes what is there in a moment; a busy one in a few seconds.
NOTICE = 60.0


INSTALL = "kaito crds | kubectl apply --server-side -f -"


class Life(Enum):
    """What a lease says of a daemon."""

    HELD = "held"
    ENDED = "ended"
    ABSENT = "absent"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Daemon:
    """One of ours."""

    command: str
    lease: str
    does: str


MANAGER = Daemon("manager", "kaito-workspace", "looks after Workspaces")
PROVISIONER = Daemon("provisioner", "kaito-provisioner", "makes nodes")
DAEMONS = (MANAGER, PROVISIONER)


def silence(scene: Scene) -> Finding | None:
    """That nobody does what is to be done next; None where somebody does, or nothing is."""
    if not scene.judged:
        return _silent(scene, MANAGER, scene.subject.generation, _asked_at(scene))
    if scene.meant is not None and scene.meant.status == "True":
        return None
    if life(scene, MANAGER) is Life.ENDED:
        return _not_running(scene, MANAGER, "")
    for order in _ours(scene):
        if not order.status.conditions:
            asked = moment(order.metadata.creation_timestamp)
            return _silent(scene, PROVISIONER, f"{order.kind} {order.name}", asked)
        if not order.ready and life(scene, PROVISIONER) is Life.ENDED:
            return _not_running(scene, PROVISIONER, f"{order.kind} {order.name}")
    return None


def away(scene: Scene) -> tuple[Link, ...]:
    """The manager's lease, where a Workspace serves on without it."""
    if life(scene, MANAGER) is not Life.ENDED:
        return ()
    said = f"The {MANAGER.command} is not running: no change is seen until it does."
    return (_lease(scene, MANAGER, said),)


def life(scene: Scene, daemon: Daemon) -> Life:
    """What is known of a daemon."""
    if daemon.lease not in scene.leases:
        return Life.UNSEEN
    lease = scene.leases[daemon.lease]
    if lease is None:
        return Life.ABSENT
    spec = lease.get("spec") or {}
    renewed = moment(spec.get("renewTime"))
    lasts = spec.get("leaseDurationSeconds") or LASTING
    if not spec.get("holderIdentity") or renewed is None:
        return Life.ENDED
    return Life.ENDED if renewed + lasts + CLOCKS_DIFFER < scene.now else Life.HELD


def _ours(scene: Scene) -> Iterator[Order]:
    """Claims that KAITO's provisioner has to answer."""
    kinds = (machine.KIND, nodeclaim.KIND)
    return (each for each in scene.orders if each.kind in kinds and not each.foreign)


def _asked_at(scene: Scene) -> float | None:
    """When what is written now was written, by whoever did it last."""
    metadata = scene.subject.metadata
    writes = (each for each in metadata.get("managedFields") or () if not each.get("subresource"))
    times = [moment(each.get("time")) for each in writes]
    born = moment(metadata.get("creationTimestamp"))
    return max((at for at in (*times, born) if at is not None), default=None)


def _silent(scene: Scene, daemon: Daemon, what: int | str, asked: float | None) -> Finding | None:
    """What a daemon has not noticed yet: it is not there, or will in a moment."""
    unnoticed = f"generation {what} of the Workspace" if isinstance(what, int) else what
    known = life(scene, daemon)
    late = asked is not None and scene.now - asked > NOTICE
    if known in (Life.ENDED, Life.ABSENT) or (known is Life.UNSEEN and late):
        return _not_running(scene, daemon, unnoticed)
    return Finding(
        verdict=Verdict.PROGRESSING,
        reason="Unnoticed",
        cause=f"The {daemon.command} has yet to look at {unnoticed}.",
        since=asked,
    )


def _not_running(scene: Scene, daemon: Daemon, unnoticed: str) -> Finding:
    known = life(scene, daemon)
    waits = f": {unnoticed} is unanswered" if unnoticed else ""
    seems = "does not seem to be" if known is Life.UNSEEN else "is not"
    lacks = daemon is MANAGER and machine.KIND in scene.absent
    without = (
        f" The API server has no {machine.KIND}, without which it does not start unless "
        "--node-request says otherwise."
        if lacks
        else ""
    )
    cause = f"The {daemon.command}, which {daemon.does}, {seems} running{waits}.{without}"
    also = (
        " While it is away its webhook answers nobody, and the API server refuses to create or "
        "change Workspaces where that is installed."
        if daemon is MANAGER
        else ""
    )
    link = _lease(scene, daemon, cause)
    return Finding(
        verdict=Verdict.NEEDS_YOU,
        reason=f"{daemon.command.capitalize()}NotRunning",
        cause=cause,
        since=link.since,
        fix=Fix(
            what=f"Start it, `kaito {daemon.command}`, or find out why its Pod does not run.{also}",
            commands=(
                *([INSTALL] if lacks else []),
                f"kubectl -n {NAMESPACE} get pods",
                f"kubectl -n {NAMESPACE} get lease {daemon.lease} -o yaml",
            ),
        ),
        links=(link,),
    )


def _lease(scene: Scene, daemon: Daemon, message: str) -> Link:
    """The lease of a daemon that is away."""
    lease = scene.leases.get(daemon.lease) or {}
    where = f"lease {daemon.lease} in {NAMESPACE}"
    evidence = {
        Life.ABSENT: f"no {where}",
        Life.ENDED: f"{where}, held by nobody",
        Life.UNSEEN: f"{where}, which you may not read",
        Life.HELD: where,
    }[life(scene, daemon)]
    return Link(
        kind="Lease",
        name=daemon.lease,
        namespace=NAMESPACE,
        state=State.FAILING,
        since=moment((lease.get("spec") or {}).get("renewTime")),
        evidence=evidence,
        message=message,
    )
