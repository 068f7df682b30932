"""What a controller said: Events on its objects, and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.runtime import Client, Metrics, Object, Resource

EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedEvent:
    """One Event as the API server holds it."""

    type: str
    """Normal or Warning."""
    reason: str
    message: str
    count: int
    kind: str
    """Of the object that it is about."""
    namespace: str
    name: str


class CapturedEvents:
    """The Events of a cluster, read from its server at each call."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def about(self, name: str = "", *, namespace: str = "") -> Sequence[CapturedEvent]:
        """The Events about objects of this name and namespace, oldest first; "" is any."""
        listing = await self._client.list(EVENTS, namespace=namespace)
        events = sorted(listing.items, key=lambda event: int(event["metadata"]["resourceVersion"]))
        captured = [_captured(event) for event in events]
        return [event for event in captured if name in ("", event.name)]

    async def reasons(self, name: str = "", *, namespace: str = "") -> Sequence[str]:
        """The reasons alone, oldest first."""
        return [event.reason for event in await self.about(name, namespace=namespace)]


def _captured(event: Object) -> CapturedEvent:
    regarding = event.get("involvedObject", {})
    series = event.get("series") or {}
    return CapturedEvent(
        type=event.get("type", ""),
        reason=event.get("reason", ""),
        message=event.get("message", ""),
        count=series.get("count") or event.get("count") or 1,
        kind=regarding.get("kind", ""),
        namespace=regarding.get("namespace", ""),
        name=regarding.get("name", ""),
    )


class CapturedMetrics:
    """The metrics of what is under test. Hand `.metrics` to its Manager."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()

    def value(self, name: str, /, **labels: str) -> float:
        """The samples of this name whose labels include `labels`, summed; 0 when there are none.

        A histogram has no sample of its own name: ask for its `_count` or `_sum`. KeyError when
        there is no such metric.
        """
        total, known = 0.0, False
        for family in self.metrics.registry.collect():
            # A family without samples yet still has its name, which lacks a counter's suffix.
            known = known or name in _sample_names(family.name, family.type)
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    total += sample.value
        if not known:
            raise KeyError(f"There is no metric {name!r}.")
        return total


def _sample_names(family: str, kind: str) -> Sequence[str]:
    match kind:
        case "counter":
            return (f"{family}_total",)
        case "histogram":
            return (f"{family}_bucket", f"{family}_count", f"{family}_sum")
        case _:
            return (family,)
