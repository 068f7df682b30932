"""What a Workspace would take and cost, told before any money is spent."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.api.machine import Machine
from kaito.controllers.workspace.changes import change
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.quote import Quote, quote
from kaito.runtime import Key, Object
from test.unit.controllers.workspace.scene import (
    CATALOG,
    SETTINGS,
    held,
    node,
    own_node,
    ready_machine,
    seen,
    serving,
    workspace,
)

A100 = "Standard_NC24ads_A100_v4"
PHI = {"preset": {"name": "phi-3-mini-4k-instruct"}}


def asked(found: Object, **surroundings: Any) -> Quote:
    return quote(seen(found, **surroundings), None, catalog=CATALOG, settings=SETTINGS)


def test_a_model_that_runs_is_told_with_its_price_time_and_objects() -> None:
    found = asked(workspace(resource={"instanceType": A100}, inference=PHI))
    assert found.possible
    assert found.estimate is not None
    assert found.estimate.max_context == 4096
    assert found.cost is not None
    sku = CATALOG.find_sku(A100, cloud="azure")
    assert sku is not None
    assert sku.price is not None
    assert found.cost.hour == sku.price.usd_per_hour
    assert found.cost.month == pytest.approx(730 * found.cost.hour)
    assert [phase.name for phase in found.phases][:2] == ["node", "device"]
    assert [each["kind"] for each in found.objects] == ["Machine", "Service", "Deployment"]
    assert found.sizes == ()
    assert found.waits == ""


def test_two_nodes_cost_twice() -> None:
    template = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    found = workspace(resource={"instanceType": A100, "count": 2})
    found["inference"] = template
    told = asked(found)
    assert told.cost is not None
    assert told.cost.nodes == 2
    assert told.phases == ()


def test_a_model_that_is_too_large_is_answered_with_sizes_and_models_that_go() -> None:
    told = asked(workspace(inference={"preset": {"name": "deepseek-r1-0528"}}))
    assert not told.possible
    assert "does not fit on Standard_NC6s_v3" in told.problems[0].message
    assert told.objects == ()
    assert told.cost is None
    assert [each.sku.name for each in told.sizes] == ["Standard_ND96isr_H200_v5"]


def test_what_goes_instead_comes_cheapest_first() -> None:
    told = asked(workspace(resource={"instanceType": "Standard_XYZ"}))
    prices = [each.usd_per_hour for each in told.sizes if each.usd_per_hour is not None]
    assert len(prices) == len(told.sizes) > 1
    assert prices == sorted(prices)
    assert told.models == ()


def test_an_unknown_model_is_answered_with_the_largest_that_run_on_the_size() -> None:
    found = workspace(resource={"instanceType": A100}, inference={"preset": {"name": "zz-9"}})
    told = asked(found)
    sizes = [each.model.weights_gib or 0 for each in told.models]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)


def test_gpus_that_nobody_knows_yet_are_waited_for() -> None:
    told = asked(workspace(resource={"instanceType": "Standard_NX96_v9"}))
    assert told.possible
    assert told.waits.startswith("What GPUs Standard_NX96_v9 has is not known")
    assert told.cost is None
    assert [each["kind"] for each in told.objects] == ["Machine"]


def test_nodes_of_ones_own_cost_nothing_and_are_waited_for_while_there_are_none() -> None:
    own = workspace(resource={"instanceType": ""})
    told = asked(own)
    assert told.waits.startswith("0 of 1 nodes are there.")
    assert told.cost is None
    assert "node" not in [phase.name for phase in told.phases]
    labels: Any = {"nvidia.com/gpu.count": "1", "nvidia.com/gpu.memory": "81920"}
    there = asked(own, nodes=(node("a", **labels),))
    assert there.waits == ""
    assert [each["kind"] for each in there.objects] == ["Service", "Deployment"]


def test_a_node_that_is_there_takes_no_more_time() -> None:
    planned = held(resource={"instanceType": A100})
    size: Any = {"node.kubernetes.io/instance-type": A100}
    there = own_node(**size)
    written = ready_machine().model_dump(by_alias=True)
    written["spec"]["requirements"][0]["values"] = [A100]
    told = asked(planned, machines=(Machine.model_validate(written),), nodes=(there,))
    assert told.phases[0].name == "image"
    assert told.cost is not None
    assert (told.cost.nodes, told.cost.new) == (1, 0)


def test_an_edit_that_cannot_be_is_a_problem() -> None:
    observation = serving()
    changed = {**observation.workspace, "resource": {**observation.workspace["resource"]}}
    changed["resource"]["count"] = 2
    told = quote(seen(changed), observation.workspace, catalog=CATALOG, settings=SETTINGS)
    assert not told.possible
    assert "resource.count cannot be changed" in told.problems[0].message


def test_what_is_no_workspace_is_told_so() -> None:
    found = workspace(resource={"count": "many"})
    told = asked(found)
    assert told.asked is None
    assert not told.possible


# What would change


def test_what_is_not_there_is_created() -> None:
    (machine, *_) = asked(workspace()).objects
    assert change(machine, None, manager="kaito-workspace").verb == "create"


def test_fields_with_other_values_are_named() -> None:
    desired = {"kind": "A", "metadata": {"name": "a"}, "spec": {"n": 2, "list": [{"x": 1}]}}
    live = {"kind": "A", "metadata": {"name": "a"}, "spec": {"n": 1, "list": [{"x": 3}], "m": 4}}
    found = change(desired, live, manager="m")
    assert found.verb == "change"
    assert found.paths == ("spec.n", "spec.list[0].x")


def test_what_is_there_as_it_should_be_is_kept() -> None:
    live = {
        "kind": "A",
        "metadata": {
            "name": "a",
            "managedFields": [
                {"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:n": {}}}}
            ],
        },
        "spec": {"n": 1, "theirs": 2},
    }
    desired = {"kind": "A", "metadata": {"name": "a"}, "spec": {"n": 1}}
    assert change(desired, live, manager="m").verb == "keep"


# Manifests instead of a cluster


def test_documents_that_concern_no_workspace_are_left_out() -> None:
    documents = Documents()
    assert documents.add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}) is None


def test_a_manifest_of_v1alpha1_has_the_size_of_that_version() -> None:
    documents = Documents()
    old = {**workspace(resource={"instanceType": None}), "apiVersion": "kaito.sh/v1alpha1"}
    del old["resource"]["instanceType"]
    key = documents.add(old)
    assert key is not None
    observation = documents.observation(key, now=0.0)
    assert observation.workspace["resource"]["instanceType"] == A100


def test_a_workspace_that_is_not_among_them_is_an_error() -> None:
    with pytest.raises(KeyError):
        Documents().observation(Key("default", "nobody"), now=0.0)
