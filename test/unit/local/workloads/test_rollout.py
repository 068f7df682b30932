"""A Deployment's next step, from its ReplicaSets as they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kaito.local.workloads.progress import deadline_in, deployment_status
from kaito.local.workloads.rollout import REVISION, REVISION_HISTORY, next_step, sort_out
from kaito.local.workloads.scaling import DESIRED, MAXIMUM, is_complete, limits
from kaito.runtime import Object, find_condition, rfc3339

NOW = 1_767_225_600.0


def deployment(replicas: int = 4, image: str = "2", strategy: Any = None, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "ns", "uid": "u", "generation": 2},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": strategy
            or {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "progressDeadlineSeconds": 600,
            "template": template(image),
            **spec,
        },
    }


def template(image: str) -> Object:
    return {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "m", "image": image}]},
    }


def replica_set(
    image: str, replicas: int, available: int | None = None, there: int | None = None, **status: Any
) -> Object:
    labelled = template(image)
    labelled["metadata"]["labels"]["pod-template-hash"] = image
    return {
        "metadata": {
            "name": f"d-{image}",
            "creationTimestamp": rfc3339(NOW + int(image)),
            "annotations": {REVISION: image},
        },
        "spec": {"replicas": replicas, "template": labelled},
        "status": {
            "replicas": replicas if there is None else there,
            "readyReplicas": replicas if available is None else available,
            "availableReplicas": replicas if available is None else available,
            **status,
        },
    }


def step(of: Object, *replica_sets: Object) -> dict[str, int]:
    """The sizes that the next step gives to sets, by image."""
    scales = next_step(of, sort_out(of, replica_sets)).scale
    return {scale.name.removeprefix("d-"): scale.replicas for scale in scales}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # 4 replicas, one more and one fewer allowed at a time
        ((4, 4), (1, 0), {"1": 3}),
        ((3, 3), (1, 0), {"2": 2}),
        ((3, 3), (2, 0), {}),
        ((3, 3), (2, 1), {"1": 2}),
        ((2, 2), (3, 2), {"1": 1}),
        ((0, 0), (4, 2), {}),
        ((1, 1), (4, 4), {"1": 0}),
        ((0, 0), (6, 6), {"2": 4}),
        # pods of the old set that do not work are no loss
        ((4, 0), (1, 0), {"1": 3}),
        ((4, 2), (1, 1), {"1": 2}),
    ],
)
def test_a_rolling_update_keeps_within_its_limits(
    old: tuple[int, int], new: tuple[int, int], expected: dict[str, int]
) -> None:
    assert step(deployment(), replica_set("1", *old), replica_set("2", *new)) == expected


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (1, "25%", "25%", (1, 0)),
        (10, "25%", "25%", (3, 2)),
        (2, 0, 0, (0, 1)),
        (2, 1, 5, (1, 2)),
        (2, "0%", "10%", (0, 1)),
    ],
)
def test_percentages_are_of_the_replicas(
    replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]
) -> None:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert limits(deployment(replicas, strategy=strategy)) == expected


def test_the_first_set_gets_everything() -> None:
    first = next_step(deployment(), sort_out(deployment(), []))
    assert first.create is not None
    assert first.revision == "1"
    assert first.create["spec"]["replicas"] == 4
    assert first.create["metadata"]["annotations"] == {REVISION: "1", DESIRED: "4", MAXIMUM: "5"}
    label = first.create["metadata"]["labels"]["pod-template-hash"]
    assert first.create["metadata"]["name"] == f"d-{label}"
    assert first.create["spec"]["selector"]["matchLabels"] == {"a": "b", "pod-template-hash": label}
    assert first.create["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == label


def test_a_new_template_makes_a_set_with_the_room_there_is() -> None:
    made = next_step(deployment(), sort_out(deployment(), [replica_set("1", 4)]))
    assert made.create is not None
    assert made.create["spec"]["replicas"] == 1
    assert made.revision == "2"


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    wanted = deployment(strategy={"type": "Recreate"})
    assert step(wanted, replica_set("1", 4)) == {"1": 0}
    leaving = replica_set("1", 0, there=0, terminatingReplicas=2)
    waiting = next_step(wanted, sort_out(wanted, [leaving]))
    assert (waiting.create, waiting.scale) == (None, ())
    gone = replica_set("1", 0)
    made = next_step(wanted, sort_out(wanted, [gone])).create
    assert made is not None
    assert made["spec"]["replicas"] == 4


def test_an_undo_takes_the_old_set_up_again_with_a_new_number() -> None:
    wanted = deployment(image="1")
    undone = next_step(wanted, sort_out(wanted, [replica_set("1", 0), replica_set("2", 4)]))
    assert undone.create is None
    assert undone.revision == "3"
    assert undone.patch["d-1"]["metadata"]["annotations"][REVISION] == "3"
    assert undone.patch["d-1"]["metadata"]["annotations"][REVISION_HISTORY] == "1"


def test_a_changed_waiting_time_is_handed_down() -> None:
    wanted = deployment(image="2", minReadySeconds=7)
    moved = next_step(wanted, sort_out(wanted, [replica_set("2", 4)]))
    assert moved.patch["d-2"]["spec"] == {"minReadySeconds": 7}


def test_a_paused_deployment_scales_and_rolls_nothing() -> None:
    wanted = deployment(replicas=2, paused=True)
    assert next_step(wanted, sort_out(wanted, [replica_set("1", 4)])).create is None
    assert step(wanted, replica_set("1", 4)) == {"1": 2}


def test_a_deployment_on_its_way_out_does_nothing() -> None:
    wanted = deployment()
    wanted["metadata"]["deletionTimestamp"] = "now"
    assert next_step(wanted, sort_out(wanted, [])).quiet


def test_old_sets_beyond_the_history_are_removed_when_the_rollout_is_over() -> None:
    wanted = deployment(image="4", revisionHistoryLimit=1)
    sets = [replica_set(image, 0) for image in ("1", "2", "3")]
    done = next_step(wanted, sort_out(wanted, [*sets, replica_set("4", 4)]))
    assert done.delete == ("d-1", "d-2")
    rolling = next_step(wanted, sort_out(wanted, [*sets, replica_set("4", 4, 1)]))
    assert rolling.delete == ()


def test_annotations_are_handed_down_but_for_our_own() -> None:
    wanted = deployment()
    wanted["metadata"]["annotations"] = {"kubernetes.io/change-cause": "x", REVISION: "9"}
    made = next_step(wanted, sort_out(wanted, [])).create
    assert made is not None
    assert made["metadata"]["annotations"]["kubernetes.io/change-cause"] == "x"
    assert made["metadata"]["annotations"][REVISION] == "1"


class TestStatus:
    """What the Deployment reports."""

    @staticmethod
    def report(of: Object, *replica_sets: Object, now: float = NOW) -> Object:
        return deployment_status(of, sort_out(of, replica_sets), now)

    def reason(self, status: Object, type_: str) -> tuple[str, str]:
        found = find_condition(status["conditions"], type_)
        assert found is not None
        return found["status"], found["reason"]

    def test_a_fresh_rollout_progresses_and_is_not_available(self) -> None:
        status = self.report(deployment(), replica_set("2", 4, 0))
        assert status["unavailableReplicas"] == 4
        assert status["updatedReplicas"] == 4
        assert "availableReplicas" not in status
        assert self.reason(status, "Available") == ("False", "MinimumReplicasUnavailable")
        assert self.reason(status, "Progressing") == ("True", "ReplicaSetUpdated")

    def test_a_set_that_was_just_made_is_named(self) -> None:
        made = replica_set("2", 4, 0)
        made["status"] = {}
        status = self.report(deployment(), made)
        assert self.reason(status, "Progressing") == ("True", "NewReplicaSetCreated")

    def test_a_rollout_without_pods_is_over_with_the_name_of_its_set(self) -> None:
        of = deployment(replicas=0)
        of["status"] = self.report(of, replica_set("2", 0))
        renewed = deployment(image="3", replicas=0)
        renewed["status"] = of["status"]
        status = self.report(renewed, replica_set("2", 0), replica_set("3", 0))
        assert self.reason(status, "Progressing") == ("True", "NewReplicaSetAvailable")
        assert '"d-3"' in status["conditions"][-1]["message"]

    def test_a_finished_rollout_stays_finished_when_it_is_scaled(self) -> None:
        of = deployment(replicas=0)
        of["status"] = self.report(of, replica_set("2", 0))
        of["spec"]["replicas"] = 4
        status = self.report(of, replica_set("2", 4, 0))
        assert self.reason(status, "Progressing") == ("True", "NewReplicaSetAvailable")
        assert [each["type"] for each in status["conditions"]] == ["Progressing", "Available"]

    def test_a_rollout_goes_on_after_a_pause(self) -> None:
        of = deployment(paused=True)
        of["status"] = self.report(of, replica_set("2", 4, 0))
        of["spec"]["paused"] = False
        status = self.report(of, replica_set("2", 4, 0))
        assert self.reason(status, "Progressing") == ("Unknown", "DeploymentResumed")

    def test_a_rollout_without_a_deadline_says_nothing(self) -> None:
        of = deployment()
        of["status"] = self.report(of, replica_set("2", 4))
        del of["spec"]["progressDeadlineSeconds"]
        status = self.report(of, replica_set("2", 4))
        assert [each["type"] for each in status["conditions"]] == ["Available"]

    def test_a_finished_rollout_stays_finished(self) -> None:
        of = deployment()
        of["status"] = self.report(of, replica_set("2", 4))
        assert is_complete(of, sort_out(of, [replica_set("2", 4)]))
        assert self.reason(of["status"], "Progressing") == ("True", "NewReplicaSetAvailable")
        later = self.report(of, replica_set("2", 4, 3), now=NOW + 10_000)
        assert self.reason(later, "Progressing") == ("True", "NewReplicaSetAvailable")
        assert deadline_in(of, later, NOW) is None

    def test_the_same_state_gives_the_same_status(self) -> None:
        of = deployment()
        of["status"] = self.report(of, replica_set("2", 4, 2))
        again = self.report(copy.deepcopy(of), replica_set("2", 4, 2), now=NOW + 5)
        assert again == of["status"]

    def test_progress_moves_the_deadline(self) -> None:
        of = deployment()
        of["status"] = self.report(of, replica_set("2", 4, 0))
        assert deadline_in(of, of["status"], NOW) == 601
        of["status"] = self.report(of, replica_set("2", 4, 1), now=NOW + 500)
        assert self.reason(of["status"], "Progressing") == ("True", "ReplicaSetUpdated")
        assert deadline_in(of, of["status"], NOW + 500) == 601

    def test_a_rollout_without_progress_times_out(self) -> None:
        of = deployment()
        of["status"] = self.report(of, replica_set("2", 4, 0))
        stuck = self.report(of, replica_set("2", 4, 0), now=NOW + 601)
        assert self.reason(stuck, "Progressing") == ("False", "ProgressDeadlineExceeded")

    def test_a_pause_is_shown(self) -> None:
        status = self.report(deployment(paused=True), replica_set("2", 4))
        assert self.reason(status, "Progressing") == ("Unknown", "DeploymentPaused")
