"""What a Workspace would take and cost, told before any money is spent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.workspace.changes import change
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.needs import needed
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.parameters import Missing
from kaito.controllers.workspace.quote import Quote, quote
from kaito.controllers.workspace.rehearsal import rehearse
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import Unread
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
LONG = "vllm: {max-model-len: 999999}"
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


def test_a_model_on_several_nodes_is_told_with_all_of_them() -> None:
    large = {"preset": {"name": "qwen2.5-coder-32b-instruct"}}
    found = asked(workspace(resource={"instanceType": A100}, inference=large))
    assert found.possible
    assert found.cost is not None
    assert (found.cost.nodes, found.estimate and found.estimate.pipeline_parallel) == (2, 2)
    assert found.sizes == ()
    assert [each["kind"] for each in found.objects] == [
        "Machine",
        "Machine",
        "Service",
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "StatefulSet",
    ]


def test_transformers_lays_one_copy_over_all_gpus_and_reads_no_settings() -> None:
    inference = {"preset": {"name": "phi-4-mini-instruct"}, "config": "c"}
    found = workspace(resource={"instanceType": "Standard_NC96ads_A100_v4"}, inference=inference)
    found["metadata"]["annotations"] = {"kaito.sh/runtime": "transformers"}
    told = asked(found, config=Missing(name="c"))
    assert told.possible
    assert told.estimate is not None
    assert str(told.estimate.split) == "1x1x4"


def test_weights_that_are_on_the_node_take_no_time_to_arrive() -> None:
    found = workspace(resource={"instanceType": A100}, inference=PHI)
    found["metadata"]["annotations"] = {"kaito.sh/use-local-weights": "true"}
    assert "download" not in [phase.name for phase in asked(found).phases]


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
    told = asked(planned, orders=(Order.model_validate(written),), nodes=(there,))
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


LLAMA = {"preset": {"name": "llama-3.1-8b-instruct"}}


def own(name: str, *, product: str = "NVIDIA-A100", memory: int = 81920, compute: str = "8") -> Any:
    """A node of a user's own, by what GPU feature discovery says of it."""
    labels: Any = {
        "node.kubernetes.io/instance-type": "",
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.memory": str(memory) if memory else "",
        "nvidia.com/gpu.compute.major": compute,
        "nvidia.com/gpu.compute.minor": "0",
    }
    return node(name, **labels)


def test_an_engine_that_does_not_start_is_no_promise_of_minutes() -> None:
    told = asked(workspace())
    assert told.possible
    assert told.runs is False
    assert told.hindrance is not None
    assert "compute capability" in told.hindrance
    assert told.phases == ()
    assert told.cost is not None
    assert told.sizes


def test_gpus_of_ones_own_are_held_against_the_engine() -> None:
    told = asked(
        workspace(resource={"instanceType": ""}),
        nodes=(own("old", product="Tesla-V100", memory=32768, compute="7"),),
    )
    assert told.runs is False
    assert any(each.startswith("Node old: Tesla-V100 has compute") for each in told.warnings)
    assert told.sizes
    assert told.asked is not None
    assert told.asked.own is not None
    assert told.asked.own.names == ("old",)
    assert told.asked.gpus is not None
    assert told.asked.gpus.product == "Tesla-V100"


def test_what_is_held_against_gpus_of_ones_own_is_an_event_once() -> None:
    old = own("old", product="Tesla-V100", memory=32768, compute="7")
    found = seen(workspace(resource={"instanceType": ""}), nodes=(old,))
    events = rehearse(found, CATALOG, SETTINGS).events
    (unsuited,) = (each for each in events if each.reason == "InstanceTypeUnsuited")
    assert unsuited.type == "Warning"
    assert unsuited.message.startswith("Node old: Tesla-V100 has compute capability 7.0")


def test_preferred_nodes_decide_which_gpus_count() -> None:
    found = workspace(resource={"instanceType": "", "preferredNodes": ["b"]})
    told = asked(found, nodes=(own("a", product="Tesla-V100", compute="7"), own("b")))
    assert told.runs is True
    assert told.asked is not None
    assert told.asked.own is not None
    assert (told.asked.own.names, told.asked.own.others) == (("b",), 1)


def test_a_node_that_does_not_tell_its_memory_is_told_what_would() -> None:
    told = asked(workspace(resource={"instanceType": ""}), nodes=(own("a", memory=0),))
    assert told.runs is None
    assert any("no label nvidia.com/gpu.memory" in each for each in told.warnings)
    assert told.sizes == ()


def test_a_refusal_of_ones_own_nodes_names_sizes() -> None:
    found = workspace(resource={"instanceType": ""}, inference={"preset": {"name": "phi-4"}})
    found["metadata"]["annotations"] = {"kaito.sh/runtime": "transformers"}
    told = asked(found, nodes=(own("a", product="Tesla-T4", memory=15360, compute="7"),))
    assert not told.possible
    assert told.sizes


def test_the_sizes_of_a_sentence_are_those_that_are_listed() -> None:
    config = {"metadata": {"name": "c"}, "data": {"inference_config.yaml": TEXT}}
    found = workspace(resource={"instanceType": "Standard_NC4as_T4_v3"}, inference=LLAMA)
    found["inference"] |= {"config": "c"}
    told = asked(found, config=config)
    (sentence,) = (each.message for each in told.problems if "does not fit" in each.message)
    _, _, named = sentence.partition("sizes that do are ")
    first, second, third = (each.sku.name for each in told.sizes[:3])
    assert named == f"{first}, {second} and {third}."
    assert "Standard_NC4as_T4_v3" not in named


TEXT = "vllm: {max-model-len: 100000}"


def test_a_size_that_fails_as_the_engine_is_told_is_not_named_instead() -> None:
    text = "vllm: {gpu-memory-utilization: 0.35}"
    config = {"metadata": {"name": "c"}, "data": {"inference_config.yaml": text}}
    preset = {"preset": {"name": "phi-4"}, "config": "c"}
    told = asked(workspace(resource={"instanceType": A100}, inference=preset), config=config)
    assert told.hindrance is not None
    assert told.hindrance.startswith("what its ConfigMap tells the engine leaves no room")
    assert A100 not in [each.sku.name for each in told.sizes]
    assert told.sizes
    assert not any(f"runs it is {A100}" in each for each in told.warnings)


def test_where_only_a_token_is_missing_the_rest_is_told() -> None:
    told = asked(workspace(resource={"instanceType": A100}, inference=LLAMA))
    assert not told.possible
    assert told.runs is False
    assert told.cost is not None
    assert told.phases
    assert [each["kind"] for each in told.objects] == ["Machine", "Service", "Deployment"]
    assert told.status is None
    assert told.needs == ()
    assert told.sizes == ()


def test_sizes_of_arm_are_answered_with_others() -> None:
    found = workspace(resource={"instanceType": "g5g.xlarge"})
    told = quote(seen(found), None, catalog=CATALOG, settings=Settings(cloud="aws"))
    assert not told.possible
    assert told.sizes
    assert told.models == ()


def test_what_arrives_later_comes_first_and_without_an_account() -> None:
    sliced = workspace(inference={"preset": {"name": "phi-9"}})
    sliced["resource"]["partition"] = {"mode": "accelerator", "count": 1}
    told = asked(sliced)
    assert "later release" in told.problems[0].message
    assert len(told.problems) > 1
    assert (told.estimate, told.sizes, told.models) == (None, (), ())


def test_a_count_that_counts_for_nothing_is_told() -> None:
    told = asked(workspace(resource={"instanceType": A100, "count": 3}))
    assert any(each.startswith("resource.count is 3, and") for each in told.warnings)
    assert not any("resource.count" in each for each in asked(workspace()).warnings)


def test_a_size_that_is_refused_is_not_said_to_be_asked_for() -> None:
    told = asked(workspace(resource={"instanceType": "Standard_D8s_v3"}))
    assert not told.possible
    assert not any("as many nodes of it are asked" in each for each in told.warnings)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"resource": {"instancType": "x"}},
            "resource.instancType is no field of a Workspace, and is left out: resource.instance",
        ),
        ({"inferrence": {}}, "inferrence is no field of a Workspace, and is left out: inference"),
        (
            {"inference": {"preset": {"name": "phi-4", "Nmae": 1}}},
            "inference.preset.Nmae is no field",
        ),
    ],
)
def test_fields_that_nobody_knows_are_told(changes: Any, words: str) -> None:
    assert any(each.startswith(words) for each in asked(workspace(**changes)).warnings)


def test_times_of_another_cloud_are_not_passed_off_as_measured() -> None:
    found = workspace(resource={"instanceType": "g5.xlarge"})
    told = quote(seen(found), None, catalog=CATALOG, settings=Settings(cloud="aws"))
    sources = {each.name: each.source for each in told.phases}
    assert sources["node"].startswith("assumed to be as on Azure: ")
    assert not sources["engine"].startswith("assumed")


def test_how_long_a_node_of_ones_own_data_centre_takes_is_not_known() -> None:
    found = workspace(resource={"instanceType": "Standard_NC8_A2"})
    told = quote(seen(found), None, catalog=CATALOG, settings=Settings(cloud="arc"))
    assert told.phases[0].name == "node"
    assert told.phases[0].seconds is None


def test_a_model_that_cannot_be_read_is_the_problem_of_its_workspace() -> None:
    unread = Unread(message="The hub is away.", failed=True, look_again=0.0)
    found = workspace(resource={"instanceType": A100}, inference={"preset": {"name": "a/b"}})
    told = quote(
        seen(found, unread=unread),
        None,
        catalog=CATALOG,
        settings=Settings(reads_models=False),
    )
    assert [each.message for each in told.problems] == ["The hub is away."]
    assert told.warnings == ()


def test_secrets_that_pods_read_are_named_with_their_keys() -> None:
    named = {"preset": {**LLAMA["preset"], "presetOptions": {"modelAccessSecret": "hf"}}}
    told = asked(workspace(resource={"instanceType": A100}, inference=named))
    assert [(each.object.name, each.key) for each in told.needs] == [("hf", "HF_TOKEN")]


def test_secrets_of_a_template_count_but_those_it_can_do_without() -> None:
    def variable(name: str, **more: Any) -> Object:
        where = {"secretKeyRef": {"name": name, "key": "k", **more}}
        return {"name": "V", "valueFrom": where}

    spec = {
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{"env": [variable("a"), variable("b", optional=True)]}],
        "volumes": [{"secret": {"secretName": "v"}}],
    }
    found = needed([{"metadata": {"namespace": "n"}, "spec": spec}])
    assert {(each.object.name, each.key) for each in found} == {("pull", ""), ("a", "k"), ("v", "")}


def test_how_it_is_now_is_told() -> None:
    observation = serving()
    told = quote(observation, observation.workspace, catalog=CATALOG, settings=SETTINGS)
    assert told.now is not None
    assert told.now["type"] == "WorkspaceReady"
    assert told.cost is None or told.cost.new == 0


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


def test_what_is_not_there_has_a_uid_of_its_own_and_always_the_same() -> None:
    def uid(name: str) -> str:
        documents = Documents()
        found = workspace(metadata={"name": name})
        del found["metadata"]["uid"]
        key = documents.add(found)
        assert key is not None
        return str(documents.observation(key, now=0.0).workspace["metadata"]["uid"])

    assert uid("a") == uid("a") != uid("b")


def test_more_than_the_model_takes_is_no_fault_of_the_gpus() -> None:
    config = {"metadata": {"name": "c"}, "data": {"inference_config.yaml": LONG}}
    found = workspace(resource={"instanceType": A100}, inference={**PHI, "config": "c"})
    told = asked(found, config=config)
    assert [problem.path for problem in told.problems] == ["inference.config"]
    assert told.warnings == ()
    assert told.hindrance is None


def test_an_edit_of_what_runs_is_told_with_its_gap() -> None:
    running = serving()
    noted = {"annotations": {"kaito.sh/runtime": "transformers"}}
    metadata = {**running.workspace["metadata"], **noted}
    edited = replace(running, workspace={**running.workspace, "metadata": metadata})

    def told(observation: Observation) -> str:
        return quote(observation, running.workspace, catalog=CATALOG, settings=SETTINGS).gap

    assert "the model does not answer meanwhile, for" in told(edited)
    assert told(running) == ""
    assert told(seen(held())) == ""
