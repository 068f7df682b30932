"""What the sweep and the ledger count, for dashboards. Names begin with kaito_provisioner_.

Labels have few values whoever writes claims: instance types are those of the catalogue, or "other".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kaito.controllers.machine.findings import Finding, Kind

READY_BUCKETS = (30, 60, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 3600)
HOUR = 3600
LIFETIME_BUCKETS = (
    *(60, 300, 900, 1800),
    *(HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(24 * HOUR, 72 * HOUR, 168 * HOUR, 720 * HOUR),
)
PREFIX = "kaito_provisioner"


class SweepTallies:
    """Of the sweep."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._found = Gauge(
            f"{PREFIX}_sweep_findings",
            "What is left over now; unproven ones are never deleted.",
            ["kind", "proven"],
            registry=registry,
        )
        self._blocked = Gauge(
            f"{PREFIX}_sweep_blocked",
            "1 while so much is left over at once that nothing is deleted.",
            registry=registry,
        )
        self._stale = Gauge(
            f"{PREFIX}_sweep_stale",
            "1 while the caches may be stale, so that nothing is judged.",
            registry=registry,
        )
        self._removed = Counter(
            f"{PREFIX}_sweep_deleted_total", "What was deleted.", ["kind"], registry=registry
        )
        for kind in Kind:
            self._removed.labels(kind)
        self.found((), blocked=False)

    def found(self, findings: Iterable[Finding], *, blocked: bool) -> None:
        """What one sweep has found."""
        counts = {(kind, proven): 0 for kind in Kind for proven in (True, False)}
        for finding in findings:
            counts[finding.kind, finding.proven] += 1
        for (kind, proven), count in counts.items():
            self._found.labels(kind, "yes" if proven else "no").set(count)
        self._blocked.set(blocked)

    def stale(self, now: bool) -> None:
        """Whether the caches may be stale."""
        self._stale.set(now)

    def removed(self, kind: Kind) -> None:
        """One was deleted."""
        self._removed.labels(kind).inc()


class PoolTallies:
    """Of the ledger. `known` gives an instance type's name in the catalogue, "other" for none."""

    def __init__(self, registry: CollectorRegistry, known: Callable[[str], str]) -> None:
        self._known = known
        self._requested = Counter(
            f"{PREFIX}_pools_requested_total",
            "Requests for a pool, refused ones included.",
            ["instance_type"],
            registry=registry,
        )
        self._outcomes = Counter(
            f"{PREFIX}_pool_outcomes_total",
            "What became of pools; the cause is that of a refusal or failure.",
            ["outcome", "cause"],
            registry=registry,
        )
        self._ready = Histogram(
            f"{PREFIX}_pool_ready_seconds",
            "From the request for a pool until the cloud called it ready.",
            buckets=READY_BUCKETS,
            registry=registry,
        )
        self._lifetime = Histogram(
            f"{PREFIX}_pool_lifetime_seconds",
            "From the request for a pool until it was gone.",
            buckets=LIFETIME_BUCKETS,
            registry=registry,
        )
        self._cost = Gauge(
            f"{PREFIX}_hourly_cost_dollars",
            "List prices of the pools of this cluster, as far as the catalogue knows them.",
            registry=registry,
        )
        self._pools = Gauge(
            f"{PREFIX}_pools", "Pools of this cluster, at the last list.", registry=registry
        )

    def requested(self, instance_type: str) -> None:
        """A pool was asked for."""
        self._requested.labels(self._known(instance_type)).inc()

    def outcome(self, outcome: str, cause: str = "") -> None:
        """Something became of a pool."""
        self._outcomes.labels(outcome, cause).inc()

    def ready(self, seconds: float) -> None:
        """A pool is ready."""
        self._ready.observe(seconds)

    def gone(self, seconds: float) -> None:
        """A pool is gone."""
        self._lifetime.observe(seconds)

    def running(self, pools: int, usd_per_hour: float) -> None:
        """What a list of all pools showed."""
        self._pools.set(pools)
        self._cost.set(usd_per_hour)
