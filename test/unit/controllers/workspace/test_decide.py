"""What is to be done about a Workspace, state by state. These tables are the specification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.decision import Decision, Finalizer
from kaito.controllers.workspace.observation import Observation, Obstacle
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import (
    CATALOG,
    FIRST,
    SECOND,
    SETTINGS,
    SIZE,
    after,
    condition,
    decided,
    failed_machine,
    held,
    kinds,
    machine,
    node,
    of_kind,
    own_node,
    ready_machine,
    rolled_out,
    says,
    seen,
    serving,
    workspace,
)

PENDING = ("False", "WorkspaceInferenceStatusPending")
NOT_READY = ("False", "workspaceResourceStatusNotReady")
DEPLOYED = seen(held(), orders=(ready_machine(),), nodes=(own_node(),))


# From new to ready


def test_a_new_workspace_gets_our_finalizer_and_one_machine() -> None:
    decision = decided(seen(workspace()))
    assert decision.finalizer is Finalizer.ADD
    assert [o["metadata"]["name"] for o in decision.objects] == [FIRST]
    assert decision.deletions == ()
    assert decision.status is not None
    assert decision.status["targetNodeCount"] == 1
    assert decision.status["state"] == "Pending"
    assert says(decision, "MachineReady") == ("Unknown", "CreateMachinePending")
    assert says(decision, "NodesReady") == ("False", "NodeNotReady")
    assert says(decision, "ResourceReady") == NOT_READY
    assert says(decision, "InferenceReady") == PENDING
    assert says(decision, "WorkspaceReady") == ("False", "workspacePending")


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (seen(held()), f"Machine {FIRST} (Standard_NC6s_v3): the node is on its way."),
        (
            seen(held(), orders=(machine(),)),
            f"Machine {FIRST} (Standard_NC6s_v3): the node is on its way.",
        ),
        (
            seen(
                held(),
                orders=(
                    machine(
                        MachineLaunched="True",
                        MachineRegistered=("False", "No Node has joined the cluster yet."),
                    ),
                ),
            ),
            f"Machine {FIRST} (Standard_NC6s_v3): No Node has joined the cluster yet.",
        ),
        (
            seen(held(), orders=(machine(deleting=True),)),
            f"Machine {FIRST} is being deleted; another one follows when it has gone.",
        ),
        (seen(held(), orders=(ready_machine(),)), "0 of 1 nodes are there."),
        (
            seen(held(), orders=(ready_machine(),), nodes=(own_node(ready=False),)),
            f"Node node-{FIRST} is not ready.",
        ),
        (
            seen(held(), orders=(ready_machine(),), nodes=(own_node(gpus=0),)),
            f"Node node-{FIRST} reports no nvidia.com/gpu: its device plugin has not started yet.",
        ),
        (
            seen(held(), orders=(ready_machine(),), nodes=(own_node(apps=""),)),
            f"Node node-{FIRST} lacks the label apps=phi-3 of resource.labelSelector.",
        ),
    ],
)
def test_what_is_waited_for_is_said(observation: Observation, message: str) -> None:
    decision = decided(observation)
    assert condition(decision, "ResourceReady")["message"] == message
    assert condition(decision, "WorkspaceReady")["message"] == message
    assert says(decision, "ResourceReady") == NOT_READY
    assert "Deployment" not in kinds(decision)


def test_a_machine_is_asked_for_again_only_when_its_predecessor_has_gone() -> None:
    assert kinds(decided(seen(held(), orders=(machine(deleting=True),)))) == []
    assert kinds(decided(seen(held()))) == ["Machine"]


def test_ready_nodes_bring_the_service_and_the_deployment() -> None:
    decision = decided(DEPLOYED)
    assert kinds(decision) == ["Machine", "Service", "Deployment"]
    assert says(decision, "MachineReady") == ("True", "installNodePluginsSuccess")
    assert says(decision, "NodesReady") == ("True", "NodesReady")
    assert says(decision, "ResourceReady") == ("True", "workspaceResourceStatusSuccess")
    assert says(decision, "InferenceReady") == PENDING
    assert decision.status is not None
    assert decision.status["workerNodes"] == [f"node-{FIRST}"]


def test_a_model_that_answers_makes_the_workspace_ready() -> None:
    observation = serving()
    assert observation.workspace["status"]["state"] == "Ready"
    decision = decided(observation)
    for type_, reason in [
        ("ResourceReady", "workspaceResourceStatusSuccess"),
        ("InferenceReady", "WorkspaceInferenceStatusSuccess"),
        ("WorkspaceReady", "workspaceReady"),
        ("WorkspaceSucceeded", "workspaceSucceeded"),
    ]:
        assert says(decision, type_) == ("True", reason)


# Doing it twice


@pytest.mark.parametrize(
    "observation",
    [
        seen(workspace()),
        seen(held(), orders=(machine(),)),
        seen(held(), orders=(failed_machine("no quota"),)),
        DEPLOYED,
        serving(),
        seen(held(inference={"preset": {"name": "phi-9"}})),
        seen(held(resource={"instanceType": ""}), nodes=(node("a"), node("b"))),
        seen(held(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), orders=(machine(),)),
    ],
)
def test_deciding_over_what_was_decided_changes_nothing(observation: Observation) -> None:
    observation = after(observation, decided(observation))
    # The second pass may still report that what was asked for is now there.
    first = decided(observation)
    settled = after(observation, first, later=100.0)
    second = decided(settled)
    assert second.status == first.status
    assert second.objects == first.objects
    assert second.finalizer in (Finalizer.KEEP, first.finalizer)
    assert second.events == ()


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    observation = serving()
    later = decided(replace(observation, now=observation.now + 1000))
    assert later.status == observation.workspace["status"]


def test_a_decision_depends_on_nothing_but_its_arguments() -> None:
    assert decided(DEPLOYED) == decided(DEPLOYED)


# Failures


def test_a_machine_that_cannot_be_had_is_said_in_its_own_words() -> None:
    words = "all requested instance types were unavailable during launch. No quota."
    decision = decided(seen(held(), orders=(failed_machine(words),)))
    assert says(decision, "MachineReady") == ("False", "machineFailedCreation")
    assert says(decision, "ResourceReady") == ("False", "machineFailedCreation")
    assert condition(decision, "ResourceReady")["message"] == f"Machine {FIRST}: {words}"
    assert [e.type for e in decision.events] == ["Warning"]


def test_a_machine_that_is_had_after_all_mends_it() -> None:
    failed = seen(held(), orders=(failed_machine("no quota"),))
    mended = replace(after(failed, decided(failed)), orders=(ready_machine(),), nodes=(own_node(),))
    assert says(decided(mended), "ResourceReady")[0] == "True"


def test_a_name_like_no_other_is_answered_with_examples() -> None:
    decision = decided(seen(held(inference={"preset": {"name": "!!"}})))
    assert condition(decision, "ResourceReady")["message"].startswith(
        "inference.preset.name is !!, which is no model that KAITO knows; names that it knows "
        "are, for example, deepseek-r1-0528, "
    )


REFUSALS: list[tuple[Object, str, str]] = [
    (
        held(inference={"preset": {"name": "phi-3-mini"}}),
        "UnknownPreset",
        (
            "inference.preset.name is phi-3-mini, which is no model that KAITO knows; names like "
            "it are phi-3.5-mini-instruct, phi-3-mini-4k-instruct and phi-4-mini-instruct."
        ),
    ),
    (
        held(resource={"instanceType": "Standrad_NC6s_v3"}),
        "UnknownInstanceType",
        "KAITO knows; names like it are Standard_NC6s_v3, ",
    ),
    (
        held(resource={"instanceType": "Standard_NG32ads_V620_v1"}),
        "UnknownInstanceType",
        "which has AMD V620: presets run on NVIDIA GPUs; sizes that do are ",
    ),
    (
        held(
            inference={"preset": {"name": "phi-4"}},
            metadata={"annotations": {"kaito.sh/runtime": "transformers"}},
        ),
        "ModelDoesNotFit",
        (
            "inference.preset.name phi-4 needs 3 nodes of Standard_NC6s_v3 (1 x NVIDIA V100 "
            "(16 GiB) each), and the runtime transformers (annotation kaito.sh/runtime, or an "
            "adapter's strength other than 1.0) serves a model from one; sizes that do are "
        ),
    ),
    (
        held(inference={"preset": {"name": "phi-4"}}, metadata={"name": "w" * 53}),
        "InvalidSpec",
        "metadata.name has 53 characters: with several nodes at most 52 are possible",
    ),
    (
        held(inference={"preset": {"name": "llama-3.1-8b-instruct"}}),
        "InvalidSpec",
        "modelAccessSecret is not set",
    ),
    (
        held(
            inference={
                "adapters": [{"source": {"name": "phi-3-mini-4k-instruct", "image": "b"}}],
            }
        ),
        "InvalidSpec",
        "inference.adapters[0].source.name is phi-3-mini-4k-instruct, which is what the model",
    ),
    (
        held(inference={"adapters": [{"source": {"name": "4a", "image": "b"}, "strength": "0.5"}]}),
        "InvalidSpec",
        "inference.adapters[0].source.name is 4a, and the strength of an adapter is told under",
    ),
    (
        held(metadata={"annotations": {"kaito.sh/api-key-secret": "No Name"}}),
        "InvalidSpec",
        "Annotation kaito.sh/api-key-secret is No Name, which is no name of a Secret",
    ),
    (
        held(metadata={"annotations": {"kaito.sh/network-policy": "all"}}),
        "InvalidSpec",
        "Annotation kaito.sh/network-policy is all: write namespace, or remove it.",
    ),
    (
        held(resource={"partition": {"mode": "mig", "profile": "1g.5gb"}}),
        "NotSupported",
        "parts of GPUs arrive in a later release",
    ),
    (
        held(metadata={"annotations": {"kaito.sh/node-image-family": "windows"}}),
        "InvalidSpec",
        "Annotation kaito.sh/node-image-family is windows: write ubuntu, ubuntu2204, ",
    ),
    (
        held(metadata={"annotations": {"kaito.sh/spot-max-price": "cheap"}}),
        "InvalidSpec",
        "Annotation kaito.sh/spot-max-price is 'cheap': write dollars an hour",
    ),
    (
        held(metadata={"annotations": {"kaito.sh/gpu-driver": "operator"}}),
        "InvalidSpec",
        "Annotation kaito.sh/gpu-driver is operator: write install or none, or remove it.",
    ),
    (held(metadata={"name": "w" * 64}), "InvalidSpec", "must have at most 63"),
    (held(metadata={"name": "9"}), "InvalidSpec", "start with a letter"),
    (held(resource={"count": "many"}), "InvalidSpec", "resource.count"),
    (held(resource=None), "InvalidSpec", "resource"),
    (
        held(resource={"labelSelector": {"matchLabels": {"a b": "c"}}}),
        "InvalidSpec",
        "no label key",
    ),
    (
        held(
            resource={
                "labelSelector": {
                    "matchLabels": {"a": "b"},
                    "matchExpressions": [{"key": "a", "operator": "In", "values": ["c"]}],
                }
            }
        ),
        "InvalidSpec",
        "resource.labelSelector asks for two values of a, b and c: keep one.",
    ),
    (
        held(
            resource={
                "labelSelector": {
                    "matchLabels": {"node.kubernetes.io/instance-type": "Standard_D4s_v5"}
                }
            }
        ),
        "InvalidSpec",
        "leave that label out",
    ),
    (
        held(inference={"preset": None, "template": {"spec": []}}),
        "InvalidSpec",
        "inference.template.spec must be an object.",
    ),
]


@pytest.mark.parametrize(("found", "reason", "message"), REFUSALS)
def test_what_cannot_be_ends_at_once_in_one_sentence(
    found: Object, reason: str, message: str
) -> None:
    found["inference"] = {k: v for k, v in found.get("inference", {}).items() if v is not None}
    found = {k: v for k, v in found.items() if v != {}}
    decision = decided(seen(found))
    assert decision.objects == ()
    assert decision.deletions == ()
    assert decision.look_again is None
    assert says(decision, "ResourceReady") == ("False", reason)
    assert message in condition(decision, "ResourceReady")["message"]
    assert "\n" not in condition(decision, "ResourceReady")["message"]
    assert condition(decision, "ResourceReady")["message"].endswith(".")
    assert says(decision, "InferenceReady") == ("False", reason)
    assert says(decision, "WorkspaceReady") == ("False", "workspaceFailed")
    assert says(decision, "WorkspaceSucceeded") == ("False", "workspaceFailed")
    assert decision.status is not None
    assert decision.status["state"] == "Failed"
    assert [(e.type, e.reason) for e in decision.events] == [("Warning", reason)]


def test_a_preset_that_is_corrected_goes_on() -> None:
    wrong = seen(held(inference={"preset": {"name": "phi-3-mini"}}))
    failed = after(wrong, decided(wrong))
    corrected = held(metadata={"generation": 2}) | {"status": failed.workspace["status"]}
    decision = decided(replace(failed, workspace=corrected))
    assert kinds(decision) == ["Machine"]
    assert says(decision, "ResourceReady") == NOT_READY
    assert {c["observedGeneration"] for c in (decision.status or {})["conditions"]} == {2}


def test_an_edit_that_cannot_be_tears_nothing_down() -> None:
    observation = serving()
    edited = {
        **observation.workspace,
        "inference": {"preset": {"name": "phi-33"}},
        "metadata": {**observation.workspace["metadata"], "generation": 2},
    }
    decision = decided(replace(observation, workspace=edited))
    assert (decision.objects, decision.deletions) == ((), ())
    assert says(decision, "WorkspaceReady") == ("False", "workspaceFailed")


LONG: Object = {
    "metadata": {"name": "c"},
    "data": {"inference_config.yaml": "vllm: {max-model-len: 131072}"},
}
BYPASSED = {"annotations": {"kaito.sh/bypass-resource-checks": "true"}}


def test_a_model_that_does_not_fit_is_tried_where_its_author_answers_for_it() -> None:
    found = held(inference={"preset": {"name": "phi-3-mini-128k-instruct"}, "config": "c"})
    assert says(decided(seen(found, config=LONG)), "ResourceReady")[1] == "ModelDoesNotFit"
    bypassed = {**found, "metadata": {**found["metadata"], **BYPASSED}}
    assert kinds(decided(seen(bypassed, config=LONG))) == ["Machine"]


def test_who_answers_for_a_model_gets_the_nodes_that_it_needs_all_the_same() -> None:
    found = held(inference={"preset": {"name": "phi-4"}}, metadata=BYPASSED)
    assert kinds(decided(seen(found))) == ["Machine"] * 3


def test_a_size_is_known_in_any_case_and_spelled_as_the_cloud_does() -> None:
    decision = decided(seen(held(resource={"instanceType": "standard_nc6S_V3"})))
    (requirement, *_) = of_kind(decision, "Machine")["spec"]["requirements"]
    assert requirement["values"] == ["Standard_NC6s_v3"]


def test_a_retired_size_is_warned_of_once() -> None:
    first = decided(seen(workspace()))
    assert [e.reason for e in first.events] == ["InstanceTypeRetired", "InstanceTypeUnsuited"]
    assert decided(after(seen(workspace()), first)).events == ()


# Rolling out


def edited_preset(observation: Observation) -> Observation:
    found = {
        **observation.workspace,
        "inference": {"preset": {"name": "phi-2"}},
        "metadata": {**observation.workspace["metadata"], "generation": 2},
    }
    return replace(observation, workspace=found)


def test_another_preset_is_not_ready_before_it_is_rolled_out() -> None:
    observation = edited_preset(serving())
    decision = decided(observation)
    assert says(decision, "InferenceReady") == PENDING
    assert says(decision, "ResourceReady")[0] == "True"
    assert (decision.status or {})["state"] == "NotReady"
    assert "--model=microsoft/phi-2" in str(of_kind(decision, "Deployment"))
    # Written, but its controller has not seen it yet: the counts are those of the old one.
    written = of_kind(decision, "Deployment")
    old_counts = rolled_out(written)
    old_counts["metadata"]["generation"] = 2
    assert says(decided(replace(observation, deployment=old_counts)), "InferenceReady") == PENDING
    done = rolled_out(written)
    assert says(decided(replace(observation, deployment=done)), "InferenceReady")[0] == "True"


def test_another_preset_keeps_the_machine_as_it_is() -> None:
    decision = decided(edited_preset(serving()))
    spec = of_kind(decision, "Machine")["spec"]
    assert spec["resources"]["requests"]["storage"] == "87Gi"
    assert decision.deletions == ()


@pytest.mark.parametrize(
    "counts",
    [
        {"readyReplicas": 0},
        {"updatedReplicas": 0},
        {"availableReplicas": 0},
        {"replicas": 2},
        {"observedGeneration": 0},
    ],
)
def test_only_a_complete_rollout_is_ready(counts: dict[str, int]) -> None:
    observation = serving()
    assert observation.deployment is not None
    partial = rolled_out(observation.deployment, **counts)
    decision = decided(replace(observation, deployment=partial))
    assert says(decision, "InferenceReady")[0] == "False"


def test_what_a_pod_says_is_passed_on() -> None:
    observation = serving()
    assert observation.deployment is not None
    pod = {
        "metadata": {"name": "w-1"},
        "status": {
            "containerStatuses": [
                {
                    "name": "w",
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"exitCode": 3}},
                }
            ]
        },
    }
    crashing = replace(
        observation,
        deployment=rolled_out(observation.deployment, readyReplicas=0, availableReplicas=0),
        pods=(pod,),
    )
    decision = decided(crashing)
    assert says(decision, "InferenceReady") == ("False", "ContainerCrashLoopBackOff")
    assert "exit code was 3" in condition(decision, "InferenceReady")["message"]
    assert (decision.status or {})["state"] == "NotReady"


def test_a_node_that_falters_deletes_nothing() -> None:
    observation = replace(serving(), nodes=(own_node(ready=False),))
    decision = decided(observation)
    assert kinds(decision) == ["Machine", "Service", "Deployment"]
    assert decision.deletions == ()
    assert says(decision, "ResourceReady") == NOT_READY


def test_a_service_that_somebody_deleted_is_made_again() -> None:
    assert "Service" in kinds(decided(replace(serving(), service=None)))


@pytest.mark.parametrize("kind", ["Service", "Deployment"])
def test_an_obstacle_is_said_and_looked_at_again(kind: str) -> None:
    there = Obstacle(kind=kind, reason="NameTaken", message="It exists already.")
    decision = decided(replace(DEPLOYED, obstacles=(there,)))
    assert says(decision, "InferenceReady") == ("False", "NameTaken")
    assert condition(decision, "WorkspaceReady")["message"] == "It exists already."
    assert decision.look_again == 60.0


def test_a_machine_that_is_refused_is_said() -> None:
    there = Obstacle(kind="Machine", reason="RefusedByApiServer", message="No.")
    decision = decided(replace(seen(held()), obstacles=(there,)))
    assert says(decision, "ResourceReady") == ("False", "RefusedByApiServer")


def test_what_will_run_is_tried_before_the_first_node_is_asked_for() -> None:
    first = decided(seen(held()))
    assert [each["kind"] for each in first.trial] == ["Service", "Deployment"]
    asked = after(seen(held()), first)
    assert decided(asked).trial == ()


def test_an_obstacle_that_was_foreseen_stands_before_the_nodes() -> None:
    there = Obstacle(kind="Deployment", reason="RefusedByApiServer", message="No.")
    decision = decided(replace(seen(held()), obstacles=(there,)))
    assert says(decision, "ResourceReady") == ("False", "RefusedByApiServer")
    assert decision.look_again == 60.0


# Deleting


def gone(**changes: Any) -> Object:
    return held(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, **changes)


def test_deletion_takes_the_machines_first_and_waits_for_them() -> None:
    observation = serving()
    deleting = replace(
        observation,
        workspace={
            **observation.workspace,
            "metadata": {
                **observation.workspace["metadata"],
                "deletionTimestamp": "2026-01-01T00:00:00Z",
            },
        },
    )
    decision = decided(deleting)
    assert decision.finalizer is Finalizer.KEEP
    assert decision.objects == ()
    assert [(d.resource.kind, d.uid) for d in decision.deletions] == [
        ("Deployment", "uid-of-Deployment"),
        ("Service", "uid-of-Service"),
        ("Machine", f"uid-of-{FIRST}"),
    ]
    assert says(decision, "WorkspaceDeleting") == ("True", "workspaceDeleted")
    assert FIRST in condition(decision, "WorkspaceDeleting")["message"]
    assert says(decision, "WorkspaceReady")[0] == "False"
    assert [(e.reason, FIRST in e.message) for e in decision.events] == [("workspaceDeleted", True)]


def test_a_machine_in_deletion_is_not_deleted_again() -> None:
    decision = decided(seen(gone(), orders=(machine(deleting=True),)))
    assert decision.deletions == ()
    assert decision.finalizer is Finalizer.KEEP


def test_a_workspace_goes_when_its_machines_have_gone() -> None:
    decision = decided(seen(gone()))
    assert decision.finalizer is Finalizer.REMOVE
    assert decision.status is None


def test_a_workspace_that_is_not_ours_to_hold_is_left_alone() -> None:
    found = workspace(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert decided(seen(found)) == Decision()


def test_a_broken_workspace_can_be_deleted() -> None:
    assert decided(seen(gone(resource=None, inference=None))).finalizer is Finalizer.REMOVE


def test_children_of_others_survive_the_deletion() -> None:
    stranger = {"metadata": {"name": "w", "uid": "x", "ownerReferences": []}}
    assert decided(seen(gone(), deployment=stranger, service=stranger)).deletions == ()


# Several nodes


def with_template(count: int, **resource: Any) -> Object:
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    found = held(resource={"count": count, **resource})
    found["inference"] = {"template": template}
    return found


def test_a_template_takes_as_many_nodes_as_it_asks_for() -> None:
    decision = decided(seen(with_template(2)))
    assert [o["metadata"]["name"] for o in decision.objects] == [FIRST, SECOND]
    assert (decision.status or {})["targetNodeCount"] == 2


def test_only_what_is_missing_is_asked_for() -> None:
    decision = decided(seen(with_template(2), orders=(ready_machine(SECOND),)))
    assert [o["metadata"]["name"] for o in decision.objects] == [SECOND, FIRST]


def test_a_template_is_deployed_when_all_its_nodes_are_ready() -> None:
    observation = seen(
        with_template(2),
        orders=(ready_machine(FIRST), ready_machine(SECOND)),
        nodes=(own_node(FIRST), own_node(SECOND)),
    )
    decision = decided(observation)
    assert of_kind(decision, "Deployment")["spec"]["replicas"] == 2
    half = decided(replace(observation, nodes=(own_node(FIRST),)))
    assert "Deployment" not in kinds(half)


def test_a_machine_too_many_is_deleted_and_a_ready_one_kept() -> None:
    observation = seen(held(), orders=(machine(FIRST), ready_machine("wsother")))
    decision = decided(observation)
    assert [o["metadata"]["name"] for o in decision.objects] == ["wsother"]
    assert [d.key.name for d in decision.deletions] == [FIRST]


def test_a_machine_of_another_size_does_not_count() -> None:
    other = held(resource={"instanceType": "Standard_NC24ads_A100_v4"})
    decision = decided(seen(other, orders=(ready_machine("wsother"),)))
    assert [o["metadata"]["name"] for o in decision.objects] == [FIRST]
    assert [d.key.name for d in decision.deletions] == ["wsother"]


# Nodes that users bring


def test_a_node_that_is_there_already_saves_a_machine() -> None:
    decision = decided(seen(held(), nodes=(node("a"),)))
    assert kinds(decision) == ["Service", "Deployment"]
    assert (decision.status or {})["workerNodes"] == ["a"]
    assert says(decision, "MachineReady") == ("", "")


@pytest.mark.parametrize(
    "other",
    [
        node("a", owner="other"),
        node("a", apps="llama"),
        node("a", ready=False),
        node("a", cordoned=True),
        node("a", **{"node.kubernetes.io/instance-type": "Standard_D4s_v5"}),
    ],
)
def test_nodes_of_others_and_of_another_kind_do_not_count(other: Any) -> None:
    decision = decided(seen(held(), nodes=(other,)))
    assert kinds(decision) == ["Machine"]
    assert "workerNodes" not in (decision.status or {})


def test_a_node_that_another_workspace_counts_does_not_count() -> None:
    decision = decided(seen(held(), nodes=(node("a"),), taken=frozenset(["a"])))
    assert kinds(decision) == ["Machine"]


def test_a_node_that_falters_is_not_replaced_by_one_that_costs_money() -> None:
    observation = seen(held(), nodes=(node("a"),))
    observation = after(observation, decided(observation))
    decision = decided(replace(observation, nodes=(node("a", ready=False),)))
    assert "Machine" not in kinds(decision)
    assert condition(decision, "NodesReady")["message"] == "Node a is not ready."
    assert "Machine" in kinds(decided(replace(observation, nodes=())))


def test_a_node_that_turns_up_late_does_not_displace_a_machine() -> None:
    decision = decided(replace(serving(), nodes=(own_node(), node("a"))))
    assert decision.deletions == ()
    assert (decision.status or {})["workerNodes"] == [f"node-{FIRST}"]


GPU_LABELS = {"nvidia.com/gpu.count": "1", "nvidia.com/gpu.memory": "40960"}


def test_without_a_size_only_nodes_that_are_there_are_used() -> None:
    own = held(resource={"instanceType": ""})
    decision = decided(seen(own))
    assert kinds(decision) == []
    message = condition(decision, "ResourceReady")["message"]
    assert message == (
        "0 of 1 nodes are there. resource.instanceType is empty, so none are brought up: label "
        "1 ready GPU node that no other Workspace uses with apps=phi-3."
    )
    ready = decided(seen(own, nodes=(node("a", **GPU_LABELS),)))
    assert kinds(ready) == ["Service", "Deployment"]


def test_gpus_whose_memory_nobody_knows_are_taken_at_their_users_word() -> None:
    found = held(resource={"instanceType": "", "count": 1})
    decision = decided(seen(found, nodes=(node("a", gpus=4),)))
    (container,) = of_kind(decision, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "4"}
    assert "--tensor-parallel-size=4" in container["command"]


def test_several_nodes_of_ones_own_serve_one_model_where_nobody_knows_their_memory() -> None:
    found = held(resource={"instanceType": "", "count": 2})
    decision = decided(seen(found, nodes=(node("a", gpus=4), node("b", gpus=4))))
    assert kinds(decision)[-1] == "StatefulSet"
    assert of_kind(decision, "StatefulSet")["spec"]["replicas"] == 2


def test_a_model_that_does_not_fit_the_nodes_that_are_there_is_refused() -> None:
    small = GPU_LABELS | {"nvidia.com/gpu.memory": "2048"}
    own = held(resource={"instanceType": ""})
    decision = decided(seen(own, nodes=(node("a", **small),)))
    assert says(decision, "ResourceReady") == ("False", "ModelDoesNotFit")
    mended = decided(seen(own, nodes=(node("a", **GPU_LABELS),)))
    assert says(mended, "ResourceReady")[0] == "True"


def test_nodes_with_gpus_and_preferred_ones_come_first() -> None:
    nodes = (node("a", gpus=0), node("b"), node("c"))
    first = decided(seen(held(), nodes=nodes))
    assert (first.status or {})["workerNodes"] == ["b"]
    wished = decided(seen(held(resource={"preferredNodes": ["c"]}), nodes=nodes))
    assert (wished.status or {})["workerNodes"] == ["c"]


# Settings


def test_sizes_are_those_of_the_cloud_that_is_set() -> None:
    found = held(resource={"instanceType": "g5.xlarge"})
    assert says(decided(seen(found)), "ResourceReady")[1] == "UnknownInstanceType"
    in_aws = decided(seen(found), Settings(cloud="aws"))
    assert kinds(in_aws) == ["Machine"]


def test_an_empty_catalogue_knows_nothing_and_says_so() -> None:
    decision = decide(seen(held()), Catalog({}, {}), SETTINGS)
    assert condition(decision, "ResourceReady")["message"] == (
        "inference.preset.name is phi-3-mini-4k-instruct, which is no model that KAITO knows."
    )
    assert CATALOG.models


def test_where_it_answers_what_it_costs_and_how_it_started_is_told() -> None:
    sku = CATALOG.find_sku(SIZE, cloud="azure")
    assert sku is not None
    assert sku.price is not None
    status = serving().workspace["status"]
    assert status["endpoint"] == "http://w.default.svc"
    assert status["pricePerHour"] == f"{sku.price.usd_per_hour:.2f}"


def test_what_was_told_of_it_stays_while_an_edit_is_refused() -> None:
    running = serving()
    edited = {
        **running.workspace,
        "inference": {"preset": {"name": "no-such-model"}},
    }
    refused = decided(replace(running, workspace=edited))
    assert says(refused, "WorkspaceReady")[0] == "False"
    assert refused.status is not None
    assert refused.status["endpoint"] == running.workspace["status"]["endpoint"]


def test_nothing_is_said_of_a_price_before_a_node_is_paid_for() -> None:
    decision = decided(seen(held()))
    assert decision.status is not None
    assert not {"endpoint", "pricePerHour", "phases"} & decision.status.keys()
