"""A source of nodes whose calls are timed and whose refusals are counted.

It changes no answer and no refusal. The names of the first two metrics are karpenter's, so that its
dashboards show ours; a call ends when the cloud has accepted an operation, not when that is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

from kaito.api.launch import INSUFFICIENT_CAPACITY
from kaito.provisioner import Absent, CloudError, NodeRequest, NodeSource, Pool
from kaito.provisioner.wrapped import Wrapped
from kaito.runtime import Clock

if TYPE_CHECKING:
    from kaito.provisioner.source import PoolMachine

# Seconds; a call ends within a minute.
CALL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)


class CallTallies:
    """Of the calls to the cloud. `known` gives an instance type's name in the catalogue, "other"
    for none, so that there are few of them whoever writes claims."""

    def __init__(self, registry: CollectorRegistry, known: Callable[[str], str]) -> None:
        self._known = known
        # karpenter's `controller` is "" where the caller has no name, and a list answers several.
        labels = ["controller", "method", "provider"]
        self._duration = Histogram(
            "karpenter_cloudprovider_duration_seconds",
            "Duration of calls to the cloud, by method.",
            labels,
            buckets=CALL_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "karpenter_cloudprovider_errors_total",
            "Calls that the cloud refused; InsufficientCapacityError where a size cannot be had.",
            [*labels, "error"],
            registry=registry,
        )
        self._refusals = Counter(
            "kaito_cloud_refusals_total",
            "Calls that the cloud refused, by what stood in the way; the instance type of those "
            "that asked for one.",
            ["cause", "instance_type"],
            registry=registry,
        )

    def called(self, method: str, provider: str, seconds: float) -> None:
        """A call has ended, well or not."""
        self._duration.labels("", method, provider).observe(seconds)

    def refused(self, method: str, provider: str, error: CloudError, instance_type: str) -> None:
        """A call was refused. `instance_type` is "" where none was asked for."""
        cause = error.failure.cause
        kind = INSUFFICIENT_CAPACITY if cause.unavailable else ""
        self._errors.labels("", method, provider, kind).inc()
        asked = self._known(instance_type) if instance_type else ""
        self._refusals.labels(cause.value, asked).inc()


class Measured(Wrapped):
    """The same source, measured."""

    def __init__(self, source: NodeSource, tallies: CallTallies, clock: Clock) -> None:
        super().__init__(source)
        self._tallies = tallies
        self._clock = clock

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        """See NodeSource."""
        with self._measured("Create", instance_type):
            return await super().launch(request, instance_type)

    async def observe(self, name: str) -> Pool | Absent:
        """See NodeSource."""
        with self._measured("Get"):
            return await super().observe(name)

    async def pools(self) -> list[Pool]:
        """See NodeSource."""
        with self._measured("List"):
            return await super().pools()

    async def delete(self, pool: Pool) -> Pool | Absent:
        """See NodeSource."""
        with self._measured("Delete"):
            return await super().delete(pool)

    async def resize(self, pool: Pool, count: int) -> Pool | Absent:
        """See NodeSource."""
        with self._measured("Resize"):
            return await super().resize(pool, count)

    async def machines(self, name: str) -> list[PoolMachine]:
        """See NodeSource."""
        with self._measured("ListMachines"):
            return await super().machines(name)

    async def delete_machine(self, pool: Pool, machine: PoolMachine) -> Pool | Absent:
        """See NodeSource."""
        with self._measured("DeleteMachine"):
            return await super().delete_machine(pool, machine)

    @contextmanager
    def _measured(self, method: str, instance_type: str = "") -> Iterator[None]:
        began, asked = self._clock.monotonic(), True
        try:
            yield
        except CloudError as error:
            asked = error.failure.asked
            if asked:
                self._tallies.refused(method, self.cloud, error, instance_type)
            raise
        finally:
            if asked:
                self._tallies.called(method, self.cloud, self._clock.monotonic() - began)
