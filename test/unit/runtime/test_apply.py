"""A write that would change nothing is not sent; one that would change anything always is."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from kaito.runtime import Applier, Client, Metrics, Object, Resource, would_change
from kaito.runtime.store import WritableStore
from kaito.runtime.wire import open_object
from kaito.testing import FakeApi

DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)

CONTAINER = {
    "name": "main",
    "image": "app:1",
    "args": ["--a", "--b"],
    "env": [{"name": "A", "value": "1"}],
    "ports": [{"containerPort": 80, "name": "http"}],
}
DESIRED = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "d",
        "namespace": "ns",
        "labels": {"app": "x"},
        "ownerReferences": [
            {"apiVersion": "kaito.sh/v1beta1", "kind": "Workspace", "name": "w", "uid": "wu"}
        ],
        "finalizers": ["one", "two"],
    },
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {
            "metadata": {"labels": {"app": "x"}},
            "spec": {
                "containers": [CONTAINER],
                "volumes": [{"name": "v", "emptyDir": {}}],
            },
        },
    },
}
# The tree that kube-apiserver 1.36 writes for DESIRED: keys of lists with their defaults filled
# in, but no field that was not sent.
OWNED = {
    "f:metadata": {
        "f:labels": {"f:app": {}},
        "f:ownerReferences": {'k:{"uid":"wu"}': {}},
        "f:finalizers": {'v:"one"': {}, 'v:"two"': {}},
    },
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:args": {},
                        "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                        "f:ports": {
                            'k:{"containerPort":80,"protocol":"TCP"}': {
                                ".": {}, "f:containerPort": {}, "f:name": {},
                            }
                        },
                    }
                },
                "f:volumes": {'k:{"name":"v"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
            },
        },
    },
}  # fmt: skip


def entry(fields: Object, subresource: str = "", manager: str = "us") -> Object:
    extra = {"subresource": subresource} if subresource else {}
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields, **extra}


def stored() -> Object:
    """DESIRED as the server keeps it: with defaults, other people's fields and a status."""
    current: Object = copy.deepcopy(DESIRED)
    current["metadata"] |= {
        "uid": "u",
        "resourceVersion": "5",
        "generation": 2,
        "annotations": {"other": "theirs"},
        "managedFields": [entry(OWNED)],
    }
    current["metadata"]["labels"]["theirs"] = "y"
    current["metadata"]["finalizers"] = ["theirs", "two", "one"]
    current["spec"]["strategy"] = {"type": "RollingUpdate"}
    pod = current["spec"]["template"]["spec"]
    pod["restartPolicy"] = "Always"
    main = pod["containers"][0]
    main["ports"][0]["protocol"] = "TCP"
    main["env"].insert(0, {"name": "THEIRS", "value": "2"})
    pod["containers"].insert(0, {"name": "sidecar", "image": "mesh"})
    current["status"] = {"replicas": 1}
    return current


def at(obj: Object, *path: Any) -> Any:
    for step in path:
        obj = obj[step]
    return obj


MAIN = ("spec", "template", "spec", "containers", 0)


def edited(*path: Any, to: Any) -> Object:
    desired: Object = copy.deepcopy(DESIRED)
    at(desired, *path[:-1])[path[-1]] = to
    return desired


def without(*path: Any) -> Object:
    desired: Object = copy.deepcopy(DESIRED)
    del at(desired, *path[:-1])[path[-1]]
    return desired


def test_what_is_there_already_and_ours_needs_no_request() -> None:
    assert not would_change(stored(), DESIRED, manager="us")


@pytest.mark.parametrize(
    "desired",
    [
        edited("spec", "replicas", to=2),
        edited("metadata", "labels", "app", to="y"),
        edited("metadata", "labels", "new", to="z"),
        edited("metadata", "annotations", to={"a": "b"}),
        edited("spec", "selector", to={"matchLabels": {"app": "y"}}),
        edited(*MAIN, "image", to="app:2"),
        edited(*MAIN, "args", to=["--b", "--a"]),
        edited(*MAIN, "args", to=[]),
        edited(*MAIN, "env", 0, "value", to="2"),
        edited(*MAIN, "env", to=[{"name": "B", "value": "1"}]),
        edited(*MAIN, "env", to=[{"name": "A", "value": "1"}, {"name": "B"}]),
        edited(*MAIN, "ports", 0, "containerPort", to=81),
        edited(*MAIN, "ports", 0, "protocol", to="UDP"),
        edited("metadata", "ownerReferences", 0, "controller", to=True),
        edited("metadata", "finalizers", to=["one"]),
        edited("metadata", "finalizers", to=["one", "three"]),
        edited("spec", "template", "spec", "volumes", 0, "emptyDir", to={"medium": "Memory"}),
    ],
)
def test_a_different_value_is_sent(desired: Object) -> None:
    assert would_change(stored(), desired, manager="us")


@pytest.mark.parametrize(
    "desired",
    [
        without("spec", "replicas"),
        without("metadata", "labels"),
        without("metadata", "ownerReferences"),
        without("metadata", "finalizers", 0),
        without(*MAIN, "args"),
        without(*MAIN, "env"),
        without(*MAIN, "ports", 0, "name"),
        without("spec", "template", "spec", "volumes"),
    ],
)
def test_a_removal_is_sent(desired: Object) -> None:
    assert would_change(stored(), desired, manager="us")


def test_order_counts_in_plain_lists_and_not_in_lists_with_keys_or_sets() -> None:
    assert not would_change(
        stored(), edited("metadata", "finalizers", to=["two", "one"]), manager="us"
    )


@pytest.mark.parametrize(
    "path", [("spec", "replicas"), ("metadata", "labels", "app"), (*MAIN, "image")]
)
def test_somebody_elses_change_to_a_field_of_ours_is_undone(path: tuple[Any, ...]) -> None:
    current = stored()
    if path[:3] == MAIN[:3]:
        path = ("spec", "template", "spec", "containers", 1, "image")
    at(current, *path[:-1])[path[-1]] = 99
    assert would_change(current, DESIRED, manager="us")


def test_a_field_of_ours_that_vanished_is_sent_again() -> None:
    current = stored()
    del current["spec"]["replicas"]
    assert would_change(current, DESIRED, manager="us")


def test_fields_that_we_have_never_applied_are_not_ours_though_equal() -> None:
    current = stored()
    current["metadata"]["managedFields"] = [entry(OWNED, manager="kubectl")]
    assert would_change(current, DESIRED, manager="us")
    current["metadata"].pop("managedFields")
    assert would_change(current, DESIRED, manager="us")


def test_what_an_update_wrote_is_not_what_we_applied() -> None:
    current = stored()
    current["metadata"]["managedFields"][0]["operation"] = "Update"
    assert would_change(current, DESIRED, manager="us")


# Ports: two protocols on one number, one of them by default


def ports(*given: Object) -> Object:
    return {"spec": {"ports": list(given)}}


TCP = {"port": 80, "name": "a"}
UDP = {"port": 80, "protocol": "UDP", "name": "b"}
OWNED_PORTS = {
    'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}},
    'k:{"port":80,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}},
}


def service(owned: Object = OWNED_PORTS) -> Object:
    current = ports({**TCP, "protocol": "TCP"}, UDP)
    current["metadata"] = {"managedFields": [entry({"f:spec": {"f:ports": owned}})]}
    return current


@pytest.mark.parametrize(
    ("desired", "expected"),
    [
        (ports(TCP, UDP), False),
        (ports(UDP, TCP), False),
        (ports(TCP, {**UDP, "name": "c"}), True),
        (ports({**TCP, "name": "c"}, UDP), True),
        (ports(TCP), True),
        (ports(UDP), True),
        (ports({**TCP, "protocol": "TCP"}, UDP), True),
    ],
)
def test_a_port_without_a_protocol_is_found_and_none_is_taken_for_another(
    desired: Object, expected: bool
) -> None:
    assert would_change(service(), desired, manager="us") is expected


def test_a_protocol_that_is_no_longer_given_is_a_change() -> None:
    owned = {'k:{"port":80,"protocol":"UDP"}': OWNED_PORTS['k:{"port":80,"protocol":"UDP"}']}
    assert would_change(service(owned), ports({"port": 80, "name": "b"}), manager="us")


def test_a_path_element_that_we_do_not_know_costs_a_request_and_no_crash() -> None:
    assert would_change(service({"i:0": {}, "i:1": {}}), ports(TCP, UDP), manager="us")


# Status


STATUS = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "metadata": {"name": "w", "namespace": "ns"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}], "state": "Ready"},
}
OWNED_STATUS = {
    "f:status": {
        "f:state": {},
        "f:conditions": {'k:{"type":"Ready"}': {".": {}, "f:type": {}, "f:status": {}}},
    }
}


def test_status_and_the_rest_are_owned_apart() -> None:
    current = copy.deepcopy(STATUS) | {"spec": {"x": 1}}
    current["metadata"] = {
        "managedFields": [entry({"f:spec": {"f:x": {}}}), entry(OWNED_STATUS, "status")]
    }
    main = {"metadata": {"name": "w"}, "spec": {"x": 1}}
    assert not would_change(current, STATUS, manager="us", subresource="status")
    assert not would_change(current, main, manager="us")
    assert would_change(current, main, manager="us", subresource="status")
    other = copy.deepcopy(STATUS)
    other["status"]["conditions"][0]["status"] = "False"
    assert would_change(current, other, manager="us", subresource="status")


def test_a_status_that_another_manager_shares_is_still_ours_in_part() -> None:
    current = copy.deepcopy(STATUS)
    current["status"]["conditions"].insert(0, {"type": "Theirs", "status": "True"})
    current["metadata"]["managedFields"] = [entry(OWNED_STATUS, "status")]
    assert not would_change(current, STATUS, manager="us", subresource="status")


# The applier


async def test_row_14_a_restart_sends_nothing(
    api: FakeApi, client: Client, metrics: Metrics
) -> None:
    store: WritableStore[Object] = WritableStore(DEPLOYMENTS)
    store.put(*open_object(msgspec.json.encode(stored()), "us"))
    applier = Applier(client, metrics=metrics)
    assert await applier.apply(store, DESIRED) is False
    assert api.calls == []
    assert await applier.apply(store, edited("spec", "replicas", to=2)) is True
    assert [str(call) for call in api.calls] == ["PATCH /apis/apps/v1/namespaces/ns/deployments/d"]
    counted = {
        sent: metrics.registry.get_sample_value(
            "kaito_runtime_applies_total", {"resource": "deployments.apps", "sent": sent}
        )
        for sent in ("yes", "no")
    }
    assert counted == {"yes": 1, "no": 1}


async def test_what_is_not_in_the_cache_is_sent(api: FakeApi, client: Client) -> None:
    assert await Applier(client).apply(WritableStore(DEPLOYMENTS), DESIRED)


async def test_status_goes_to_its_subresource(api: FakeApi, client: Client) -> None:
    workspaces: Resource[Object] = Resource("kaito.sh", "v1beta1", "workspaces", "Workspace")
    api.put(workspaces, "w", "ns")
    await Applier(client).apply_status(WritableStore(workspaces), STATUS)
    assert api.calls[0].path.endswith("/workspaces/w/status")


async def test_a_cluster_scoped_object_is_found_whatever_namespace_it_names(
    api: FakeApi, client: Client
) -> None:
    current = {
        "metadata": {"name": "n", "labels": {"a": "b"}, "managedFields": [
            entry({"f:metadata": {"f:labels": {"f:a": {}}}})]},
    }  # fmt: skip
    store: WritableStore[Object] = WritableStore(NODES)
    store.put(*open_object(msgspec.json.encode(current), "us"))
    desired = {"metadata": {"name": "n", "namespace": "stray", "labels": {"a": "b"}}}
    assert await Applier(client).apply(store, desired) is False
