"""Metrics under the names that dashboards for controller-runtime already know.

One `Metrics` belongs to one registry, given by the application; nothing here is global.
Names, labels and buckets: controller-runtime and client-go; ours begin with `kaito_runtime_`.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RECONCILE_BUCKETS: Sequence[float] = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
    1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
)  # fmt: skip
QUEUE_BUCKETS: Sequence[float] = tuple(1e-8 * 10**power for power in range(12))
LAG_BUCKETS: Sequence[float] = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REQUEST_BUCKETS: Sequence[float] = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)


class Metrics:
    """Every metric of the library, registered once in `registry`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        controller, queue = ["controller"], ["name", "controller"]

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def gauge(name: str, text: str, labels: list[str]) -> Gauge:
            return Gauge(name, text, labels, registry=self.registry)

        def histogram(
            name: str, text: str, labels: list[str], buckets: Sequence[float]
        ) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

        self.reconcile_total = counter(
            "controller_runtime_reconcile_total",
            "Reconciles by outcome.",
            ["controller", "result"],
        )
        self.reconcile_errors = counter(
            "controller_runtime_reconcile_errors_total", "Reconciles that raised.", controller
        )
        self.terminal_errors = counter(
            "controller_runtime_terminal_reconcile_errors_total",
            "Reconciles that raised Terminal, which is not retried.",
            controller,
        )
        self.reconcile_panics = counter(
            "controller_runtime_reconcile_panics_total",
            "Reconciles that raised something other than an API failure or Terminal.",
            controller,
        )
        self.reconcile_timeouts = counter(
            "controller_runtime_reconcile_timeouts_total",
            "Reconciles that ran into the controller's own deadline.",
            controller,
        )
        self.reconcile_time = histogram(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a reconcile.",
            controller,
            RECONCILE_BUCKETS,
        )
        self.max_concurrent = gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers configured.", controller
        )
        self.active_workers = gauge(
            "controller_runtime_active_workers", "Workers busy now.", controller
        )
        self.queue_depth = gauge(
            "workqueue_depth", "Keys waiting to be worked on.", ["name", "controller", "priority"]
        )
        self.queue_adds = counter(
            "workqueue_adds_total", "Keys that became ready to be worked on.", queue
        )
        self.queue_retries = counter("workqueue_retries_total", "Adds with a delay.", queue)
        self.queue_latency = histogram(
            "workqueue_queue_duration_seconds",
            "Time a key waited, from ready to handed out.",
            queue,
            QUEUE_BUCKETS,
        )
        self.queue_work = histogram(
            "workqueue_work_duration_seconds",
            "Time a key was worked on.",
            queue,
            QUEUE_BUCKETS,
        )
        self.queue_unfinished = gauge(
            "workqueue_unfinished_work_seconds", "Ages of the keys being worked on, summed.", queue
        )
        self.queue_longest = gauge(
            "workqueue_longest_running_processor_seconds",
            "Age of the key worked on for longest.",
            queue,
        )
        self.requests = counter(
            "rest_client_requests_total", "Calls by answer.", ["code", "method", "host"]
        )
        self.request_duration = histogram(
            "rest_client_request_duration_seconds",
            "Duration of a call, body included.",
            ["verb", "host"],
            REQUEST_BUCKETS,
        )
        self.request_retries = counter(
            "rest_client_request_retries_total",
            "Calls repeated because the server asked for it or the connection broke.",
            ["code", "verb", "host"],
        )
        self.leader = gauge(
            "leader_election_master_status", "1 while this process leads.", ["name"]
        )
        self.leader_slowpath = counter(
            "leader_election_slowpath_total", "Renewals that had to read the lease.", ["name"]
        )
        self.relists = counter(
            "kaito_runtime_relists_total",
            "Full lists by reason.",
            ["resource", "reason"],
        )
        self.events = counter(
            "kaito_runtime_watch_events_total", "Watch events received.", ["resource"]
        )
        self.last_event_age = gauge(
            "kaito_runtime_watch_idle_seconds",
            "Seconds since the watch last said anything, bookmarks included.",
            ["resource", "scope"],
        )
        self.store_objects = gauge(
            "kaito_runtime_store_objects", "Objects in the cache.", ["resource", "scope"]
        )
        self.unreadable_objects = gauge(
            "kaito_runtime_unreadable_objects",
            "Objects that are not in the cache because they could not be read.",
            ["resource", "scope"],
        )
        self.fence_holds = counter(
            "kaito_runtime_fence_holds_total",
            "Keys held back until the cache caught up with a write, by outcome.",
            ["controller", "outcome"],
        )
        self.applies = counter(
            "kaito_runtime_applies_total",
            "Server-side applies, by whether a request was needed.",
            ["resource", "sent"],
        )
        self.recorded_events = counter(
            "kaito_runtime_recorded_events_total",
            "Events recorded, by what became of them.",
            ["outcome"],
        )
        self.loop_lag = Histogram(
            "kaito_runtime_loop_lag_seconds",
            "How late the event loop comes round, looked at ten times a second.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self.gc_pauses = Histogram(
            "kaito_runtime_gc_pause_seconds",
            "Stops by the garbage collector that lasted a millisecond or more.",
            buckets=LAG_BUCKETS,
            registry=self.registry,
        )
        self.webhook_latency = histogram(
            "controller_runtime_webhook_latency_seconds",
            "Duration of an admission review.",
            ["webhook"],
            QUEUE_BUCKETS,
        )
        self.webhook_requests = counter(
            "controller_runtime_webhook_requests_total",
            "Admission reviews by path and HTTP status.",
            ["webhook", "code"],
        )
        self.webhook_in_flight = gauge(
            "controller_runtime_webhook_requests_in_flight",
            "Admission reviews being judged now.",
            ["webhook"],
        )
        self.webhook_panics = counter(
            "controller_runtime_webhook_panics_total",
            "Admission reviews whose handler raised something other than Denied.",
            [],
        )
        self.webhook_late = counter(
            "kaito_runtime_webhook_late_total",
            "Admission reviews whose handler ran past its deadline, cut off or not.",
            ["webhook"],
        )
        self.certificate_reads = counter(
            "certwatcher_read_certificate_total", "Serving certificates read.", []
        )
        self.certificate_errors = counter(
            "certwatcher_read_certificate_errors_total",
            "Serving certificates that could not be used; the earlier one is kept.",
            [],
        )
