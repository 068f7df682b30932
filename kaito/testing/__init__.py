"""The kit for testing controllers: clusters in memory, time that moves when told to, faults.

    async def test_it_labels(kube: Cluster, kube_client: Client) -> None:
        async with running(build(kube_client)):
            await kube_client.create(SERVICES, service)
            await eventually(labelled, kube)

The fixtures are in `kaito.testing.plugin`. Nothing in here is imported by a daemon.
"""

from kaito.testing.captured import CapturedEvent, CapturedEvents, CapturedMetrics
from kaito.testing.clock import VirtualClock
from kaito.testing.cluster import Cluster
from kaito.testing.fake import FakeApi, refusal_event
from kaito.testing.faults import Faults
from kaito.testing.running import running
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
    "Faults",
    "Pulse",
    "Script",
    "ScriptedReply",
    "SharedCluster",
    "Stream",
    "VirtualClock",
    "changes_of",
    "eventually",
    "refusal_event",
    "running",
]
