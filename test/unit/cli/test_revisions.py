"""What `kaito history` says of each revision."""

from __future__ import annotations

from kaito.cli.revisions import rows_of
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.revisions import Revision, Undone, content_of, record
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import held

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
