"""Models keep what they do not know and add nothing of their own."""

from __future__ import annotations

import json

from kaito.api.machine import Kubelet, Machine, MachineStatus
from kaito.api.meta import ObjectMeta, find_condition, is_true
from kaito.api.workspace import Resource, Workspace

WORKSPACE = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "metadata": {"name": "w", "namespace": "default", "generation": 3, "selfLink": "/x"},
    "resource": {
        "count": 1,
        "instanceType": "Standard_NC6s_v3",
        "labelSelector": {"matchLabels": {"apps": "phi-3"}},
        "future": {"a": [1, {"b": None}]},
    },
    "inference": {"preset": {"name": "phi-2", "accessMode": "public"}},
    "status": {"conditions": [{"type": "ResourceReady", "status": "True", "by": "x"}]},
}


def test_a_workspace_survives_a_round_trip_with_fields_that_we_do_not_know() -> None:
    assert Workspace.model_validate(WORKSPACE).wire() == WORKSPACE


def test_encoding_to_json_says_the_same_as_the_wire() -> None:
    workspace = Workspace.model_validate(WORKSPACE)
    text = workspace.model_dump_json(by_alias=True, exclude_none=True)
    assert Workspace.model_validate_json(text) == workspace


def test_absent_fields_stay_absent() -> None:
    wire = {"apiVersion": "karpenter.sh/v1alpha5", "kind": "Machine", "metadata": {"name": "m"}}
    assert Machine.model_validate(wire).wire() == wire


def test_an_empty_value_that_was_sent_is_sent_again() -> None:
    wire = {"name": "m", "labels": {}, "finalizers": []}
    assert ObjectMeta.model_validate(wire).wire() == wire


def test_names_that_are_not_camel_case_are_spelled_as_kubernetes_does() -> None:
    kubelet = Kubelet(cluster_dns=("10.0.0.10",), cpu_cfs_quota=True)
    assert kubelet.wire() == {"clusterDNS": ["10.0.0.10"], "cpuCFSQuota": True}


def test_a_condition_is_found_by_its_type() -> None:
    conditions = Workspace.model_validate(WORKSPACE).status.conditions
    assert is_true(conditions, "ResourceReady")
    assert not is_true(conditions, "InferenceReady")
    assert find_condition(conditions, "InferenceReady") is None


def test_what_comes_from_outside_has_the_names_of_the_wire_alone() -> None:
    wire = {"nodeName": "n", "node_name": "m", "provider_id": "p"}
    read = MachineStatus.model_validate(wire)
    assert (read.node_name, read.provider_id, read.wire()) == ("n", "", wire)
    assert MachineStatus.model_validate_json(json.dumps(wire)) == read
    inside = Machine.model_validate({"status": wire})
    assert inside.status == read


def test_null_is_nothing() -> None:
    assert ObjectMeta.model_validate({"name": "m", "future": None}).wire() == {
        "name": "m",
        "future": None,
    }
    resource: dict[str, object] = {"labelSelector": {}, "partition": None}
    assert Resource.model_validate(resource).wire() == {"labelSelector": {}}
