"""Which pods stand behind a Service, and where the proxy sends a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaito.local.kinds import PODS, SERVICES
from kaito.local.network.indexes import by_label
from kaito.local.network.resolver import Resolver
from kaito.local.network.slices import selected_pods, selects, slice_content, target_port
from kaito.runtime import Key, Object, Store
from kaito.runtime.store import WritableStore
from kaito.runtime.wire import open_object


def service(**spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": 5000, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": "ns", "name": "s"},
        "spec": {"selector": {"app": "a"}, "ports": ports, **spec},
    }


def pod(name: str, ready: bool = True, ip: str = "10.244.0.9", **labels: str) -> Object:
    return {
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": name,
            "labels": {"app": "a", **labels},
        },
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 5000}]}],
        },
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def store_of(resource: Any, *objects: Object) -> Store[Object]:
    store: WritableStore[Object] = WritableStore(resource, {"label": by_label})
    for obj in objects:
        store.put(*open_object(json.dumps(obj).encode()))
    return store


def test_a_selector_selects_and_none_selects_nothing() -> None:
    assert selects(service(), {"app": "a", "b": "c"})
    assert not selects(service(), {"app": "b"})
    assert not selects(service(selector=None), {"app": "a"})


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": 80, "targetPort": 5000}, 5000),
        ({"port": 80}, 80),
        ({"port": 80, "targetPort": "web"}, 5000),
        ({"port": 80, "targetPort": "none"}, None),
        ({"port": 80, "targetPort": "8080"}, 8080),
    ],
)
def test_a_target_port_has_a_number_or_a_name(port: Any, expected: int | None) -> None:
    assert target_port(port, pod("p")) == expected


def test_a_slice_lists_the_pods_and_their_state() -> None:
    leaving = pod("c", ip="10.244.0.11")
    leaving["metadata"]["deletionTimestamp"] = "now"
    unready, homeless = pod("b", ready=False, ip="10.244.0.10"), pod("d", ip="")
    content = slice_content(service(), [pod("a"), unready, leaving, homeless])
    assert content["ports"] == [{"name": "http", "port": 5000, "protocol": "TCP"}]
    seen = {each["targetRef"]["name"]: each["conditions"] for each in content["endpoints"]}
    assert seen == {
        "a": {"ready": True, "serving": True, "terminating": False},
        "b": {"ready": False, "serving": False, "terminating": False},
        "c": {"ready": False, "serving": True, "terminating": True},
    }


def test_some_services_want_unready_pods_too() -> None:
    content = slice_content(service(publishNotReadyAddresses=True), [pod("a", ready=False)])
    assert content["endpoints"][0]["conditions"]["ready"]


def test_pods_are_found_by_their_labels() -> None:
    store = store_of(PODS, pod("a"), pod("b", app="b"), pod("c", more="x"))
    assert [each["metadata"]["name"] for each in selected_pods(service(), store)] == ["a", "c"]


@pytest.mark.parametrize(
    ("kind", "name", "port", "expected"),
    [
        ("services", "s", "80", ("127.0.0.1", 4711)),
        ("services", "s", "http", ("127.0.0.1", 4711)),
        ("services", "s", "", ("127.0.0.1", 4711)),
        ("services", "s", "81", None),
        ("services", "t", "80", None),
        ("pods", "real", "5000", ("127.0.0.1", 4711)),
        ("pods", "real", "web", ("127.0.0.1", 4711)),
        ("pods", "real", "", ("127.0.0.1", 4711)),
        ("pods", "real", "80", None),
        ("pods", "unreal", "5000", None),
        ("pods", "none", "5000", None),
    ],
)
def test_the_proxy_finds_the_process(
    kind: str, name: str, port: str, expected: tuple[str, int] | None
) -> None:
    resolver = Resolver(
        store_of(SERVICES, service()),
        store_of(PODS, pod("unreal"), pod("unready", ready=False), pod("real")),
        lambda key, number: 4711 if (key, number) == (Key("ns", "real"), 5000) else None,
    )
    assert resolver("ns", kind, name, port) == expected
