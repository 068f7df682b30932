"""Conditions as values."""

from __future__ import annotations

import pytest

from kaito.runtime import Object, find_condition, is_true, remove_condition, set_condition

NOW, LATER = 1_750_000_000.0, 1_750_000_060.0
READY = set_condition([], "Ready", "True", "Up", "all up", generation=3, now=NOW)


def test_a_new_condition_goes_to_the_end() -> None:
    both = set_condition(READY, "Other", "Unknown", "New", generation=3, now=NOW)
    assert [condition["type"] for condition in both] == ["Ready", "Other"]
    assert both[0] == {
        "type": "Ready",
        "status": "True",
        "observedGeneration": 3,
        "lastTransitionTime": "2025-06-15T15:06:40Z",
        "reason": "Up",
        "message": "all up",
    }


def test_setting_the_same_again_changes_nothing_however_late() -> None:
    assert set_condition(READY, "Ready", "True", "Up", "all up", generation=3, now=LATER) == READY


def test_a_new_reason_does_not_move_the_time_and_a_new_status_does() -> None:
    [same] = set_condition(READY, "Ready", "True", "Why", generation=3, now=LATER)
    [other] = set_condition(READY, "Ready", "False", "Why", generation=3, now=LATER)
    assert same["lastTransitionTime"] == "2025-06-15T15:06:40Z"
    assert other["lastTransitionTime"] == "2025-06-15T15:07:40Z"


def test_a_condition_without_a_time_gets_one() -> None:
    old: list[Object] = [{"type": "Ready", "status": "True"}]
    [new] = set_condition(old, "Ready", "True", "Up", generation=1, now=NOW)
    assert new["lastTransitionTime"] == "2025-06-15T15:06:40Z"


def test_the_given_list_is_left_as_it_is() -> None:
    before = [dict(condition) for condition in READY]
    set_condition(READY, "Ready", "False", "Down", generation=4, now=LATER)
    assert before == READY


def test_a_message_is_cut_at_the_limit_of_the_api() -> None:
    [condition] = set_condition([], "R", "True", "r", "x" * 40_000, generation=1, now=NOW)
    assert len(condition["message"]) == 32768


@pytest.mark.parametrize(("type_", "expected"), [("Ready", True), ("Missing", False)])
def test_a_condition_is_true_only_when_it_is_there_and_says_so(type_: str, expected: bool) -> None:
    assert is_true(READY, type_) is expected
    assert (find_condition(READY, type_) is not None) is expected


def test_removing_takes_one_and_leaves_the_others() -> None:
    both = set_condition(READY, "Other", "True", "New", generation=3, now=NOW)
    assert remove_condition(both, "Other") == READY
    assert remove_condition(READY, "Missing") == READY
