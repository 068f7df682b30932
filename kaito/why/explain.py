"""From what was observed to the chain that explains it. Pure: equal scenes, equal chains.

The conditions of the Workspace come first, for the manager saw more than any one moment shows. What
they name is followed down. Only where they have nothing to say yet, or nobody writes them, is the
cause taken from further down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kaito.api import conditions
from kaito.why.chain import Chain, Finding, Verdict
from kaito.why.daemons import away, silence
from kaito.why.ending import leaving
from kaito.why.facts import facts
from kaito.why.links import links
from kaito.why.nodes import asks_by, of_nodes, uninstalled
from kaito.why.pods import of_pods
from kaito.why.remedies import fix
from kaito.why.rows import WORKSPACE
from kaito.why.scene import Scene

# Reasons that speak of nodes, wherever they stand.
OF_NODES = frozenset(
    [
        conditions.RESOURCE_NOT_READY,
        conditions.MACHINE_PENDING,
        conditions.MACHINE_FAILED,
        conditions.NODE_CLAIM_NOT_READY,
        conditions.NODE_CLAIM_FAILED,
        conditions.NODE_NOT_READY,
        conditions.NODE_PLUGINS_NOT_READY,
    ]
)


def explain(scene: Scene) -> Chain:
    """Why the Workspace is as it is."""
    for finder in FINDERS:
        found = finder(scene)
        if found is not None:
            break
    else:
        found = _unsaid(scene)
    passing = found.verdict in (Verdict.PROGRESSING, Verdict.RETRYING)
    if passing and scene.failed and not scene.subject.deleting:
        found = replace(found, verdict=Verdict.NEEDS_YOU)
    return Chain(
        key=scene.subject.key,
        now=scene.now,
        verdict=found.verdict,
        reason=found.reason,
        cause=found.cause,
        since=found.since,
        fix=found.fix,
        links=(*links(scene), *found.links),
        unseen=scene.unseen,
    )


def _ready(scene: Scene) -> Finding | None:
    meant = scene.meant
    if meant is None or meant.status != "True":
        return None
    return Finding(
        verdict=Verdict.READY,
        reason=meant.reason,
        cause=meant.message,
        since=meant.since,
        links=away(scene),
    )


def _refused(scene: Scene) -> Finding | None:
    """What the manager says of the Workspace as it is written, nodes and Pods apart."""
    meant = scene.meant
    row = WORKSPACE.get(meant.reason) if meant else None
    if meant is None or row is None or meant.reason in OF_NODES or not row.what:
        return None
    return Finding(
        verdict=row.verdict,
        reason=meant.reason,
        cause=meant.message,
        since=meant.since,
        fix=fix(row, facts(scene, about=meant.message), meant.message),
    )


def _uninstalled(scene: Scene) -> Finding | None:
    """A definition that was there when the manager started, or never was."""
    kind = asks_by(scene)
    meant = scene.meant
    return uninstalled(kind, meant) if meant and kind in scene.absent else None


def _wanting(scene: Scene) -> Finding | None:
    """Nodes or Pods that are not there, or not as they should be."""
    meant = scene.meant
    if meant is None:
        return None
    if meant.type == conditions.RESOURCE_READY or meant.reason in OF_NODES:
        return of_nodes(scene, meant)
    return of_pods(scene, meant)


def _unsaid(scene: Scene) -> Finding:
    return Finding(
        verdict=Verdict.PROGRESSING,
        reason=conditions.PENDING,
        cause="Nothing has been said of this Workspace yet.",
    )


FINDERS: tuple[Callable[[Scene], Finding | None], ...] = (
    leaving,
    silence,
    _ready,
    _uninstalled,
    _refused,
    _wanting,
)
