"""The kit for testing controllers: clusters in memory, time that moves when told to, faults.

    async def test_it_labels(kube: Cluster, kube_client: Client) -> None:
        async with running(build(kube_client)):
            await kube_client.create(SERVICES, service)
            await eventually(labelled, kube)

The fixtures are in `kaito.testing.plugin`. Nothing in here is imported by a daemon.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kaito.testing.captured import CapturedEvent, CapturedEvents, CapturedMetrics
    from kaito.testing.clock import VirtualClock
    from kaito.testing.cluster import Cluster
    from kaito.testing.fake import FakeApi, refusal_event
    from kaito.testing.faults import Faults
    from kaito.testing.lifespan import running
    from kaito.testing.perturbing.perturbation import (
        NotRepeatable,
        NotSurvived,
        Perturbed,
        perturb,
    )
    from kaito.testing.perturbing.point import Fault, Point
    from kaito.testing.perturbing.seat import Seat
    from kaito.testing.perturbing.world import Scenario, World
    from kaito.testing.script import Script, ScriptedReply, Stream
    from kaito.testing.shared import SharedCluster
    from kaito.testing.waiting import Changes, Pulse, changes_of, eventually

__all__ = [
    "CapturedEvent",
    "CapturedEvents",
    "CapturedMetrics",
    "Changes",
    "Cluster",
    "FakeApi",
    "Fault",
    "Faults",
    "NotRepeatable",
    "NotSurvived",
    "Perturbed",
    "Point",
    "Pulse",
    "Scenario",
    "Script",
    "ScriptedReply",
    "Seat",
    "SharedCluster",
    "Stream",
    "VirtualClock",
    "World",
    "changes_of",
    "eventually",
    "perturb",
    "refusal_event",
    "running",
]


def __getattr__(name: str) -> object:
    # Imported when they are asked for: the plugin lies in this package, and every pytest of an
    # environment that has kaito loads it.
    from kaito.runtime.frontdoor import homes

    home = homes(__name__).get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
