"""Which Node suits which pod."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kaito.local.scheduling.fit import (
    CORDONED,
    NO_MATCH,
    TAINTED,
    NodeView,
    PodNeeds,
    Refusal,
    load,
    misfit,
    pod_requests,
)
from kaito.runtime import Object

GPU_TAINT = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}


def node(name: str = "n", taints: Any = (), labels: Any = None, **allocatable: str) -> NodeView:
    amounts = {"cpu": "4", "memory": "16Gi", "pods": "3", **allocatable}
    return NodeView.of(
        {
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"taints": list(taints)},
            "status": {"allocatable": {k.replace("_", "/"): v for k, v in amounts.items()}},
        }
    )


def needs(requests: Any = None, **spec: Any) -> PodNeeds:
    container = {"name": "c", "resources": {"requests": requests or {}}}
    return PodNeeds.of({"metadata": {}, "spec": {"containers": [container], **spec}})


def affinity(*terms: Any) -> Object:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expressions(*triples: tuple[str, str, list[str]]) -> Object:
    return {"matchExpressions": [{"key": k, "operator": o, "values": v} for k, o, v in triples]}


LABELS = {"size": "big", "gen": "5"}


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({}, True),
        ({"nodeSelector": {"size": "big"}}, True),
        ({"nodeSelector": {"size": "small"}}, False),
        ({"affinity": affinity(expressions(("size", "In", ["big", "huge"])))}, True),
        ({"affinity": affinity(expressions(("size", "In", ["huge"])))}, False),
        ({"affinity": affinity(expressions(("size", "NotIn", ["huge"])))}, True),
        ({"affinity": affinity(expressions(("other", "NotIn", ["huge"])))}, True),
        ({"affinity": affinity(expressions(("size", "Exists", [])))}, True),
        ({"affinity": affinity(expressions(("size", "DoesNotExist", [])))}, False),
        ({"affinity": affinity(expressions(("gen", "Gt", ["4"])))}, True),
        ({"affinity": affinity(expressions(("gen", "Lt", ["5"])))}, False),
        ({"affinity": affinity(expressions(("size", "Gt", ["4"])))}, False),
        (
            {
                "affinity": affinity(
                    expressions(("size", "In", ["huge"])), expressions(("gen", "In", ["5"]))
                )
            },
            True,
        ),
        (
            {
                "affinity": affinity(
                    expressions(("size", "In", ["big"]), ("gen", "In", ["6"])),
                )
            },
            False,
        ),
        ({"affinity": affinity({})}, False),
        (
            {
                "affinity": affinity(
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
                )
            },
            True,
        ),
    ],
)
def test_labels_decide(spec: Any, fits: bool) -> None:
    assert misfit(needs(**spec), node(labels=LABELS), {}) == (None if fits else NO_MATCH)


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}, True),
        ({"key": "sku", "value": "gpu"}, True),
        ({"key": "sku", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "sku", "value": "cpu"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "sku", "value": "gpu", "effect": "NoExecute"}, False),
    ],
)
def test_a_taint_is_tolerated_or_not(toleration: Any, fits: bool) -> None:
    refusal = misfit(needs(tolerations=[toleration]), node(taints=[GPU_TAINT]), {})
    assert refusal == (None if fits else TAINTED)


def test_taints_are_asked_before_labels() -> None:
    asking = needs(nodeSelector={"size": "small"})
    assert misfit(asking, node(taints=[GPU_TAINT], labels=LABELS), {}) == TAINTED


def test_a_preference_is_no_obstacle() -> None:
    soft = {"key": "a", "effect": "PreferNoSchedule"}
    assert misfit(needs(), node(taints=[soft]), {}) is None


def test_a_cordoned_node_takes_nothing() -> None:
    cordoned = NodeView.of({"metadata": {"name": "n"}, "spec": {"unschedulable": True}})
    assert misfit(needs(), cordoned, {}) == CORDONED


def test_what_is_used_counts() -> None:
    gpu = {"nvidia.com/gpu": "1"}
    big = node(**{"nvidia.com_gpu": "1"})
    assert misfit(needs(gpu), big, {}) is None
    used = needs(gpu).requests
    busy = Refusal(("Insufficient nvidia.com/gpu",), helpless=False)
    assert misfit(needs(gpu), big, used) == busy
    assert misfit(needs(gpu), node(), {}) == Refusal(busy.reasons, helpless=True)
    full = misfit(needs(), big, {"pods": big.allocatable["pods"]})
    assert full == Refusal(("Too many pods",), helpless=False)


def test_all_that_a_node_lacks_is_told() -> None:
    refusal = misfit(needs({"cpu": "5", "memory": "1Ti"}), node(), {})
    assert refusal == Refusal(("Insufficient cpu", "Insufficient memory"))


def test_a_port_of_the_host_is_given_once() -> None:
    port = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
    asking = PodNeeds.of({"metadata": {}, "spec": {"containers": [port]}})
    assert misfit(asking, node(), {}, {(8080, "UDP")}) is None
    refusal = misfit(asking, node(), {}, {(8080, "TCP")})
    assert refusal is not None
    assert refusal.reasons == ("node(s) didn't have free ports for the requested pod ports",)


def test_a_pod_takes_the_sum_of_its_containers_or_its_largest_init_container() -> None:
    def container(cpu: str, **more: str) -> Object:
        return {"resources": {"requests": {"cpu": cpu}, "limits": more}}

    total = pod_requests(
        {
            "containers": [container("500m", memory="1Gi"), container("1")],
            "initContainers": [container("2", memory="512Mi")],
            "overhead": {"cpu": "250m"},
        }
    )
    assert total["cpu"] == Decimal("2.25")
    assert total["memory"] == 1024**3
    assert total["pods"] == 1


def test_an_empty_node_is_less_loaded() -> None:
    assert load(node(), {}) == 0
    assert load(node(), needs({"cpu": "4", "memory": "16Gi"}).requests) == 1


def test_single_values_name_the_labels_a_node_must_have() -> None:
    one = affinity(expressions(("a", "In", ["1"]), ("b", "In", ["1", "2"]), ("c", "Exists", [])))
    assert needs(nodeSelector={"d": "4"}, affinity=one).pairs() == [("d", "4"), ("a", "1")]
    two = affinity(expressions(("a", "In", ["1"])), expressions(("b", "In", ["1"])))
    assert needs(affinity=two).pairs() == []
