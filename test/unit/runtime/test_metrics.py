"""Names that dashboards know, in a registry of one's own."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from kaito.runtime import Metrics

NAMES = [
    "controller_runtime_reconcile_total",
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_terminal_reconcile_errors_total",
    "controller_runtime_reconcile_panics_total",
    "controller_runtime_reconcile_timeouts_total",
    "controller_runtime_reconcile_time_seconds",
    "controller_runtime_max_concurrent_reconciles",
    "controller_runtime_active_workers",
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_retries_total",
    "workqueue_queue_duration_seconds",
    "workqueue_work_duration_seconds",
    "workqueue_unfinished_work_seconds",
    "workqueue_longest_running_processor_seconds",
    "rest_client_requests_total",
    "rest_client_request_duration_seconds",
    "rest_client_request_retries_total",
    "leader_election_master_status",
    "leader_election_slowpath_total",
    "controller_runtime_webhook_latency_seconds",
    "controller_runtime_webhook_requests_total",
    "controller_runtime_webhook_requests_in_flight",
    "controller_runtime_webhook_panics_total",
    "certwatcher_read_certificate_total",
    "certwatcher_read_certificate_errors_total",
]


@pytest.mark.parametrize("name", NAMES)
def test_dashboards_for_controller_runtime_find_their_metrics(name: str) -> None:
    families = {family.name for family in Metrics().registry.collect()}
    assert name.removesuffix("_total") in families


def test_ours_carry_our_prefix() -> None:
    families = {family.name for family in Metrics().registry.collect()}
    others = families - {name.removesuffix("_total") for name in NAMES}
    assert all(name.startswith("kaito_runtime_") for name in others)


def test_row_35_two_of_them_live_side_by_side_and_none_is_global() -> None:
    one, two = Metrics(), Metrics()
    one.relists.labels("pods", "start").inc()
    assert (
        two.registry.get_sample_value(
            "kaito_runtime_relists_total", {"resource": "pods", "reason": "start"}
        )
        is None
    )
    assert not any("kaito" in family.name for family in REGISTRY.collect())
