"""Limit ranges fill pods and refuse those out of bounds; tables tell how a pod is in a word."""

from __future__ import annotations

from typing import Any

import pytest

from test.conformance.client import TABLE, Api
from test.conformance.objects import Space, pod

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]


async def limit(api: Api, ns: Space, kind: str, **bounds: Object) -> None:
    path = ns.path("/api/v1", "limitranges")
    spec = {"limits": [{"type": kind, **bounds}]}
    (await api.create(path, {"metadata": {"name": "bounds"}, "spec": spec})).ok()


def asking(**resources: Object) -> Object:
    return pod("p", containers=[{"name": "main", "image": "model:1", "resources": resources}])


async def test_a_limit_range_fills_what_a_pod_leaves_open(api: Api, ns: Space) -> None:
    await limit(
        api, ns, "Container", default={"cpu": "2", "memory": "1Gi"}, defaultRequest={"cpu": "1"}
    )
    stored = (await api.create(ns.pods(), asking(requests={"memory": "1Mi"}))).ok().body
    assert stored["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi"},
        "requests": {"cpu": "1", "memory": "1Mi"},
    }
    assert stored["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": (
            "LimitRanger plugin set: cpu request for container main; "
            "cpu, memory limit for container main"
        )
    }
    assert stored["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("kind", "bounds", "resources", "says"),
    [
        (
            "Container",
            {"max": {"memory": "1Gi"}},
            {"limits": {"memory": "2Gi"}},
            "maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        (
            "Pod",
            {"max": {"memory": "1Gi"}},
            {},
            "maximum memory usage per Pod is 1Gi.  No limit is specified",
        ),
        (
            "Pod",
            {"min": {"cpu": "1"}},
            {"requests": {"cpu": "500m"}},
            "minimum cpu usage per Pod is 1, but request is 500m",
        ),
        (
            "Container",
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
    ],
)
async def test_a_pod_out_of_bounds_is_refused(
    api: Api, ns: Space, kind: str, bounds: Object, resources: Object, says: str
) -> None:
    await limit(api, ns, kind, **bounds)
    answer = await api.create(ns.pods(), asking(**resources))
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert answer.message == f'pods "p" is forbidden: {says}'


def container(**state: Object) -> list[Object]:
    ready = "running" in state
    return [
        {
            "name": "main",
            "image": "",
            "imageID": "",
            "ready": ready,
            "restartCount": 2,
            "state": state,
        }
    ]


@pytest.mark.parametrize(
    ("status", "ready", "state"),
    [
        ({"phase": "Pending"}, "0/1", "Pending"),
        ({"phase": "Running", "containerStatuses": container(running={})}, "1/1", "Running"),
        (
            {
                "phase": "Running",
                "containerStatuses": container(waiting={"reason": "CrashLoopBackOff"}),
            },
            "0/1",
            "CrashLoopBackOff",
        ),
        (
            {"phase": "Failed", "containerStatuses": container(terminated={"exitCode": 3})},
            "0/1",
            "ExitCode:3",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": container(terminated={"exitCode": 137, "signal": 9}),
            },
            "0/1",
            "Signal:9",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
    ],
)
async def test_the_table_says_how_a_pod_is(
    api: Api, ns: Space, status: Object, ready: str, state: str
) -> None:
    await api.create(ns.pods(), pod("p"))
    (await api.merge(ns.pods("p", "status"), {"status": status})).ok()
    row = (await api.get(ns.pods("p"), accept=TABLE)).body["rows"][0]["cells"]
    assert row[1:3] == [ready, state]


async def test_the_table_says_that_a_pod_waits_for_gates(api: Api, ns: Space) -> None:
    await api.create(ns.pods(), pod("p", schedulingGates=[{"name": "wait"}]))
    row = (await api.get(ns.pods("p"), accept=TABLE)).body["rows"][0]["cells"]
    assert row[2] == "SchedulingGated"
