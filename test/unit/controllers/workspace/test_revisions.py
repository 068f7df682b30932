"""Revisions: what is in one, how they are numbered, how many are kept, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.revisions import (
    HISTORY,
    Revision,
    Undone,
    content_of,
    declared,
    history,
    last_good,
    record,
    restored,
    seconds_since,
    surplus,
)
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import held, workspace

SUBJECT = Subject(held())
Edits = list[tuple[int, bool]]


def stored(revision: Revision, **metadata: Any) -> Object:
    """The ControllerRevision as the API server would keep it."""
    made = record(SUBJECT, revision)
    return {**made, "metadata": {"uid": f"uid-of-{revision.name}", **made["metadata"], **metadata}}


def played(edits: Edits, *, digits: int = 10) -> list[list[Revision]]:
    """The history after each edit: a content out of a few, and whether it answered."""
    kept: list[Object] = []
    told: list[list[Revision]] = []
    for content, answers in edits:
        known = history(SUBJECT, kept)
        chosen = declared(SUBJECT, {"inference": {"content": content}}, known, digits=digits)
        chosen = replace(chosen, served=chosen.served or ("2026-11-21T10:00:00Z" * answers))
        good = last_good(known, but=chosen)
        gone = {each.name for each in surplus(known, [chosen, *([good] if good else [])])}
        stays = [each for each in kept if each["metadata"]["name"] not in {chosen.name, *gone}]
        kept = [*stays, stored(chosen)]
        told.append(list(history(SUBJECT, kept)))
    return told


many_edits = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=60)


@given(many_edits)
def test_a_history_never_holds_more_than_ten(edits: Edits) -> None:
    assert all(len(known) <= HISTORY for known in played(edits))


@given(many_edits)
def test_the_declared_revision_has_the_highest_number_and_numbers_only_rise(edits: Edits) -> None:
    tops = []
    for (content, _), known in zip(edits, played(edits), strict=True):
        assert known[-1].content == {"inference": {"content": content}}
        assert len({each.number for each in known}) == len(known)
        tops.append(known[-1].number)
    assert tops == sorted(tops)


@given(many_edits)
def test_the_way_back_is_never_forgotten(edits: Edits) -> None:
    answered: set[int] = set()
    for (content, answers), known in zip(edits, played(edits), strict=True):
        if answered - {content}:
            assert last_good(known, but=known[-1]) is not None
        answered |= {content} if answers else set()


@given(many_edits)
def test_equal_content_is_one_revision(edits: Edits) -> None:
    for known in played(edits):
        contents = [each.content["inference"]["content"] for each in known]
        assert len(set(contents)) == len(contents)


@given(st.lists(st.tuples(st.integers(0, 30), st.just(True)), min_size=1, max_size=30))
def test_contents_of_one_hash_have_names_of_their_own(edits: Edits) -> None:
    for known in played(edits, digits=1):
        assert len({each.name for each in known}) == len(known)


def test_saying_the_same_again_makes_no_revision() -> None:
    (first,) = played([(1, True)])
    again = declared(SUBJECT, {"inference": {"content": 1}}, first)
    assert again == first[-1]


def test_content_that_comes_back_is_tried_again_under_a_new_number() -> None:
    bad = Revision(
        name="w-a", number=1, content={"inference": 1}, undone=Undone(reason="R", message="M")
    )
    after = Revision(name="w-b", number=2, content={"inference": 2})
    chosen = declared(SUBJECT, {"inference": 1}, [bad, after])
    assert (chosen.name, chosen.number, chosen.undone) == ("w-a", 3, None)


def test_what_became_of_a_revision_is_read_as_it_was_written() -> None:
    told = Revision(
        name="w-0123456789",
        number=4,
        content={"inference": {"preset": {"name": "p"}}},
        served="2026-11-21T10:00:00Z",
        tried_since="2026-11-21T09:00:00Z",
        undone=Undone(reason="ContainerCrashLoopBackOff", message='He said: "no".', config="7"),
    )
    assert history(SUBJECT, [stored(told)]) == (replace(told, uid="uid-of-w-0123456789"),)


@pytest.mark.parametrize(
    "changes",
    [
        {"data": None},
        {"data": "text"},
        {"revision": -1},
        {"revision": "1"},
        {"metadata": {"name": "w-a"}},
        {"data": {"annotations": ["kaito.sh/runtime"]}},
        {"data": {"annotations": {"kaito.sh/runtime": 7}}},
        {"data": {"annotations": {"team": "blue"}}},
    ],
    ids=str,
)
def test_what_is_no_revision_of_ours_is_passed_over(changes: Object) -> None:
    made = stored(Revision(name="w-a", number=1, content={}))
    assert history(SUBJECT, [{**made, **changes}]) == ()


@pytest.mark.parametrize("text", ["", "no json", "[1]", "7", '"x"'])
def test_a_note_that_nobody_understands_says_nothing(text: str) -> None:
    made = stored(Revision(name="w-a", number=1, content={}))
    made["metadata"]["annotations"]["kaito.sh/undone"] = text
    (read,) = history(SUBJECT, [made])
    assert read.undone is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21", "2026-11-21T10:00:00"])
def test_a_time_that_is_none_is_now(text: str) -> None:
    assert seconds_since(text, 1_800_000_000.0) == 0.0


def test_a_time_is_seconds_ago() -> None:
    assert seconds_since("2023-11-14T22:13:20Z", 1_700_000_060.0) == 60.0


notes: st.SearchStrategy[Object] = st.dictionaries(
    st.sampled_from(["kaito.sh/runtime", "kaito.sh/enablelb", "team", "kaito.sh/unknown"]),
    st.text(max_size=3),
)
contents: st.SearchStrategy[Object] = st.fixed_dictionaries(
    {},
    optional={
        "inference": st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text()),
        "tuning": st.just({"method": "lora"}),
    },
)


def with_content(content: Object, noted: Object) -> Object:
    made = workspace(metadata={"annotations": noted})
    made.pop("inference")
    return {**made, **content}


@given(contents, notes, contents, notes)
def test_the_way_back_leads_to_the_content_that_was(
    old: Object, old_notes: Object, new: Object, new_notes: Object
) -> None:
    before, now = with_content(old, old_notes), with_content(new, new_notes)
    back = restored(now, content_of(before))
    assert content_of(back) == content_of(before)
    others = {key: value for key, value in new_notes.items() if key in ("team", "kaito.sh/unknown")}
    kept = back["metadata"]["annotations"]
    assert others.items() <= kept.items()
    assert {k: v for k, v in back["metadata"].items() if k != "annotations"} == {
        k: v for k, v in now["metadata"].items() if k != "annotations"
    }


def test_a_revision_holds_what_users_write_and_no_status() -> None:
    made = workspace(
        metadata={"annotations": {"kaito.sh/enablelb": "true", "team": "blue"}},
        status={"state": "Ready"},
    )
    content = content_of(made)
    assert set(content) == {"resource", "inference", "annotations"}
    assert content["annotations"] == {"kaito.sh/enablelb": "true"}


def test_nulls_make_no_difference() -> None:
    assert content_of(workspace(inference={"config": None})) == content_of(workspace())
