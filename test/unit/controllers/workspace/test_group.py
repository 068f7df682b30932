"""A model on several nodes: the objects that it becomes, and what comes of changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.workspace.crew import order_name
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.observation import Observation
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import (
    CATALOG,
    SETTINGS,
    UID,
    after,
    condition,
    decided,
    held,
    kinds,
    of_kind,
    own_node,
    ready_machine,
    rolled_out,
    says,
    seen,
)

LARGE = "Standard_NC24ads_A100_v4"
IDENTITY = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"}
LEADER = "w-0.w-headless.default.svc.cluster.local"


def large(**changes: Any) -> Object:
    """Qwen2.5-Coder-32B on A100s of 80 GiB, of which it takes two (kaito.md 4.4)."""
    base: Object = {
        "resource": {"instanceType": "Standard_NC24ads_A100_v4"},
        "inference": {"preset": {"name": "qwen2.5-coder-32b-instruct"}},
    }
    return held(**{**base, **changes})


def with_nodes(found: Object, count: int = 2) -> Observation:
    names = [order_name(UID, index) for index in range(count)]
    requirement = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [LARGE]}
    machines = []
    for name in names:
        made = ready_machine(name).model_dump(by_alias=True, exclude_none=True)
        made["spec"]["requirements"] = [requirement]
        machines.append(type(ready_machine(name)).model_validate(made))
    size = {"node.kubernetes.io/instance-type": LARGE}
    nodes = tuple(own_node(name, **size) for name in names)
    return seen(found, orders=tuple(machines), nodes=nodes)


def served(found: Object | None = None) -> dict[tuple[str, str], Object]:
    """What it becomes besides Machines, by kind and name."""
    decision = decided(with_nodes(found or large()))
    return {
        (each["kind"], each["metadata"]["name"]): each
        for each in decision.objects
        if each["kind"] != "Machine"
    }


def engine(found: Object | None = None) -> Object:
    (container,) = served(found)["StatefulSet", "w"]["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_as_many_nodes_are_asked_for_as_the_model_needs() -> None:
    decision = decided(seen(large()))
    assert kinds(decision) == ["Machine", "Machine"]
    assert {each["kind"] for each in decision.trial} == {
        "Service",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "StatefulSet",
    }


def test_it_becomes_a_set_whose_pods_are_made_together() -> None:
    found = served()
    assert list(found) == [
        ("Service", "w"),
        ("Service", "w-headless"),
        ("PodDisruptionBudget", "w"),
        ("NetworkPolicy", "w"),
        ("StatefulSet", "w"),
    ]
    spec = found["StatefulSet", "w"]["spec"]
    assert spec["replicas"] == 2
    assert spec["serviceName"] == "w-headless"
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["selector"] == {"matchLabels": {"kaito.sh/workspace": "w"}}
    for each in found.values():
        assert each["metadata"]["labels"] == IDENTITY
        assert each["metadata"]["ownerReferences"][0]["uid"] == UID


def test_the_service_leads_to_the_leader_on_two_ports() -> None:
    spec = served()["Service", "w"]["spec"]
    assert spec["selector"] == {
        "kaito.sh/workspace": "w",
        "statefulset.kubernetes.io/pod-name": "w-0",
    }
    assert [each["port"] for each in spec["ports"]] == [80, 29500]


def test_pods_have_names_before_they_are_ready() -> None:
    assert served()["Service", "w-headless"]["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"kaito.sh/workspace": "w"},
    }


def test_one_node_at_a_time_may_be_drained_and_what_serves_nobody_keeps_none() -> None:
    assert served()["PodDisruptionBudget", "w"]["spec"] == {
        "maxUnavailable": 1,
        "selector": {"matchLabels": IDENTITY},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def test_what_the_pods_say_to_each_other_is_closed_to_everybody_else() -> None:
    answers, among = served()["NetworkPolicy", "w"]["spec"]["ingress"]
    assert answers == {"ports": [{"protocol": "TCP", "port": 5000}]}
    assert among == {"from": [{"podSelector": {"matchLabels": IDENTITY}}]}


def test_the_engine_shares_layers_over_nodes_and_words_of_users_are_arguments() -> None:
    shell, option, script, _, *command = engine()["command"]
    assert (shell, option) == ("/bin/sh", "-c")
    assert "qwen" not in script
    assert command[:2] == ["python3", "/workspace/vllm/inference_api.py"]
    assert {
        "--tensor-parallel-size=1",
        "--pipeline-parallel-size=2",
        "--distributed-executor-backend=ray",
        "--served-model-name=qwen2.5-coder-32b-instruct",
    } <= set(command)


def test_the_script_is_the_same_for_every_workspace() -> None:
    def script(found: Object) -> str:
        return str(engine(found)["command"][2])

    other = large(inference={"preset": {"name": "Qwen/Qwen2.5-Coder-32B-Instruct"}})
    assert script(large()) == script(other)
    assert engine(large())["command"] != engine(other)["command"]


def test_each_pod_is_told_its_place_and_who_leads() -> None:
    variables = {each["name"]: each for each in engine()["env"]}
    assert variables["POD_INDEX"]["valueFrom"]["fieldRef"] == {
        "apiVersion": "v1",
        "fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']",
    }
    assert variables["KAITO_NODES"]["value"] == "2"
    assert variables["KAITO_RAY_LEADER"]["value"] == f"{LEADER}:6379"
    assert variables["KAITO_RAY_PORT"]["value"] == "6379"


def test_leader_and_workers_are_asked_by_the_images_own_check() -> None:
    container = engine()
    check = ["python3", "/workspace/vllm/multi-node-health-check.py"]
    ready = [*check, "readiness", f"--leader-address={LEADER}", "--vllm-port=5000"]
    alive = [*check, "liveness", f"--leader-address={LEADER}", "--ray-port=6379"]
    assert container["startupProbe"]["exec"]["command"] == ready
    assert container["readinessProbe"]["exec"]["command"] == ready
    assert container["livenessProbe"]["exec"]["command"] == alive
    # 15 minutes and 18 seconds for each of 61 GiB.
    assert container["startupProbe"]["failureThreshold"] * 10 >= 900 + 18 * 61


def test_no_two_pods_share_a_node() -> None:
    spec = served()["StatefulSet", "w"]["spec"]["template"]["spec"]
    (term,) = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term == {
        "labelSelector": {"matchLabels": IDENTITY},
        "topologyKey": "kubernetes.io/hostname",
    }
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_it_is_ready_when_every_pod_is() -> None:
    observation = with_nodes(large())
    found = served()
    written = replace(
        observation,
        stateful_set=rolled_out(found["StatefulSet", "w"], readyReplicas=1),
        service=found["Service", "w"],
    )
    assert condition(decided(written), "InferenceReady")["message"] == (
        "1 of 2 replicas of StatefulSet w are ready."
    )
    whole = replace(written, stateful_set=rolled_out(found["StatefulSet", "w"]))
    assert says(decided(whole), "WorkspaceReady")[0] == "True"


def test_where_it_is_said_why_pods_are_not_made_is_told() -> None:
    found = served()
    few = rolled_out(found["StatefulSet", "w"], readyReplicas=0, replicas=1)
    written = replace(with_nodes(large()), stateful_set=few, service=found["Service", "w"])
    assert condition(decided(written), "InferenceReady")["message"] == (
        "1 of 2 Pods of StatefulSet w are made: "
        "`kubectl describe statefulset w -n default` says why."
    )


def owned(obj: Object) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "uid": f"uid-of-{obj['kind']}"}}


def test_a_deployment_goes_when_several_nodes_take_its_place() -> None:
    one = {
        "metadata": {
            "name": "w",
            "ownerReferences": served()["Service", "w"]["metadata"]["ownerReferences"],
        }
    }
    deployment = owned({"kind": "Deployment", **one})
    decision = decided(replace(with_nodes(large()), deployment=deployment))
    assert [(each.resource.kind, each.uid) for each in decision.deletions] == [
        ("Deployment", "uid-of-Deployment")
    ]
    assert "StatefulSet" in kinds(decision)


def test_a_deployment_serves_on_until_the_nodes_are_there() -> None:
    whole = with_nodes(large())
    deployment = owned({"kind": "Deployment", "metadata": served()["Service", "w"]["metadata"]})
    half = replace(whole, nodes=whole.nodes[:1], deployment=deployment)
    decision = decided(half)
    assert decision.deletions == ()
    assert set(kinds(decision)) == {"Machine"}


def test_all_that_stands_around_a_set_goes_with_it() -> None:
    found = {place: owned(each) for place, each in served().items()}
    small = held()
    observation = seen(small, orders=(ready_machine(),), nodes=(own_node(),))
    observation = replace(
        observation,
        stateful_set=found["StatefulSet", "w"],
        service=found["Service", "w"],
        headless=found["Service", "w-headless"],
        disruption_budget=found["PodDisruptionBudget", "w"],
        network_policy=found["NetworkPolicy", "w"],
    )
    decision = decided(observation)
    assert {(each.resource.kind, each.key.name) for each in decision.deletions} == {
        ("StatefulSet", "w"),
        ("Service", "w-headless"),
        ("PodDisruptionBudget", "w"),
        ("NetworkPolicy", "w"),
    }
    assert "Deployment" in kinds(decision)


def test_what_belongs_to_somebody_else_stays() -> None:
    strangers = {"metadata": {"name": "w-headless", "uid": "u"}}
    observation = seen(held(), orders=(ready_machine(),), nodes=(own_node(),), headless=strangers)
    assert decided(observation).deletions == ()


def test_deciding_over_what_was_written_changes_nothing() -> None:
    observation = with_nodes(large())
    first = decided(observation)
    assert decided(after(observation, first)).objects == first.objects


def config(text: str) -> Object:
    return {"metadata": {"name": "c"}, "data": {"inference_config.yaml": f"vllm: {{{text}}}"}}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("tensor-parallel-size: 2", "vllm.tensor-parallel-size is more than the GPUs of a node"),
        ("data-parallel-size: 2", "vllm.data-parallel-size asks for copies of the model"),
        ("pipeline-parallel-size: 3", "multiplied are more than the GPUs of 2 nodes, 2 of NVIDIA"),
    ],
)
def test_a_split_that_several_nodes_cannot_do_is_refused(told: str, message: str) -> None:
    found = large()
    found["inference"]["config"] = "c"
    decision = decided(seen(found, config=config(told)))
    assert says(decision, "ResourceReady") == ("False", "InvalidConfigMap")
    assert message in condition(decision, "ResourceReady")["message"]


def test_a_split_over_all_nodes_is_told_and_taken() -> None:
    found = large()
    found["inference"]["config"] = "c"
    observation = replace(with_nodes(found), config=config("pipeline-parallel-size: 2"))
    command = of_kind(decided(observation), "StatefulSet")["spec"]["template"]["spec"][
        "containers"
    ][0]["command"]
    assert "--pipeline-parallel-size=2" in command


def old_and_many(**annotations: str) -> Object:
    """A model that takes eight nodes with a V100, on which the engine does not start."""
    return held(
        inference={"preset": {"name": "falcon-40b", "accessMode": "public"}},
        metadata={"annotations": annotations},
    )


def test_no_nodes_are_bought_together_on_which_the_engine_does_not_start() -> None:
    decision = decided(seen(old_and_many()))

    assert decision.objects == ()
    assert says(decision, "ResourceReady") == ("False", "InstanceTypeUnsuited")
    message = condition(decision, "ResourceReady")["message"]
    assert "needs 8 nodes of Standard_NC6s_v3" in message
    assert "vLLM 0.25.1 needs 7.5; sizes that do are Standard_NC48ads_A100_v4" in message


def test_one_node_on_which_the_engine_does_not_start_is_bought_with_a_warning() -> None:
    decision = decided(seen(held()))

    assert kinds(decision) == ["Machine"]
    assert any("vLLM 0.25.1 needs 7.5" in each.message for each in decision.events)


def test_many_such_nodes_are_bought_for_an_author_who_answers_for_it() -> None:
    decision = decided(seen(old_and_many(**{"kaito.sh/bypass-resource-checks": "true"})))

    assert kinds(decision) == ["Machine"] * 8


def test_many_such_nodes_are_no_alternative_either() -> None:
    found = old_and_many(**{"kaito.sh/instance-types": "Standard_NC6s_v3"})
    found["resource"]["instanceType"] = "Standard_NC48ads_A100_v4"

    decision = decided(seen(found))

    assert decision.objects == ()
    assert "names Standard_NC6s_v3" in condition(decision, "ResourceReady")["message"]


def test_the_webhook_says_so_before_anything_is_stored() -> None:
    judgement = judge(old_and_many(), None, catalog=CATALOG, settings=SETTINGS)

    assert [each.path for each in judgement.problems] == ["resource.instanceType"]
