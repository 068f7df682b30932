"""Which Node suits which pod."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kaito.local.scheduling.fit import (
    SELECTOR_REASON,
    NodeView,
    PodNeeds,
    load,
    misfit,
    pod_requests,
    unavailable,
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
    return PodNeeds.of({"spec": {"containers": [container], **spec}})


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
    assert misfit(needs(**spec), node(labels=LABELS), {}) == ("" if fits else SELECTOR_REASON)


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
    reason = misfit(needs(tolerations=[toleration]), node(taints=[GPU_TAINT]), {})
    assert reason == ("" if fits else "node(s) had untolerated taint {sku: gpu}")


def test_a_preference_is_no_obstacle() -> None:
    soft = {"key": "a", "effect": "PreferNoSchedule"}
    assert misfit(needs(), node(taints=[soft]), {}) == ""


def test_a_cordoned_node_takes_nothing() -> None:
    cordoned = NodeView.of({"metadata": {"name": "n"}, "spec": {"unschedulable": True}})
    assert misfit(needs(), cordoned, {}) == "node(s) were unschedulable"


def test_what_is_used_counts() -> None:
    gpu = {"nvidia.com/gpu": "1"}
    big = node(**{"nvidia.com_gpu": "1"})
    assert misfit(needs(gpu), big, {}) == ""
    used = needs(gpu).requests
    assert misfit(needs(gpu), big, used) == "Insufficient nvidia.com/gpu"
    assert misfit(needs(gpu), node(), {}) == "Insufficient nvidia.com/gpu"
    assert misfit(needs({"cpu": "4001m"}), big, {}) == "Insufficient cpu"
    assert misfit(needs(), big, {"pods": big.allocatable["pods"]}) == "Too many pods"


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


def test_the_reasons_are_counted_for_the_user() -> None:
    text = unavailable(5, [("Insufficient cpu", 1), (SELECTOR_REASON, 3), ("Insufficient cpu", 1)])
    assert text == (
        "0/5 nodes are available: 2 Insufficient cpu, "
        "3 node(s) didn't match Pod's node affinity/selector."
    )
    assert unavailable(0, []) == "no nodes available to schedule pods"


def test_an_empty_node_is_less_loaded() -> None:
    assert load(node(), {}) == 0
    assert load(node(), needs({"cpu": "4", "memory": "16Gi"}).requests) == 1


def test_single_values_name_the_labels_a_node_must_have() -> None:
    one = affinity(expressions(("a", "In", ["1"]), ("b", "In", ["1", "2"]), ("c", "Exists", [])))
    assert needs(nodeSelector={"d": "4"}, affinity=one).pairs() == [("d", "4"), ("a", "1")]
    two = affinity(expressions(("a", "In", ["1"])), expressions(("b", "In", ["1"])))
    assert needs(affinity=two).pairs() == []
