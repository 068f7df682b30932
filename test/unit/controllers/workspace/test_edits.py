"""What becomes of an edit, state by state: tried, served, undone, and not tried again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.observation import Observation, Obstacle
from kaito.controllers.workspace.parameters import Missing
from kaito.controllers.workspace.rollout import course
from kaito.runtime import Object, rfc3339
from test.unit.controllers.workspace.scene import (
    NOW,
    after,
    condition,
    decided,
    held,
    of_kind,
    own_node,
    ready_machine,
    rolled_out,
    says,
    seen,
)

SECONDS = {"kaito.sh/progress-deadline-seconds": "600"}
CRASHING: Object = {
    "metadata": {"name": "w-1"},
    "status": {
        "containerStatuses": [
            {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}}
        ]
    },
}
TEMPLATE: Object = {"spec": {"containers": [{"name": "c", "image": "good"}]}}
BAD: Object = {"spec": {"containers": [{"name": "c", "image": "bad"}]}}
WORDS = ("resource", "inference", "annotations", "template", "preset", "count", "name")
STALLED: Object = {
    "conditions": [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    ],
    "readyReplicas": 0,
}


def templated(template: Object = TEMPLATE, **metadata: Any) -> Object:
    found = held(metadata={"annotations": SECONDS, **metadata})
    found["inference"] = {"template": template}
    return found


def turn(observation: Observation, *, later: float = 0.0) -> tuple[Decision, Observation]:
    """One decision, and what is seen when it has been written."""
    decision = decided(observation)
    following = after(observation, decision, later=later)
    written = decision.revision
    gone = {each.key.name for each in decision.deletions}
    names = gone if written is None else {written["metadata"]["name"], *gone}
    kept = [each for each in observation.revisions if each["metadata"]["name"] not in names]
    if written is not None:
        uid = f"uid-of-{written['metadata']['name']}"
        kept.append({**written, "metadata": {**written["metadata"], "uid": uid}})
    wanted = [each for each in decision.objects if each["kind"] == "Deployment"]
    deployment = {**following.deployment, **wanted[0]} if following.deployment and wanted else None
    return decision, replace(
        following, revisions=tuple(kept), deployment=deployment or following.deployment
    )


def answering(observation: Observation, **status: Any) -> Observation:
    assert observation.deployment is not None
    return replace(observation, deployment=rolled_out(observation.deployment, **status))


def serving(workspace: Object | None = None) -> Observation:
    """A template that answers, with its revision written down."""
    found = seen(workspace or templated(), orders=(ready_machine(),), nodes=(own_node(),))
    _, found = turn(found)
    _, found = turn(answering(found))
    return found


def edited(observation: Observation, template: Object = BAD) -> Observation:
    return replace(
        observation, workspace={**observation.workspace, "inference": {"template": template}}
    )


def tried(*, seconds: float = 601.0) -> Observation:
    """A bad edit that has had this much time and got nowhere, with a Pod that says why."""
    _, found = turn(edited(serving()), later=seconds)
    assert found.deployment is not None
    return replace(answering(found, **STALLED), pods=(CRASHING,))


def undone() -> Observation:
    """A bad edit that was taken back, with the good one rolled out again."""
    _, found = turn(tried())
    return replace(answering(found), pods=())


def image(decision: Decision) -> str:
    template = of_kind(decision, "Deployment")["spec"]["template"]
    found: str = template["spec"]["containers"][0]["image"]
    return found


# Revisions


def test_the_first_revision_is_written_with_the_workload_and_marked_when_it_answers() -> None:
    found = seen(templated(), orders=(ready_machine(),), nodes=(own_node(),))
    decision, found = turn(found)
    assert decision.revision is not None
    assert (decision.revision["revision"], decision.revision["data"]["inference"]) == (
        1,
        {"template": TEMPLATE},
    )
    assert "kaito.sh/served" not in decision.revision["metadata"]["annotations"]
    decision, found = turn(answering(found))
    assert decision.revision is not None
    assert decision.revision["metadata"]["annotations"]["kaito.sh/served"] == rfc3339(NOW)


def test_there_is_no_revision_before_there_is_something_that_runs_it() -> None:
    assert decided(seen(templated())).revision is None


def test_the_same_again_writes_the_same_revision() -> None:
    found = serving()
    first, found = turn(found)
    second, _ = turn(replace(found, now=NOW + 1e6))
    assert first.revision == second.revision


def test_an_edit_is_another_revision_and_changes_the_workload() -> None:
    decision, found = turn(edited(serving()))
    assert decision.revision is not None
    assert decision.revision["revision"] == 2
    assert image(decision) == "bad"
    assert [each["revision"] for each in found.revisions] == [1, 2]


def test_an_edit_that_cannot_be_is_no_revision() -> None:
    decision, found = turn(edited(serving(), {}))
    assert decision.revision is None
    assert len(found.revisions) == 1


def test_history_ends_at_ten() -> None:
    found = serving()
    for number in range(15):
        image = {"spec": {"containers": [{"name": "c", "image": f"i{number}"}]}}
        _, found = turn(edited(found, image))
        _, found = turn(answering(found))
    assert [each["revision"] for each in found.revisions] == list(range(7, 17))


# The gap


def test_a_rollout_without_a_free_gpu_announces_its_gap_before_it_begins() -> None:
    decision = decided(edited(serving()))
    assert decision.announces
    told = condition(decision, "InferenceReady")["message"]
    assert "No free GPU is seen for a second copy, so the model does not answer meanwhile" in told
    assert [each.type for each in decision.events] == ["Normal"]
    assert told in decision.events[0].message


def test_a_preset_says_for_how_long() -> None:
    found = seen(held(), orders=(ready_machine(),), nodes=(own_node(),))
    _, found = turn(found)
    _, found = turn(answering(found))
    named = {"inference": {**found.workspace["inference"], "config": "c"}}
    found = replace(found, workspace={**found.workspace, **named}, config=config(2048))
    told = condition(decided(found), "InferenceReady")["message"]
    assert "for 2 to 10 minutes" in told


def test_a_rollout_beside_a_free_gpu_announces_nothing() -> None:
    container = {"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    found = serving(templated({"spec": {"containers": [container]}}))
    found = replace(found, nodes=(own_node(gpus=2),))
    _, found = turn(found)
    _, found = turn(answering(found))
    decision = decided(edited(found, {"spec": {"containers": [{**container, "image": "j"}]}}))
    rolling = of_kind(decision, "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}
    assert not decision.announces


def test_nothing_is_announced_where_nothing_is_rolled_out() -> None:
    decision = decided(serving())
    assert not decision.announces
    assert says(decision, "InferenceReady")[0] == "True"


# Undone


def test_an_edit_has_its_time() -> None:
    decision, _ = turn(tried(seconds=599))
    assert image(decision) == "bad"
    assert decision.look_again == 1.0
    assert says(decision, "InferenceReady") == ("False", "ContainerCrashLoopBackOff")


def test_an_edit_that_does_not_answer_in_its_time_is_undone_and_the_reason_is_kept() -> None:
    decision, found = turn(tried())
    assert image(decision) == "good"
    assert says(decision, "InferenceReady") == ("False", "RevisionUndone")
    message = condition(decision, "InferenceReady")["message"]
    assert message.startswith("Revision 2 did not answer in its time and was undone. Pod w-1,")
    assert "CrashLoopBackOff" in message
    assert [each.type for each in decision.events] == ["Warning"]
    told = found.revisions[-1]["metadata"]["annotations"]["kaito.sh/undone"]
    assert "ContainerCrashLoopBackOff" in told


def test_what_was_undone_is_not_tried_again_however_often_and_long_it_is_looked_at() -> None:
    found = undone()
    for _ in range(3):
        decision, found = turn(found, later=1e6)
        assert image(decision) == "good"
        assert decision.look_again is None
    assert "Revision 1 serves instead." in condition(decision, "InferenceReady")["message"]
    assert says(decision, "WorkspaceReady") == ("False", "workspaceFailed")
    assert (decision.status or {})["state"] == "Failed"


def test_deciding_after_it_was_undone_changes_nothing() -> None:
    _, found = turn(undone())
    first, found = turn(found)
    second, _ = turn(found)
    assert (first.objects, first.revision, first.status) == (
        second.objects,
        second.revision,
        second.status,
    )
    assert second.events == ()


def test_another_edit_is_tried_after_one_that_was_undone() -> None:
    third = {"spec": {"containers": [{"name": "c", "image": "third"}]}}
    decision, found = turn(edited(undone(), third))
    assert image(decision) == "third"
    assert found.revisions[-1]["revision"] == 3
    _, found = turn(answering(found))
    # And what was undone may be tried again when it is asked for anew.
    decision, found = turn(edited(found))
    assert image(decision) == "bad"
    assert course(found).declared.number == 4


def test_going_back_to_what_served_is_ready_at_once() -> None:
    _, found = turn(edited(undone(), TEMPLATE))
    decision, found = turn(found)
    assert says(decision, "WorkspaceReady") == ("True", "workspaceReady")
    assert course(found).declared.number == 3


def test_a_revision_that_served_is_never_undone() -> None:
    _, found = turn(edited(serving()))
    _, found = turn(answering(found), later=1e6)
    decision, _ = turn(replace(answering(found, **STALLED), pods=(CRASHING,)))
    assert image(decision) == "bad"
    assert says(decision, "InferenceReady") == ("False", "ContainerCrashLoopBackOff")


def test_the_first_revision_is_never_undone() -> None:
    found = seen(templated(), orders=(ready_machine(),), nodes=(own_node(),))
    _, found = turn(found, later=1e6)
    decision, found = turn(replace(answering(found, **STALLED), pods=(CRASHING,)))
    assert image(decision) == "good"
    assert says(decision, "InferenceReady") == ("False", "ContainerCrashLoopBackOff")
    # Nor is one that follows, as long as none ever answered.
    _, found = turn(edited(found), later=1e6)
    decision, _ = turn(replace(answering(found, **STALLED), pods=(CRASHING,)))
    assert image(decision) == "bad"


def test_no_revision_is_to_blame_for_a_node_that_is_lost() -> None:
    found = replace(tried(), nodes=(own_node(ready=False),))
    decision, found = turn(found)
    assert image(decision) == "bad"
    assert says(decision, "ResourceReady")[0] == "False"
    # Its time begins anew when the node is back.
    decision, found = turn(replace(found, nodes=(own_node(),)), later=599)
    assert image(decision) == "bad"
    decision, found = turn(found, later=2)
    assert image(decision) == "bad"
    decision, found = turn(found)
    assert image(decision) == "good"


def test_a_rollout_that_still_makes_progress_is_let_go_on() -> None:
    going = {"conditions": [{"type": "Progressing", "status": "True", "reason": "X"}]}
    found = answering(tried(), **going, readyReplicas=0)
    assert image(decided(found)) == "bad"


def test_what_served_before_it_failed_is_not_ready_and_not_pending_when_its_node_goes() -> None:
    found = undone()
    decision, found = turn(found)
    assert decision.status is not None
    assert decision.status["state"] == "Failed"

    without = decided(replace(found, nodes=())).status
    assert without is not None
    assert without["state"] == "NotReady"


@pytest.mark.parametrize("says_of_it", ["NewReplicaSetCreated", "DeploymentPaused"])
def test_a_rollout_whose_time_is_over_and_that_goes_on_is_not_looked_at_again_and_again(
    says_of_it: str,
) -> None:
    going = {"conditions": [{"type": "Progressing", "status": "True", "reason": says_of_it}]}
    assert decided(answering(tried(), **going, readyReplicas=0)).look_again is None
    in_time = answering(tried(seconds=60.0), **going, readyReplicas=0)
    assert decided(in_time).look_again == 540.0


def config(tokens: int, version: str = "1") -> Object:
    data = {"inference_config.yaml": f"vllm: {{max-model-len: {tokens}}}"}
    return {"metadata": {"name": "c", "resourceVersion": version}, "data": data}


def test_what_failed_with_one_config_map_is_tried_with_other_settings() -> None:
    decision, found = turn(replace(tried(), config=config(2048)))
    assert image(decision) == "good"
    assert image(decided(replace(found, config=config(2048)))) == "good"
    assert image(decided(replace(found, config=config(1024)))) == "bad"


def test_who_touches_a_config_map_without_changing_it_has_nothing_tried_again() -> None:
    _, found = turn(replace(tried(), config=config(2048)))
    assert image(decided(replace(found, config=config(2048, version="2")))) == "good"


def configured(found: Observation, tokens: int, version: str = "1") -> Observation:
    """The same with a ConfigMap for its preset."""
    inference = {**found.workspace["inference"], "config": "c"}
    workspace = {**found.workspace, "inference": inference}
    return replace(found, workspace=workspace, config=config(tokens, version))


def test_other_settings_in_a_config_map_take_other_pods() -> None:
    found = seen(held(), orders=(ready_machine(),), nodes=(own_node(),))
    before = of_kind(decided(configured(found, 2048)), "Deployment")
    touched = of_kind(decided(configured(found, 2048, "2")), "Deployment")
    changed = of_kind(decided(configured(found, 1024, "3")), "Deployment")

    assert touched == before
    assert changed["spec"]["template"] != before["spec"]["template"]


def test_what_was_good_and_cannot_be_any_more_changes_nothing() -> None:
    named = templated()
    named["inference"] = {"template": TEMPLATE}
    found = undone()
    (good, bad) = found.revisions
    broken = {**good, "data": {**good["data"], "inference": {"template": {"spec": {}}}}}
    decision = decided(replace(found, revisions=(broken, bad)))
    assert decision.objects == ()
    assert decision.deletions == ()
    assert says(decision, "InferenceReady") == ("False", "RevisionUndone")


def test_no_forged_revision_changes_what_its_author_cannot() -> None:
    found = tried()
    (good, bad) = found.revisions
    forged = {**good["data"], "resource": {**good["data"]["resource"], "count": 50}}
    found = replace(found, revisions=({**good, "data": forged}, bad))
    decision = decided(found)
    assert image(decision) == "bad"
    assert not [each for each in decision.objects if each["kind"] == "Machine"][1:]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=8,
)
STATES = (serving(), tried(), undone())


@given(st.sampled_from(STATES), st.booleans(), st.sampled_from(["", "resource", "inference"]), JSON)
def test_whatever_is_in_a_revision_deciding_never_fails(
    found: Observation, first: bool, part: str, hostile: Any
) -> None:
    revisions = list(found.revisions)
    place = 0 if first else -1
    content = {**revisions[place]["data"], part: hostile} if part else hostile
    revisions[place] = {**revisions[place], "data": content}
    decided(replace(found, revisions=tuple(revisions)))


def test_where_the_revision_cannot_be_written_that_is_said() -> None:
    obstacle = Obstacle(kind="ControllerRevision", reason="RefusedByApiServer", message="No.")
    decision = decided(replace(edited(serving()), obstacles=(obstacle,)))
    assert says(decision, "InferenceReady") == ("False", "RefusedByApiServer")
    assert decision.look_again == 60.0


# Replicas of others


@pytest.mark.parametrize(("replicas", "ready"), [(3, True), (0, False)])
def test_whoever_scales_decides_how_many_are_enough(replicas: int, ready: bool) -> None:
    found = serving()
    assert found.deployment is not None
    spec = {**found.deployment["spec"], "replicas": replicas}
    scaled = replace(found, deployment=rolled_out({**found.deployment, "spec": spec}))
    decision = decided(scaled)
    assert (says(decision, "InferenceReady")[0] == "True") is ready
    counted = f"{replicas} of {replicas} replicas" if ready else "scaled to no replicas"
    assert counted in condition(decision, "InferenceReady")["message"]


# Nodes


def test_a_machine_that_is_not_needed_any_more_is_announced_before_it_goes() -> None:
    second = ready_machine("wsz")
    found = replace(serving(), orders=(ready_machine(), second))
    decision = decided(found)
    assert decision.announces
    assert [each.key.name for each in decision.deletions if each.resource.kind == "Machine"] == [
        "wsz"
    ]
    told = condition(decision, "NodesReady")
    assert told["status"] == "True"
    assert "Machine wsz is not needed any more and is deleted." in told["message"]
    (event,) = [each for each in decision.events if each.reason == "NodesReplaced"]
    assert event.message == (
        "Machine wsz is not needed any more and is deleted with node node-wsz."
    )
    assert event.type == "Warning"


def test_the_time_of_an_edit_stands_still_while_somebody_has_switched_it_off() -> None:
    found = tried()
    assert found.deployment is not None
    spec = {**found.deployment["spec"], "replicas": 0}
    found = replace(found, deployment={**found.deployment, "spec": spec})

    assert image(decided(found)) == "bad"


def test_an_edit_that_restarts_no_pod_announces_no_gap() -> None:
    found = serving()
    noted = {"annotations": {"kaito.sh/progress-deadline-seconds": "7200"}, "generation": 2}
    metadata = {**found.workspace["metadata"], **noted}
    decision = decided(replace(found, workspace={**found.workspace, "metadata": metadata}))

    assert of_kind(decision, "Deployment")["spec"]["progressDeadlineSeconds"] == 7200
    assert "does not answer meanwhile" not in condition(decision, "InferenceReady")["message"]


def test_what_cannot_be_written_is_said_once_and_not_announced_before_each_try() -> None:
    refused = Obstacle(kind="Deployment", reason="RefusedByApiServer", message="No.")
    found = edited(serving(), BAD)
    first = decided(found)
    second = decided(replace(found, obstacles=(refused,)))
    again = decided(after(found, second, later=60))

    assert first.announces
    assert not again.announces


# Refused


def refused() -> Observation:
    """An edit that names a ConfigMap that is not there, of a preset that answers."""
    found = seen(held(), orders=(ready_machine(),), nodes=(own_node(),))
    _, found = turn(found)
    _, found = turn(answering(found))
    _, found = turn(found)
    workspace = {
        **found.workspace,
        "inference": {**found.workspace["inference"], "config": "lost"},
    }
    return replace(found, workspace=workspace, config=Missing(name="lost"))


def test_while_an_edit_is_refused_the_last_revision_serves_on() -> None:
    decision = decided(refused())

    assert says(decision, "ResourceReady")[0] == "True"
    assert says(decision, "InferenceReady") == ("False", "ConfigMapNotFound")
    assert condition(decision, "InferenceReady")["message"].endswith("Revision 1 serves on.")
    assert says(decision, "WorkspaceReady") == ("False", "workspaceFailed")
    assert (decision.status or {})["state"] == "Failed"
    assert decision.revision is None
    assert [each["kind"] for each in decision.objects if each["kind"] == "Deployment"]


def test_while_an_edit_is_refused_a_machine_that_was_deleted_is_asked_for_again() -> None:
    decision = decided(replace(refused(), orders=(), nodes=()))

    assert "Machine" in [each["kind"] for each in decision.objects]
    assert (decision.status or {}).get("workerNodes", []) == []
    assert "pricePerHour" not in (decision.status or {})


def test_a_config_map_that_breaks_leaves_what_served_with_it_as_it_runs() -> None:
    found = refused()
    same = {**found.workspace, "inference": {**found.workspace["inference"], "config": "c"}}
    good: Object = {"metadata": {"name": "c"}, "data": {"inference_config.yaml": "vllm: {}"}}
    _, found = turn(replace(found, workspace=same, config=good))
    _, found = turn(answering(found))

    decision = decided(replace(found, config=Missing(name="c"), orders=(), nodes=()))

    assert (decision.objects, decision.deletions) == ((), ())
    assert says(decision, "InferenceReady") == ("False", "ConfigMapNotFound")
    assert not {"workerNodes", "pricePerHour"} & (decision.status or {}).keys()


# The gap of another ConfigMap


def test_the_gap_of_another_config_map_is_told_until_the_model_answers() -> None:
    gap = "the model does not answer meanwhile"
    found = refused()
    named = {**found.workspace, "inference": {**found.workspace["inference"], "config": "c"}}
    config: Object = {"metadata": {"name": "c"}, "data": {"inference_config.yaml": "vllm: {}"}}
    _, found = turn(replace(found, workspace=named, config=config))
    _, found = turn(answering(found))
    other = {**config, "data": {"inference_config.yaml": "vllm: {seed: 7}"}}
    first, found = turn(replace(found, config=other))
    assert gap in condition(first, "InferenceReady")["message"]

    progressing = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
    rolling: Any = {"conditions": [progressing], "readyReplicas": 0}
    rest = decided(answering(found, **rolling))
    assert gap in condition(rest, "InferenceReady")["message"]

    done = {**progressing, "reason": "NewReplicaSetAvailable"}
    faltering: Any = {"conditions": [done], "readyReplicas": 0}
    later = decided(answering(found, **faltering))
    assert gap not in condition(later, "InferenceReady")["message"]
