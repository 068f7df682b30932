"""How an edit comes to serve or is undone: its time, room to surge, and groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.restart import restarts
from kaito.controllers.workspace.revisions import Revision, Undone
from kaito.controllers.workspace.rollout import Course, seconds_left, stalled, switched_off, went_on
from kaito.controllers.workspace.surge import leaves_gap, with_room
from kaito.runtime import Object, rfc3339
from test.unit.controllers.workspace.scene import NOW, own_node

GOOD = Revision(name="w-good", number=1, content={"inference": 1}, served=rfc3339(NOW))
NEW = Revision(name="w-new", number=2, content={"inference": 2})
TRYING = Course(declared=NEW, good=GOOD, known=(GOOD,))


def went(way: Course, **seen: bool) -> Revision:
    told = {"answers": False, "may_start": True, **seen}
    return went_on(way, **told, now=NOW).declared


# The time that a revision has


def test_the_time_of_an_edit_runs_while_its_nodes_are_ready() -> None:
    assert went(TRYING).tried_since == rfc3339(NOW)
    assert went(TRYING, may_start=False).tried_since == ""
    earlier = replace(TRYING, declared=replace(NEW, tried_since=rfc3339(NOW - 60)))
    assert went(earlier).tried_since == rfc3339(NOW - 60)
    assert went(earlier, may_start=False).tried_since == ""


def test_an_edit_that_answers_has_served_and_stays_so() -> None:
    served = went(TRYING, answers=True)
    assert (served.served, served.tried_since) == (rfc3339(NOW), "")
    later = replace(TRYING, declared=replace(served, served=rfc3339(NOW - 9)))
    assert went(later).served == rfc3339(NOW - 9)


def test_the_first_revision_has_all_the_time_of_the_world() -> None:
    first = Course(declared=NEW, good=None)
    assert went(first).tried_since == ""
    assert seconds_left(replace(first, declared=went(first)), 1.0, NOW + 1e9) is None


def test_what_was_undone_is_not_tried_again() -> None:
    way = replace(TRYING, declared=replace(NEW, undone=Undone(reason="R", message="M")))
    assert way.back is GOOD
    # The model that answers then is the one of the earlier revision.
    assert went(way, answers=True) == way.declared
    assert seconds_left(way, 1.0, NOW + 1e9) is None


def test_the_seconds_that_are_left_are_counted_from_the_first_one() -> None:
    way = replace(TRYING, declared=replace(NEW, tried_since=rfc3339(NOW)))
    assert seconds_left(way, 600.0, NOW + 100) == 500.0
    assert seconds_left(way, 600.0, NOW + 700) == -100.0


def deployment(reason: str, *, seen: int = 2) -> Object:
    return {
        "kind": "Deployment",
        "metadata": {"generation": 2},
        "status": {
            "observedGeneration": seen,
            "conditions": [{"type": "Progressing", "status": "False", "reason": reason}],
        },
    }


@pytest.mark.parametrize(
    ("workload", "answer"),
    [
        (None, False),
        (deployment("ProgressDeadlineExceeded"), True),
        (deployment("ReplicaSetUpdated"), False),
        (deployment("ProgressDeadlineExceeded", seen=1), False),
        ({"kind": "Deployment", "metadata": {}}, False),
        ({"kind": "StatefulSet", "metadata": {}}, True),
    ],
)
def test_a_deployment_tells_itself_that_it_makes_no_progress(
    workload: Object | None, answer: bool
) -> None:
    assert stalled(workload) is answer


# Room for a second Pod


def desired(gpus: Any, replicas: int = 1) -> Object:
    limits = {} if gpus is None else {"nvidia.com/gpu": gpus}
    container = {"name": "c", "resources": {"limits": limits}}
    return {
        "kind": "Deployment",
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
    }


def crew(**details: Any) -> Crew:
    return Crew(nodes=(own_node(**details),))


@pytest.mark.parametrize(
    ("wanted", "there", "live", "gap"),
    [
        pytest.param(desired("1"), crew(gpus=1), None, True, id="one GPU"),
        pytest.param(desired("1"), crew(gpus=2), None, False, id="a free GPU"),
        pytest.param(desired(2), crew(gpus=3), None, True, id="too few free"),
        pytest.param(desired("1", 2), crew(gpus=2), None, True, id="both taken"),
        pytest.param(desired("1"), crew(gpus=2), {"spec": {"replicas": 2}}, True, id="scaled up"),
        pytest.param(desired("1"), crew(gpus=2, ready=False), None, True, id="not ready"),
        pytest.param(desired("1"), crew(gpus=2, cordoned=True), None, True, id="cordoned"),
        pytest.param(desired("1"), Crew(), None, True, id="nobody's nodes"),
        pytest.param(desired("1"), Crew(brought=(own_node(gpus=8),)), None, True, id="brought"),
        pytest.param(desired(None), crew(gpus=8), None, True, id="no GPU asked for"),
        pytest.param(desired("many"), crew(gpus=8), None, True, id="no number"),
    ],
)
def test_a_rollout_surges_only_where_a_free_gpu_is_seen(
    wanted: Object, there: Crew, live: Object | None, gap: bool
) -> None:
    made = with_room(wanted, there, live)
    assert leaves_gap(made) is gap
    expected = (0, 1) if gap else (1, 0)
    rolling = made["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxSurge"], rolling["maxUnavailable"]) == expected


def test_a_stateful_set_always_has_a_gap_and_keeps_its_strategy() -> None:
    wanted = {"kind": "StatefulSet", "spec": {"updateStrategy": {"type": "OnDelete"}}}
    assert with_room(wanted, crew(gpus=8), None) is wanted
    assert leaves_gap(wanted)


# A group


def member(name: str, revision: str, **metadata: Any) -> Object:
    owner = {"kind": "StatefulSet", "name": "w", "uid": "set", "controller": True}
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-of-{name}",
            "labels": {"controller-revision-hash": revision},
            "ownerReferences": [owner],
            **metadata,
        }
    }


SET: Object = {
    "metadata": {"name": "w", "uid": "set", "generation": 2},
    "status": {"observedGeneration": 2, "updateRevision": "new"},
}


def test_all_pods_of_the_old_template_go_together() -> None:
    pods = [member("w-0", "old"), member("w-1", "old"), member("w-2", "older")]
    assert [each.key.name for each in restarts(SET, pods)] == ["w-0", "w-1", "w-2"]
    assert {each.uid for each in restarts(SET, pods)} == {f"uid-of-w-{n}" for n in range(3)}


@pytest.mark.parametrize(
    ("found", "pod"),
    [
        pytest.param(SET, member("w-0", "new"), id="new already"),
        pytest.param(SET, member("w-0", "old", deletionTimestamp="now"), id="going"),
        pytest.param(SET, member("w-0", "old", ownerReferences=[]), id="of nobody"),
        pytest.param(
            {**SET, "metadata": {**SET["metadata"], "generation": 3}},
            member("w-0", "old"),
            id="its controller has not seen the template",
        ),
        pytest.param({"metadata": SET["metadata"]}, member("w-0", "old"), id="without a status"),
        pytest.param(None, member("w-0", "old"), id="without a set"),
    ],
)
def test_a_pod_stays_that(found: Object | None, pod: Object) -> None:
    assert restarts(found, [pod]) == ()


@pytest.mark.parametrize(("replicas", "off"), [(0, True), (1, False), (None, False)])
def test_a_workload_without_replicas_is_switched_off(replicas: int | None, off: bool) -> None:
    spec = {} if replicas is None else {"replicas": replicas}
    assert switched_off({"kind": "StatefulSet", "metadata": {}, "spec": spec}) is off
