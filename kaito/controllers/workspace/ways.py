"""Every way in which nodes are asked for, and which of them the settings choose.

Another way is a class with the three members of `Way`, entered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaito.api import machine, nodeclaim, nodepool
from kaito.controllers.workspace.ask import Ask, Way
from kaito.controllers.workspace.machine import Machines
from kaito.controllers.workspace.nodeclaim import OWN_CLASS, NodeClaims
from kaito.controllers.workspace.nodepool import AKS_CLASS, EC2_CLASS, NodePools
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.settings import NodeRequest, Settings
from kaito.runtime import Object

KINDS: dict[NodeRequest, tuple[str, ...]] = {
    "machine": (machine.KIND,),
    "nodeclaim": (nodeclaim.KIND,),
    # What becomes of a pool is told by the claims that it is made into.
    "nodepool": (nodepool.KIND, nodeclaim.KIND),
    "byo": (),
}
"""The kinds that must be served for each way."""


@dataclass(frozen=True, slots=True)
class Brought:
    """Nodes that their users bring: nothing asks for them."""

    kind: str = ""

    def more(self, kept: Sequence[Ask], short: int, names: Iterator[str]) -> tuple[Ask, ...]:
        return ()

    def written(self, plan: Plan, subject: Subject, ask: Ask) -> Object:
        raise AssertionError("nothing asks for nodes that are brought")


def way_of(settings: Settings) -> Way:
    """The way that is chosen."""
    return (
        Brought()
        if settings.node_request == "byo"
        else writer_of(KINDS[settings.node_request][0], settings)
    )


def writer_of(kind: str, settings: Settings) -> Way:
    """The way whose objects are of this kind; those of other ways are kept as they were made."""
    chosen = settings.node_class
    usual = EC2_CLASS if settings.cloud == "aws" else AKS_CLASS
    ways: dict[str, Way] = {
        machine.KIND: Machines(),
        nodeclaim.KIND: NodeClaims(settings.cloud, chosen or OWN_CLASS),
        nodepool.KIND: NodePools(settings.cloud, chosen or usual),
    }
    return ways[kind]
