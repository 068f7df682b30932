"""An explanation follows the conditions down, in their own words, and says whose turn it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api import conditions as c
from kaito.api.launch import Cause
from kaito.api.tuning import ENDINGS
from kaito.runtime import Object, rfc3339
from kaito.why import State, Verdict, explain
from test.unit.why.scenes import (
    MINUTE,
    NOW,
    claim,
    condition,
    deployment,
    lease,
    machine,
    node_pool,
    not_ready,
    pod,
    scene,
    warning,
    workspace,
)

CRASHED = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 3, "message": "no such file"}},
    "restartCount": 4,
}


def test_what_serves_is_ready_and_there_is_nothing_to_do() -> None:
    chain = explain(scene(workspace(condition("WorkspaceReady", "True", c.READY, "1 of 1."))))
    assert (chain.verdict, chain.cause, chain.fix) == (Verdict.READY, "1 of 1.", None)


def test_what_waits_for_a_pool_is_on_its_way() -> None:
    said = "Machine ws1 (Standard_NC6s_v3): Agent pool ws1 is being made: Creating."
    launching = condition("MachineLaunched", "Unknown", "Launching", "Agent pool ws1 is made.")
    waits = not_ready(c.RESOURCE_READY, c.RESOURCE_NOT_READY, said)
    chain = explain(scene(workspace(*waits), orders=(machine(launching),)))
    assert (chain.verdict, chain.cause, chain.fix) == (Verdict.PROGRESSING, said, None)
    assert [(link.kind, link.state) for link in chain.links] == [
        ("Workspace", State.WAITING),
        ("Machine", State.DONE),
        ("agent pool", State.WAITING),
    ]


@pytest.mark.parametrize("cause", Cause)
def test_a_refusal_of_the_cloud_is_retried_where_it_may_pass_and_somebodys_where_not(
    cause: Cause,
) -> None:
    said = "Machine ws1: no."
    refused = condition("MachineLaunched", "False", cause.value, "no.")
    failed = not_ready(c.RESOURCE_READY, c.MACHINE_FAILED, said)
    chain = explain(scene(workspace(*failed), orders=(machine(refused),)))
    expected = Verdict.RETRYING if cause.passing else Verdict.NEEDS_YOU
    if cause is Cause.INVALID:
        expected = Verdict.HOPELESS
    assert (chain.verdict, chain.reason, chain.cause) == (expected, cause.value, said)
    assert chain.fix is not None


def test_why_a_launch_had_to_be_tried_again_is_told_while_it_is() -> None:
    again = condition("MachineLaunched", "Unknown", "Launching", "Agent pool ws1 is made.")
    said = "no Node of agent pool ws1 joined the cluster within 15 minutes."
    failed = not_ready(c.RESOURCE_READY, c.RESOURCE_NOT_READY, "Machine ws1: it is made.")
    events = {"uid-of-ws1": (warning("RegistrationTimeout", said),)}
    chain = explain(scene(workspace(*failed), orders=(machine(again),), events=events))
    assert (chain.verdict, chain.reason) == (Verdict.RETRYING, "RegistrationTimeout")
    assert chain.cause == f"Machine ws1: {said}"


def test_who_may_not_read_claims_is_told_what_the_workspace_says_of_them() -> None:
    said = "Machine ws1: quota; `az vm list-usage --location eastus` shows what is used."
    failed = workspace(*not_ready(c.RESOURCE_READY, c.MACHINE_FAILED, said))
    assert explain(scene(failed)).verdict is Verdict.RETRYING
    failed["status"]["state"] = "Failed"
    chain = explain(scene(failed))
    assert (chain.verdict, chain.cause) == (Verdict.NEEDS_YOU, said)
    assert chain.fix is not None
    assert "az vm list-usage --location eastus" in chain.fix.commands
    assert "kaito.sh/instance-types=Standard_NC6s_v3," in chain.fix.commands[0]


def test_a_claim_that_karpenter_still_tries_is_retried_whatever_stands_in_its_way() -> None:
    tries = condition("Launched", "Unknown", Cause.FAMILY_QUOTA.value, "quota")
    failed = not_ready(c.RESOURCE_READY, c.NODE_CLAIM_FAILED, "NodeClaim ws2: quota")
    chain = explain(scene(workspace(*failed), orders=(claim(tries, foreign=True),)))
    assert (chain.verdict, chain.reason) == (Verdict.RETRYING, Cause.FAMILY_QUOTA.value)
    assert [link.kind for link in chain.links] == ["Workspace", "NodeClaim", "instance"]


def test_a_claim_of_another_provisioner_does_not_wait_for_ours() -> None:
    waits = not_ready(c.RESOURCE_READY, c.RESOURCE_NOT_READY, "NodeClaim ws2 is on its way.")
    leases = {"kaito-workspace": lease(5.0), "kaito-provisioner": None}
    found = scene(workspace(*waits), orders=(claim(foreign=True),), leases=leases)
    assert explain(found).verdict is Verdict.PROGRESSING


def test_a_pool_is_told_with_the_claims_that_it_was_made_into() -> None:
    said = "NodePool pool: no room"
    refused = condition("Launched", "False", Cause.ALLOCATION.value, "no room")
    failed = not_ready(c.RESOURCE_READY, c.NODE_CLAIM_FAILED, said)
    orders = (node_pool(2), claim(refused, pool="pool"))
    chain = explain(scene(workspace(*failed), orders=orders))
    assert (chain.verdict, chain.reason) == (Verdict.RETRYING, Cause.ALLOCATION.value)
    assert [link.kind for link in chain.links][:3] == ["Workspace", "NodePool", "NodeClaim"]


@pytest.mark.parametrize(
    ("age", "verdict"), [(MINUTE, Verdict.PROGRESSING), (6 * MINUTE, Verdict.NEEDS_YOU)]
)
def test_a_device_plugin_is_waited_for_and_then_somebodys_to_install(
    age: float, verdict: Verdict
) -> None:
    said = "Machine ws1: Node node-1 does not offer nvidia.com/gpu yet."
    steps = (
        condition("MachineLaunched", "True", "MachineLaunched", ""),
        condition("MachineInitialized", "False", "DevicePluginMissing", "not yet.", age),
    )
    waits = not_ready(c.RESOURCE_READY, c.RESOURCE_NOT_READY, said)
    chain = explain(scene(workspace(*waits), orders=(machine(*steps, node="node-1"),)))
    assert (chain.verdict, chain.reason) == (verdict, "DevicePluginMissing")
    assert chain.fix is not None
    assert "kubectl describe node node-1" in chain.fix.commands


def test_nodes_that_nobody_asks_for_have_to_be_brought() -> None:
    said = "0 of 1 nodes are there. resource.instanceType is empty, so none are brought up."
    waits = [
        condition(c.NODES_READY, "False", c.NODE_NOT_READY, said),
        *not_ready(c.RESOURCE_READY, c.RESOURCE_NOT_READY, said),
    ]
    chain = explain(scene(workspace(*waits)))
    assert chain.verdict is Verdict.NEEDS_YOU
    assert chain.fix is not None
    assert "kubectl label node NODE apps=phi-3" in chain.fix.commands


@pytest.mark.parametrize(
    "reason",
    [c.UNKNOWN_PRESET, c.UNKNOWN_INSTANCE_TYPE, c.MODEL_DOES_NOT_FIT, c.INVALID_SPEC],
)
def test_what_is_wrong_as_it_is_written_is_hopeless(reason: str) -> None:
    chain = explain(scene(workspace(*not_ready(c.RESOURCE_READY, reason, "It cannot be."))))
    assert (chain.verdict, chain.reason) == (Verdict.HOPELESS, reason)


@pytest.mark.parametrize(
    ("age", "verdict"), [(MINUTE, Verdict.RETRYING), (11 * MINUTE, Verdict.NEEDS_YOU)]
)
def test_a_crash_loop_is_retried_and_then_somebodys_to_look_at(
    age: float, verdict: Verdict
) -> None:
    said = "Pod w-0, container w, waits: CrashLoopBackOff: its last exit code was 3."
    wrong = not_ready(c.INFERENCE_READY, c.CRASH_LOOP, said, age)
    chain = explain(
        scene(workspace(*wrong), workloads=(deployment(),), pods=(pod(container=CRASHED),))
    )
    assert (chain.verdict, chain.cause) == (verdict, said)
    assert chain.fix is not None
    assert chain.fix.commands[0] == "kubectl -n default logs w-0 -c w --previous"
    last = chain.links[-1]
    assert (last.kind, last.message) == ("container", "no such file")
    assert last.evidence == "waiting, CrashLoopBackOff, exit code 3, 4 restarts"


def test_what_a_kubelet_tells_is_known_before_a_condition_says_it() -> None:
    waits = not_ready(c.INFERENCE_READY, c.INFERENCE_PENDING, "0 of 1 replicas are ready.")
    lacks = 'MountVolume.SetUp failed for volume "auth" : secret "registry" not found'
    events = {"uid-of-w-0": (warning("FailedMount", lacks, count=3),)}
    chain = explain(scene(workspace(*waits), pods=(pod(),), events=events))
    assert (chain.verdict, chain.reason) == (Verdict.NEEDS_YOU, c.VOLUMES_NOT_MOUNTED)
    assert chain.cause == f"Pod w-0 cannot start: {lacks}."
    assert chain.fix is not None
    assert chain.fix.what.startswith("Create the Secret registry")
    assert chain.links[-1].evidence == "about Pod w-0, 3 times"


def test_what_a_container_mounts_is_no_trouble_once_it_runs() -> None:
    waits = not_ready(c.INFERENCE_READY, c.INFERENCE_PENDING, "0 of 1 replicas are ready.")
    running = {"state": {"running": {"startedAt": rfc3339(NOW - 1.0)}}}
    events = {"uid-of-w-0": (warning("FailedMount", 'secret "registry" not found'),)}
    chain = explain(scene(workspace(*waits), pods=(pod(container=running),), events=events))
    assert chain.verdict is Verdict.PROGRESSING
    assert all(link.kind != "Event" for link in chain.links)


def test_pods_that_a_set_cannot_make_are_told_from_its_events() -> None:
    waits = not_ready(c.INFERENCE_READY, c.INFERENCE_PENDING, "0 of 3 replicas are ready.")
    wanted = deployment(kind="StatefulSet")
    events = {"uid-of-deployment": (warning("FailedCreate", "exceeded quota: none"),)}
    chain = explain(scene(workspace(*waits), workloads=(wanted,), events=events))
    assert (chain.verdict, chain.reason) == (Verdict.NEEDS_YOU, c.PODS_REFUSED)
    assert chain.cause == "No Pods can be made for StatefulSet w: exceeded quota: none."


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=lambda ending: ending.reason)
def test_a_training_that_ended_is_somebodys_where_it_is_not_tried_again(ending: Any) -> None:
    said = "Container trainer of Pod w-0 ended: the data cannot be trained on."
    ended = {"state": {"terminated": {"exitCode": ending.code}}, "name": "trainer"}
    failed = not_ready(c.WORKSPACE_SUCCEEDED, ending.reason, said)
    chain = explain(scene(workspace(*failed), pods=(pod(container=ended),)))
    expected = Verdict.NEEDS_YOU if ending.final else Verdict.RETRYING
    assert (chain.verdict, chain.reason, chain.cause) == (expected, ending.reason, said)


def test_a_training_that_is_tried_again_is_told_with_what_went_wrong() -> None:
    said = "The registry does not answer (container pusher of Pod w-0, exit code 18). Job w tries."
    ended = {"name": "pusher", "state": {"terminated": {"exitCode": 18}}}
    waits = not_ready(c.JOB_STARTED, c.JOB_PENDING, said)
    job = deployment(kind="Job", spec={})
    failed = pod(phase="Failed", containerStatuses=[ended])
    chain = explain(scene(workspace(*waits), workloads=(job,), pods=(failed,)))
    assert (chain.verdict, chain.reason) == (Verdict.RETRYING, c.REGISTRY_UNAVAILABLE)
    assert chain.cause == said


def test_a_training_whose_tries_are_used_up_is_somebodys() -> None:
    said = "The registry does not answer. It was tried 4 times."
    failed = workspace(*not_ready(c.WORKSPACE_SUCCEEDED, c.REGISTRY_UNAVAILABLE, said))
    failed["status"]["state"] = "Failed"
    chain = explain(scene(failed))
    assert chain.verdict is Verdict.NEEDS_YOU
    assert chain.fix is not None
    assert chain.fix.commands[0] == "kubectl -n default delete job w"


@pytest.mark.parametrize(
    ("kind", "spec", "command"),
    [
        ("Deployment", {"replicas": 0}, "kubectl scale deployment w -n default --replicas=1"),
        (
            "Job",
            {"suspend": True},
            """kubectl patch job w -n default --type merge -p '{"spec":{"suspend":false}}'""",
        ),
    ],
)
def test_what_somebody_set_aside_is_to_be_set_going(kind: str, spec: Object, command: str) -> None:
    waits = not_ready(c.INFERENCE_READY, c.INFERENCE_PENDING, "It is set aside.")
    wanted = deployment(kind=kind, spec=spec)
    chain = explain(scene(workspace(*waits), workloads=(wanted,)))
    assert chain.verdict is Verdict.NEEDS_YOU
    assert chain.fix is not None
    assert chain.fix.commands == (command,)


def test_a_training_says_how_far_it_is() -> None:
    runs = condition(c.JOB_STARTED, "True", c.JOB_HAS_STARTED, "Job w trains the model.")
    waits = condition("WorkspaceReady", "False", c.PENDING, "Job w trains the model.")
    going = workspace(runs, waits)
    going["status"]["tuning"] = {"step": 12, "steps": 300, "secondsLeft": 840}
    chain = explain(scene(going, workloads=(deployment(kind="Job", spec={}),)))
    assert chain.verdict is Verdict.PROGRESSING
    assert "step 12 of 300, 840 s left" in [link.message for link in chain.links]


def test_a_reason_that_nobody_knows_is_told_as_it_is() -> None:
    chain = explain(scene(workspace(*not_ready(c.INFERENCE_READY, "Odd", "It is odd."))))
    assert (chain.verdict, chain.reason, chain.cause) == (
        Verdict.NEEDS_YOU,
        "Odd",
        "It is odd.",
    )


def test_a_deletion_that_the_cloud_refuses_is_told_with_its_cause() -> None:
    told = condition(c.WORKSPACE_DELETING, "True", c.DELETED, "Waiting: Machine ws1 (locked).")
    going = workspace(
        told,
        deletionTimestamp=rfc3339(NOW - MINUTE),
        finalizers=["workspace.finalizer.kaito.sh"],
    )
    locked = condition("Ready", "False", Cause.LOCK.value, "a lock on the group")
    chain = explain(scene(going, orders=(machine(locked),)))
    assert (chain.verdict, chain.reason) == (Verdict.NEEDS_YOU, Cause.LOCK.value)
    assert chain.cause == "Waiting: Machine ws1 (locked)."


def test_a_workspace_that_nobody_looks_at_is_not_taken_for_one_that_waits() -> None:
    unseen = workspace()
    chain = explain(scene(unseen, leases={"kaito-workspace": None}))
    assert (chain.verdict, chain.reason) == (Verdict.NEEDS_YOU, "ManagerNotRunning")


def test_what_serves_while_the_manager_is_away_is_ready_and_says_so() -> None:
    ready = workspace(condition("WorkspaceReady", "True", c.READY, "1 of 1."))
    chain = explain(scene(ready, leases={"kaito-workspace": lease(5.0, holder="")}))
    assert chain.verdict is Verdict.READY
    assert (chain.links[-1].kind, chain.links[-1].state) == ("Lease", State.FAILING)


def test_an_edit_that_has_not_been_judged_yet_is_on_its_way_while_the_manager_lives() -> None:
    edited = workspace(condition("WorkspaceReady", "True", c.READY, "1 of 1."), generation=2)
    chain = explain(scene(edited))
    assert chain.verdict is Verdict.PROGRESSING
    assert "generation 2" in chain.cause


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (lease(5.0), Verdict.PROGRESSING),
        (lease(5.0, holder=""), Verdict.NEEDS_YOU),
        (lease(MINUTE), Verdict.PROGRESSING),  # clocks differ by so much
        (lease(2 * MINUTE), Verdict.NEEDS_YOU),
        (None, Verdict.NEEDS_YOU),
    ],
    ids=["held", "given back", "late", "run out", "none"],
)
def test_a_claim_without_an_answer_is_judged_by_the_provisioners_lease(
    found: Object | None, verdict: Verdict
) -> None:
    waits = not_ready(c.RESOURCE_READY, c.RESOURCE_NOT_READY, "Machine ws1 is on its way.")
    leases = {"kaito-workspace": lease(5.0), "kaito-provisioner": found}
    chain = explain(scene(workspace(*waits), orders=(machine(),), leases=leases))
    assert chain.verdict is verdict


def test_equal_scenes_have_equal_chains() -> None:
    said = not_ready(c.INFERENCE_READY, c.CRASH_LOOP, "Pod w-0 crashes.")
    scenes = [scene(workspace(*said), pods=(pod(container=CRASHED),)) for _ in range(2)]
    assert explain(scenes[0]) == explain(scenes[1])


WORDS = st.sampled_from(["", "Ready", "True", "False", "Unknown", "x" * 12, "a\nb", "\x1b[31m"])
TIMES = st.sampled_from(["", "yesterday", rfc3339(NOW)])
REASONS = st.sampled_from(
    [value for name, value in vars(c).items() if name.isupper() and isinstance(value, str)]
)
CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"type": REASONS, "status": WORDS, "reason": REASONS},
        optional={"message": WORDS, "lastTransitionTime": TIMES, "observedGeneration": st.just(1)},
    ),
    max_size=4,
)
STATES = st.dictionaries(
    st.sampled_from(["waiting", "running", "terminated"]),
    st.fixed_dictionaries(
        {}, optional={"reason": WORDS, "message": WORDS, "exitCode": st.integers(0, 255)}
    ),
    max_size=1,
)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": WORDS}, optional={"state": STATES, "lastState": STATES}),
    max_size=2,
)


@given(conditions=CONDITIONS, steps=CONDITIONS, containers=CONTAINERS, events=WORDS)
def test_whatever_others_wrote_is_explained(
    conditions: list[Object], steps: list[Object], containers: list[Object], events: str
) -> None:
    found = pod(containerStatuses=containers, conditions=steps)
    chain = explain(
        scene(
            workspace(*conditions),
            orders=(machine(*steps),),
            pods=(found,),
            workloads=(deployment(),),
            events={"uid-of-w-0": (warning("FailedMount", events),)},
        )
    )
    assert chain.links[0].kind == "Workspace"
    assert all(each.isprintable() for each in (chain.cause, *(x.message for x in chain.links)))
