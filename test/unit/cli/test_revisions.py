"""What `kaito history` says of each revision."""

from __future__ import annotations

from kaito.cli.revisions import rows_of
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.revisions import (
    Ended,
    Revision,
    Undone,
    content_of,
    record,
)
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import held
from test.unit.controllers.workspace.tuning_scene import tuned

SERVED = "2026-11-21T00:00:00Z"


def test_each_revision_says_what_became_of_it() -> None:
    workspace = held()
    subject = Subject(workspace)
    why = Undone(reason="ImagePullError", message="It is not there.")
    revisions = [
        Revision(name="w-1", number=1, content={"inference": {}}, served=SERVED),
        Revision(name="w-2", number=2, content={"tuning": {}}),
        Revision(name="w-3", number=3, content={"resource": {}}, undone=why),
        Revision(name="w-4", number=4, content={}, served=SERVED),
        Revision(name="w-5", number=5, content=content_of(workspace), tried_since=SERVED),
    ]
    found: list[Object] = [record(subject, each) for each in revisions]

    assert [row.state for row in rows_of(workspace, found)] == [
        "",
        "never served",
        "undone",
        "serves",
        "is tried",
    ]


def test_a_revision_of_a_tuning_says_how_its_training_ended() -> None:
    workspace = tuned()
    subject = Subject(workspace)
    good = Ended(run="a.", job="j", result="r")
    bad = Ended(run="b.", job="k", reason="DatasetInvalid", message="Line 3 is no JSON.")
    revisions = [
        Revision(name="w-1", number=1, content={"tuning": {}}, served=SERVED, ended=good),
        Revision(name="w-2", number=2, content={"tuning": {"method": "lora"}}, ended=bad),
        Revision(name="w-3", number=3, content={"tuning": {"config": "c"}}),
        Revision(name="w-4", number=4, content=content_of(workspace)),
    ]
    found: list[Object] = [record(subject, each) for each in revisions]
    rows = [*rows_of(workspace, found)]
    assert [row.state for row in rows] == ["trained", "failed", "never trained", "is trained"]
    assert [row.why for row in rows] == ["", "Line 3 is no JSON.", "", ""]
