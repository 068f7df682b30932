"""A Workspace that tunes, from its first node to the end of its Job and beyond."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api import tuning
from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.parameters import Missing
from kaito.controllers.workspace.progress import Progress
from kaito.controllers.workspace.settings import Settings
from kaito.engine import endings
from kaito.runtime import Key, Object, rfc3339
from test.unit.controllers.workspace.scene import (
    NOW,
    SETTINGS,
    condition,
    decided,
    kinds,
    node,
    of_kind,
    says,
    seen,
)
from test.unit.controllers.workspace.tuning_scene import (
    SIZE,
    ended,
    failed,
    pod,
    ready,
    running,
    tuned,
    written,
)

DISK = Settings(checkpoint_class="disks")
RESULT = f"registry.example.com/adapters/a@sha256:{'0' * 64}"
CONFIG: Object = {
    "metadata": {"name": "c", "resourceVersion": "1"},
    "data": {"training_config.yaml": "training_config: {LoraConfig: {r: 4}}"},
}


def succeeded(observation: Observation) -> Observation:
    done = pod(phase="Succeeded", data_downloader=0, trainer=0, pusher=(0, RESULT))
    return ended(replace(observation, pods=(done,)), "Complete")


def at_rest(observation: Observation, settings: Settings = SETTINGS) -> Observation:
    """What is seen once nothing is left to do."""
    for _ in range(6):
        following = written(observation, decided(observation, settings))
        if following == observation:
            return observation
        observation = following
    raise AssertionError("it never settles")


def told(decision: Decision) -> Object:
    assert decision.status is not None
    found: Object = decision.status.get("tuning", {})
    return found


def test_the_codes_of_containers_and_those_that_are_classified_are_the_same() -> None:
    theirs = {
        ending.value
        for ending in endings.Ending
        if ending not in (endings.Ending.DONE, endings.Ending.UNEXPECTED, endings.Ending.STOPPED)
    }
    assert theirs == set(tuning.ENDINGS)
    assert {each.value for each in endings.FINAL} == set(tuning.FINAL_CODES)
    for code, ending in tuning.ENDINGS.items():
        assert endings.Ending(code).name.replace("_", "") == ending.reason.upper()


def test_nodes_are_asked_for_first_and_the_job_is_tried_before_that() -> None:
    decision = decided(seen(tuned()))
    assert kinds(decision) == ["Machine"]
    assert [each["kind"] for each in decision.trial] == ["Job"]
    assert says(decision, "JobStarted") == ("False", "WorkspaceTuningJobStatusPending")
    assert says(decision, "WorkspaceSucceeded") == ("False", "workspacePending")
    assert says(decision, "InferenceReady") == ("", "")
    assert decision.status is not None
    assert decision.status["state"] == "Pending"


def test_a_node_that_is_ready_gets_the_job_and_its_revision_is_kept() -> None:
    decision = decided(ready())
    assert kinds(decision) == ["Machine", "Job"]
    assert decision.revision is not None
    assert decision.revision["revision"] == 1
    assert decided(ready()) == decision


def test_a_disk_for_checkpoints_is_made_before_the_job_and_never_changed() -> None:
    first = decided(ready(), DISK)
    assert kinds(first) == ["Machine", "PersistentVolumeClaim", "Job"]
    assert of_kind(first, "PersistentVolumeClaim")["spec"]["storageClassName"] == "disks"
    observation = replace(written(ready(), first), job=None)
    assert kinds(decided(observation, Settings(checkpoint_class="others"))) == ["Machine", "Job"]


def test_a_job_that_is_there_is_never_written_again() -> None:
    for settings in (Settings(), Settings(tag="9.9.9"), Settings(engine_user=7)):
        decision = decided(running(), settings)
        assert kinds(decision) == ["Machine"]
        assert decision.deletions == ()


@pytest.mark.parametrize(
    ("containers", "doing"),
    [
        ({"data_downloader": "running"}, "downloads the data"),
        ({"data_downloader": 0, "trainer": "running"}, "trains the model"),
        ({"data_downloader": 0, "trainer": 0, "pusher": "running"}, "stores the result"),
    ],
)
def test_what_runs_is_said_of_the_job(containers: dict[str, Any], doing: str) -> None:
    decision = decided(replace(running(), pods=(pod(**containers),)))
    assert says(decision, "JobStarted") == ("True", "WorkspaceTuningJobStatusStarted")
    assert condition(decision, "JobStarted")["message"] == f"Job w {doing}."
    assert says(decision, "WorkspaceReady") == ("False", "workspacePending")
    assert decision.status is not None
    assert decision.status["state"] == "Running"


def test_what_runs_once_more_is_said_with_what_went_wrong_before() -> None:
    failed = pod("w-1", phase="Failed", data_downloader=(21, "https://a.b does not answer."))
    decision = decided(replace(running(), pods=(failed, pod("w-2", data_downloader="running"))))
    assert condition(decision, "JobStarted")["message"] == (
        "Job w downloads the data. The attempt before: https://a.b does not answer "
        "(container data-downloader of Pod w-1, exit code 21)."
    )


def test_the_trainer_is_listened_to_from_its_start_on() -> None:
    assert decided(running()).listens is None
    before = pod(data_downloader="running")
    assert decided(replace(running(), pods=(before,))).listens is None
    trains = pod(data_downloader=0, trainer="running")
    decision = decided(replace(running(), pods=(trains,)))
    assert decision.listens == Key("default", "w-1")
    assert decision.look_again == 10.0


def test_progress_is_told_and_kept_when_nobody_has_heard_it_since() -> None:
    observation = replace(running(), pods=(pod(trainer="running"),))
    assert observation.job is not None
    job = {**observation.job, "status": {"startTime": rfc3339(NOW)}}
    heard = Progress(step=12, steps=300, epoch=0.4, loss=1.93, seconds_left=840)
    decision = decided(replace(observation, job=job, progress=heard))
    expected = {
        "pod": "w-1",
        "attempts": 1,
        "startedAt": rfc3339(NOW),
        "step": 12,
        "steps": 300,
        "epoch": "0.40",
        "loss": "1.9300",
        "secondsLeft": 840,
    }
    assert told(decision) == expected
    anew = written(replace(observation, job=job), decision)
    assert told(decided(anew)) == expected


def test_another_pod_is_another_attempt() -> None:
    observation = running()
    assert observation.job is not None
    job = {**observation.job, "status": {"startTime": rfc3339(NOW)}}
    observation = replace(observation, job=job, pods=(pod(trainer="running"),))
    observation = written(observation, decided(observation))
    decision = decided(replace(observation, pods=(pod("w-2", trainer="running"),)))
    assert (told(decision)["pod"], told(decision)["attempts"]) == ("w-2", 2)


def test_a_run_that_ended_well_lets_its_nodes_go_and_says_where_the_result_is() -> None:
    decision = decided(succeeded(running()))
    assert decision.announces
    assert [each.resource.kind for each in decision.deletions] == ["Machine"]
    assert says(decision, "JobStarted") == ("True", "WorkspaceTuningJobStatusStarted")
    assert says(decision, "WorkspaceSucceeded") == ("True", "workspaceSucceeded")
    assert says(decision, "WorkspaceReady") == ("True", "workspaceSucceeded")
    assert says(decision, "ResourceReady") == ("False", "NodesReleased")
    assert decision.status is not None
    assert decision.status["state"] == "Succeeded"
    assert told(decision)["result"] == RESULT
    assert told(decision)["finishedAt"] == rfc3339(NOW + 60)


def test_the_disk_of_a_run_that_ended_well_goes() -> None:
    decision = decided(succeeded(running(settings=DISK)), DISK)
    gone = [each.resource.kind for each in decision.deletions]
    assert gone == ["Machine", "PersistentVolumeClaim"]


def test_the_disk_of_a_run_that_failed_stays_for_the_next() -> None:
    observation = failed(running(settings=DISK), pod(phase="Failed", trainer=15))
    gone = [each.resource.kind for each in decided(observation, DISK).deletions]
    assert gone == ["Machine"]


@pytest.mark.parametrize("lost", ["job", "pods", "config", "image", "catalogue"])
def test_a_run_that_ended_well_is_never_begun_again_by_itself(lost: str) -> None:
    found = tuned(config="c")
    observation = replace(ready(found), config=CONFIG)
    observation = written(observation, decided(observation))
    observation = at_rest(succeeded(observation))
    assert observation.orders == ()
    settings = Settings()
    match lost:
        case "job":
            observation = replace(observation, job=None, pods=())
        case "pods":
            observation = replace(observation, pods=())
        case "config":
            observation = replace(observation, config=Missing(name="c"))
        case "image":
            settings = Settings(tag="9.9.9", checkpoint_class="disks")
        case _:
            settings = Settings(cloud="aws")
    decision = decided(observation, settings)
    assert decision.objects == decision.deletions == ()
    assert says(decision, "WorkspaceSucceeded") == ("True", "workspaceSucceeded")
    assert told(decision)["result"] == RESULT


def test_what_was_said_of_a_failure_is_kept_when_its_pod_has_gone() -> None:
    sentence = "Line 3 of /mnt/data/a.jsonl is no JSON: mend it."
    bad = pod(phase="Failed", data_downloader=0, trainer=(10, sentence))
    observation = at_rest(failed(running(), bad))
    decision = decided(replace(observation, pods=()))
    assert says(decision, "WorkspaceSucceeded") == ("False", "DatasetInvalid")
    assert sentence.rstrip(".") in condition(decision, "WorkspaceSucceeded")["message"]
    assert decision.status is not None
    assert decision.status["state"] == "Failed"
    assert decision.objects == ()


def test_a_failed_run_is_tried_again_when_its_job_is_deleted() -> None:
    observation = at_rest(failed(running(), pod(phase="Failed", trainer=10)))
    again = decided(replace(observation, job=None, pods=()))
    assert kinds(again) == ["Machine"]
    assert told(again) == {}


def evicted(count: int) -> Observation:
    """A training whose Pods the kubelet has evicted so often."""
    observation = running()
    pods = [pod(f"w-{each}", phase="Failed", trainer=137) for each in range(count)]
    for each in pods:
        each["status"] |= {"reason": "Evicted", "message": "The node was low on memory."}
    return replace(observation, pods=tuple(pods))


def test_a_training_that_is_evicted_again_and_again_ends_and_lets_its_nodes_go() -> None:
    observation = evicted(5)
    decision = decided(observation)
    assert says(decision, "WorkspaceSucceeded") == ("False", "EvictedTooOften")
    assert "The node was low on memory" in condition(decision, "WorkspaceSucceeded")["message"]
    assert {each.resource.kind for each in decision.deletions} == {"Machine", "Job"}
    # It is not begun anew by itself, though nothing is left of it.
    over = at_rest(observation)
    assert over.job is None
    assert over.orders == ()
    assert decided(replace(over, pods=())).objects == ()


def test_a_few_evictions_are_chance() -> None:
    decision = decided(evicted(4))
    assert says(decision, "WorkspaceSucceeded")[1] == "workspacePending"
    assert decision.deletions == ()


def test_nodes_are_kept_where_their_author_says_so() -> None:
    keeping = tuned(metadata={"annotations": {"kaito.sh/keep-nodes": "true"}})
    decision = decided(succeeded(running(keeping)))
    assert decision.deletions == ()
    assert says(decision, "ResourceReady") == ("True", "workspaceResourceStatusSuccess")
    assert decision.status is not None
    assert decision.status["workerNodes"] == ["node-" + ready().orders[0].name]


def test_keeping_nodes_is_no_other_run() -> None:
    observation = running()
    keeping = tuned(metadata={"annotations": {"kaito.sh/keep-nodes": "true"}})
    decision = decided(replace(observation, workspace=keeping))
    assert [each for each in decision.deletions if each.resource.kind == "Job"] == []


@pytest.mark.parametrize("done", [True, False])
def test_an_edited_spec_takes_another_job_when_the_first_has_gone(done: bool) -> None:
    observation = replace(running(), pods=(pod(trainer="running"),))
    if done:
        observation = at_rest(succeeded(observation))
    edited = tuned(input={"urls": ["https://data.example.com/others.jsonl"]})
    observation = replace(
        observation, workspace={**edited, "status": observation.workspace.get("status", {})}
    )
    first = decided(observation)
    assert [each.resource.kind for each in first.deletions] == ["Job"]
    assert "Job" not in kinds(first)
    assert told(first) == {}
    gone = replace(written(observation, first), job=None)
    if not done:
        held_back = decided(gone)
        assert "Job" not in kinds(held_back)
        assert "w-1 of an earlier run" in condition(held_back, "JobStarted")["message"]
    gone = replace(gone, pods=(), orders=ready().orders, nodes=ready().nodes)
    second = decided(gone)
    assert kinds(second) == ["Machine", "Job"]
    assert second.revision is not None
    assert second.revision["revision"] == 2


def test_other_settings_in_the_config_map_are_another_run_and_other_spaces_are_none() -> None:
    observation = replace(ready(tuned(config="c")), config=CONFIG)
    observation = written(observation, decided(observation))

    def removed(text: str) -> list[str]:
        config = {**CONFIG, "data": {"training_config.yaml": text}}
        decision = decided(replace(observation, config=config))
        return [each.resource.kind for each in decision.deletions]

    assert removed("training_config: {LoraConfig:  {r: 4}}  # four") == []
    assert removed("training_config: {LoraConfig: {r: 8}}") == ["Job"]


def test_what_was_trained_before_is_trained_again_when_it_comes_back_after_another_run() -> None:
    first = at_rest(succeeded(running()))
    other = tuned(output={"image": "registry.example.com/b:1", "imagePushSecret": "push"})
    observation = replace(first, workspace=other, job=None, pods=())
    observation = replace(observation, orders=ready().orders, nodes=ready().nodes)
    observation = written(observation, decided(observation))
    observation = at_rest(succeeded(observation))
    back = replace(observation, workspace=tuned(), job=None, pods=())
    assert kinds(decided(back)) == ["Machine"]


@pytest.mark.parametrize(
    ("far", "again"), [({"trainer": "running"}, False), ({"trainer": 0, "pusher": "running"}, True)]
)
def test_an_edit_that_is_taken_back_in_time_costs_no_other_training(
    far: dict[str, Any], again: bool
) -> None:
    first = at_rest(succeeded(running()))
    other = tuned(output={"image": "registry.example.com/b:1", "imagePushSecret": "push"})
    observation = replace(first, workspace=other, job=None, pods=())
    observation = replace(observation, orders=ready().orders, nodes=ready().nodes)
    observation = written(observation, decided(observation))
    assert observation.job is not None
    job = {**observation.job, "metadata": {**observation.job["metadata"], "uid": "another"}}
    between = replace(observation, job=job, pods=(pod(job="another", **far),))
    back = decided(replace(between, workspace={**tuned(), "status": between.workspace["status"]}))
    assert "Job" in [each.resource.kind for each in back.deletions]
    assert says(back, "WorkspaceSucceeded")[0] == ("False" if again else "True")
    if not again:
        assert told(back) == {"finishedAt": rfc3339(NOW + 60), "result": RESULT}


def test_memory_that_did_not_suffice_is_tried_again_and_no_failure_yet() -> None:
    decision = decided(replace(running(), pods=(pod(trainer=137),)))
    assert decision.status is not None
    assert decision.status["state"] != "Failed"


def test_a_pod_of_somebody_else_holds_nothing_up() -> None:
    stranger = {"metadata": {"name": "s", "namespace": "default"}, "status": {"phase": "Running"}}
    assert "Job" in kinds(decided(replace(ready(), pods=(stranger,))))


def test_a_job_that_waits_for_a_node_that_has_gone_is_made_anew() -> None:
    waits = running()
    assert waits.job is not None
    metadata = waits.job["metadata"]
    elsewhere = {**metadata["annotations"], "kaito.sh/place-hash": "elsewhere"}
    job = {**waits.job, "metadata": {**metadata, "annotations": elsewhere}}
    observation = replace(waits, job=job)
    assert [each.resource.kind for each in decided(observation).deletions] == ["Job"]
    begun = replace(observation, pods=(pod(trainer="running"),))
    assert decided(begun).deletions == ()


def test_a_job_whose_node_was_lost_on_the_way_is_made_anew_for_another() -> None:
    mine, other = (node(name, **{"node.kubernetes.io/instance-type": SIZE}) for name in "ab")
    first = seen(tuned(), nodes=(mine,))
    lost = pod(phase="Failed", data_downloader=0, trainer=143)
    begun = replace(written(first, decided(first)), nodes=(other,), pods=(lost, pod("w-2")))
    counted = written(begun, decided(begun))
    assert [each.resource.kind for each in decided(counted).deletions] == ["Job"]


@pytest.mark.parametrize("good", [True, False])
def test_settings_that_cannot_be_keep_no_node_of_a_run_that_has_ended(good: bool) -> None:
    wrong: Object = {**CONFIG, "data": {"training_config.yaml": "training_config: ["}}
    first = ready(tuned(config="c"), config=CONFIG)
    begun = replace(written(first, decided(first)), config=wrong)
    assert decided(begun).deletions == ()
    over = succeeded(begun) if good else failed(begun, pod(phase="Failed", trainer=(16, "No.")))
    assert [each.resource.kind for each in decided(over).deletions] == ["Machine"]
    gone = replace(at_rest(over), pods=())
    assert condition(decided(gone), "WorkspaceSucceeded")["reason"] == "workspaceFailed"
    mended = decided(replace(at_rest(gone), config=CONFIG))
    assert told(mended).get("result") == (RESULT if good else None)
    assert condition(mended, "WorkspaceSucceeded")["reason"] == (
        "workspaceSucceeded" if good else "ModelUnusable"
    )


def test_a_job_that_gets_no_pod_says_where_to_look() -> None:
    observation = running()
    soon = decided(observation)
    assert says(soon, "JobStarted") == ("False", "WorkspaceTuningJobStatusPending")
    assert soon.look_again == 60.0
    late = decided(replace(observation, now=NOW + 61))
    assert says(late, "JobStarted") == ("False", "PodsRefused")
    assert "kubectl describe job w -n default" in condition(late, "JobStarted")["message"]


def test_a_job_of_somebody_else_is_left_alone() -> None:
    theirs = {"metadata": {"name": "w", "namespace": "default", "uid": "x"}, "status": {}}
    decision = decided(ready(tuned(), job=theirs))
    assert decision.deletions == ()
    assert "Job" in kinds(decision)  # which the writer finds taken


def test_a_suspended_job_says_so() -> None:
    observation = running()
    assert observation.job is not None
    job = {**observation.job, "spec": {**observation.job["spec"], "suspend": True}}
    decision = decided(replace(observation, job=job))
    assert "suspended by somebody else" in condition(decision, "JobStarted")["message"]


def test_between_two_attempts_the_last_failure_is_told() -> None:
    gone = pod(phase="Failed", data_downloader=(21, "https://a.b/ answers 503: try again later."))
    decision = decided(replace(running(), pods=(gone,)))
    assert says(decision, "JobStarted") == ("False", "WorkspaceTuningJobStatusPending")
    assert "answers 503" in condition(decision, "JobStarted")["message"]


def test_each_change_is_one_event() -> None:
    observation = running()
    trains = replace(observation, pods=(pod(trainer="running"),))
    assert [e.reason for e in decided(trains).events] == ["WorkspaceTuningJobStatusStarted"]
    end = decided(succeeded(written(trains, decided(trains))))
    assert [(e.type, e.reason) for e in end.events] == [
        ("Normal", "NodesReleased"),
        ("Normal", "workspaceSucceeded"),
    ]
    bad = decided(failed(written(trains, decided(trains)), pod(phase="Failed", trainer=15)))
    assert [(e.type, e.reason) for e in bad.events] == [
        ("Normal", "NodesReleased"),
        ("Warning", "WorkspaceTuningJobStatusFailed"),
    ]


def test_nodes_that_are_brought_are_given_back_at_the_end() -> None:
    mine = node("mine", **{"node.kubernetes.io/instance-type": SIZE})
    observation = seen(tuned(), nodes=(mine,))
    first = decided(observation)
    assert kinds(first) == ["Job"]
    end = decided(succeeded(written(observation, first)))
    assert end.status is not None
    assert "workerNodes" not in end.status


def test_a_workspace_in_deletion_takes_its_job_and_disk_along() -> None:
    observation = running(settings=DISK)
    leaving = {**observation.workspace["metadata"], "deletionTimestamp": rfc3339(NOW)}
    observation = replace(observation, workspace={**observation.workspace, "metadata": leaving})
    decision = decided(observation, DISK)
    gone = {each.resource.kind for each in decision.deletions}
    assert gone == {"Job", "PersistentVolumeClaim", "Machine"}
    assert says(decision, "JobStarted") == ("False", "workspaceDeleted")


def test_annotations_of_serving_are_said_to_do_nothing() -> None:
    annotated = tuned(metadata={"annotations": {"kaito.sh/network-policy": "namespace"}})
    told = [each.message for each in decided(seen(annotated)).events]
    assert told == ["Annotation kaito.sh/network-policy has no effect with tuning."]


NODES = st.sampled_from(["none", "asked", "ready"])
PODS = st.lists(
    st.fixed_dictionaries(
        {"phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed"])},
        optional={
            "data_downloader": st.sampled_from(["running", 0, 1, 10, 21, 137]),
            "trainer": st.sampled_from(["running", 0, 1, 15, 137, 143]),
            "pusher": st.sampled_from(["running", 0, 17, (0, RESULT)]),
        },
    ),
    max_size=3,
)
ENDS = st.sampled_from(["", "Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"])


@given(nodes=NODES, pods=PODS, end=ENDS, runs=st.booleans(), same=st.booleans())
def test_whatever_is_seen_it_comes_to_rest_and_one_end_is_told(
    nodes: str, pods: list[Any], end: str, runs: bool, same: bool
) -> None:
    observation = running() if runs else ready()
    observation = replace(
        observation,
        pods=tuple(pod(f"w-{place}", **each) for place, each in enumerate(pods)),
        orders=() if nodes == "none" else observation.orders,
        nodes=observation.nodes if nodes == "ready" else (),
    )
    if runs and end:
        observation = ended(observation, end)
    if not same:
        edited = tuned(output={"image": "registry.example.com/b:1", "imagePushSecret": "push"})
        observation = replace(observation, workspace=edited)
    resting = at_rest(observation)
    decision = decided(resting)
    assert decision == decided(resting)
    assert decision.status is not None
    state, good = decision.status["state"], says(decision, "WorkspaceSucceeded")[0]
    assert (state == "Succeeded") == (good == "True")
    assert says(decision, "WorkspaceReady")[0] == good
    told = {each["kind"] for each in decision.objects}
    assert not (state == "Succeeded" and told)


def waiting(reason: str, message: str = "") -> Object:
    found = pod(trainer="running")
    state = {"waiting": {"reason": reason, "message": message}}
    found["status"]["initContainerStatuses"] = [{"name": "trainer", "state": state}]
    return found


def unplaced(message: str) -> Object:
    found = pod()
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    found["status"]["conditions"] = [{**said, "message": message}]
    return found


@pytest.mark.parametrize(
    ("found", "reason", "words", "state"),
    [
        (
            waiting("ImagePullBackOff", "no such image"),
            "ImagePullError",
            "no such image",
            "Failed",
        ),
        (
            waiting("CreateContainerConfigError", 'secret "hf" not found'),
            "ContainerStartError",
            'secret "hf" not found',
            "Failed",
        ),
        (
            unplaced('persistentvolumeclaim "data" not found'),
            "Unschedulable",
            'persistentvolumeclaim "data" not found',
            "Pending",
        ),
    ],
)
def test_what_keeps_a_pod_from_starting_is_told_in_kubernetes_words(
    found: Object, reason: str, words: str, state: str
) -> None:
    decision = decided(replace(running(), pods=(found,)))
    assert says(decision, "JobStarted") == ("False", reason)
    assert words in condition(decision, "WorkspaceSucceeded")["message"]
    assert decision.status is not None
    assert decision.status["state"] == state
