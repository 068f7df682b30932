"""Events and metrics, read back."""

from __future__ import annotations

import asyncio

import pytest

from kaito.runtime import EventRecorder
from kaito.testing import CapturedEvent, CapturedEvents, CapturedMetrics, Cluster, eventually

POD = {"kind": "Pod", "apiVersion": "v1", "namespace": "default", "name": "a"}


async def test_events_are_found_by_what_they_are_about(
    kube: Cluster, kube_events: CapturedEvents
) -> None:
    recorder = EventRecorder(kube.client(), component="tester")
    task = asyncio.create_task(recorder.run())
    recorder.event(POD, reason="Started", message="It runs.")
    recorder.event({**POD, "name": "b"}, type="Warning", reason="Failed", message="It does not.")

    async def both() -> bool:
        return len(await kube_events.about()) == 2

    await eventually(both, kube)
    assert await kube_events.reasons("b", namespace="default") == ["Failed"]
    assert await kube_events.about("a") == [
        CapturedEvent(
            type="Normal",
            reason="Started",
            message="It runs.",
            count=1,
            kind="Pod",
            namespace="default",
            name="a",
        )
    ]
    task.cancel()
    await asyncio.wait({task})


def test_samples_are_summed_over_the_labels_left_out(kube_metrics: CapturedMetrics) -> None:
    total = kube_metrics.metrics.reconcile_total
    total.labels("a", "success").inc(2)
    total.labels("a", "error").inc()
    total.labels("b", "success").inc(4)
    name = "controller_runtime_reconcile_total"
    assert kube_metrics.value(name, controller="a", result="success") == 2
    assert kube_metrics.value(name, controller="a") == 3
    assert kube_metrics.value(name) == 7


def test_what_was_never_counted_is_zero(kube_metrics: CapturedMetrics) -> None:
    assert kube_metrics.value("workqueue_adds_total", name="m") == 0
    assert kube_metrics.value("workqueue_queue_duration_seconds_count") == 0
    assert kube_metrics.value("workqueue_depth") == 0


def test_a_misspelt_metric_is_an_error(kube_metrics: CapturedMetrics) -> None:
    with pytest.raises(KeyError, match="workqueue_added_total"):
        kube_metrics.value("workqueue_added_total")
