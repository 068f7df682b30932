"""Which instance type is asked for next, and how long is waited before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.api.launch import UNAVAILABLE
from kaito.controllers.machine.cloud import Refusal, Trouble
from kaito.controllers.machine.launch import (
    MAX_MESSAGE,
    Attempt,
    Wait,
    next_attempt,
    overdue,
    pause_after,
    remaining_pause,
    stopped,
)
from kaito.controllers.machine.useless import Useless
from kaito.provisioner import Cause, Failure, Pool, PoolState
from kaito.provisioner.ownership import LAUNCHED, label_of
from test.unit.controllers.machine.world import (
    BUSY,
    NO_QUOTA,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    POLL,
    WRONG,
)
from test.unit.provisioner.machines import A10, A100, machine

NOW = 1_767_225_600.0
TYPES = (A100, A10)
LONG = POLICY.user_pause


def after(*refused: tuple[str, Failure], ago: float = 1.0) -> Attempt | Wait:
    refusals = [Refusal(type_, failure, NOW - ago) for type_, failure in refused]
    return next_attempt("ws1", TYPES, refusals, NOW, POLICY)


def test_the_first_type_comes_first() -> None:
    assert after() == Attempt(A100)


@pytest.mark.parametrize("failure", [NO_ROOM, NO_QUOTA])
def test_what_cannot_be_had_makes_room_for_the_next_type(failure: Failure) -> None:
    assert after((A100, failure)) == Attempt(A10)


@pytest.mark.parametrize("failure", [BUSY, NO_RIGHT, WRONG])
def test_no_other_failure_does(failure: Failure) -> None:
    assert isinstance(after((A100, failure)), Wait)


def test_a_failure_that_may_pass_is_repeated_with_the_same_type() -> None:
    assert after((A100, NO_ROOM), (A10, BUSY), ago=POLL) == Attempt(A10)


def test_when_all_types_are_tried_a_new_round_begins_after_a_long_pause() -> None:
    tried = ((A100, NO_ROOM), (A10, NO_QUOTA))
    assert isinstance(after(*tried, ago=LONG - 1), Wait)
    assert after(*tried, ago=LONG) == Attempt(A100, afresh=True)


def test_a_wrong_request_waits_for_ever() -> None:
    wait = after((A100, WRONG), ago=1e9)
    assert isinstance(wait, Wait)
    assert wait.seconds is None
    assert "tries again" not in wait.message


def test_only_what_was_unavailable_is_called_unavailable() -> None:
    for failure in (BUSY, NO_RIGHT, WRONG):
        wait = after((A100, failure))
        assert isinstance(wait, Wait)
        assert UNAVAILABLE not in wait.message
        assert wait.message.startswith("Azure did not make agent pool ws1: ")


def test_the_message_has_the_clouds_words_the_remedy_and_what_happens_next() -> None:
    wait = after((A100, NO_RIGHT))
    assert isinstance(wait, Wait)
    assert wait.message == (
        "Azure did not make agent pool ws1: no right (Code). Do this. "
        "KAITO tries again at 2026-01-01T00:09:59Z, and then every 10 minutes."
    )


def test_when_the_next_attempt_is_due_is_told_however_long_the_clouds_words_are() -> None:
    wait = after((A100, replace(NO_ROOM, message="x" * 5000)), (A10, NO_QUOTA))
    assert isinstance(wait, Wait)
    assert len(wait.message) == MAX_MESSAGE
    assert wait.message.endswith("at 2026-01-01T00:09:59Z, and then every 10 minutes.")


def test_an_instance_type_that_is_no_word_stays_on_its_line() -> None:
    wait = next_attempt("ws1", ["a\n\x1b[2Jb"], [Refusal("a\n\x1b[2Jb", NO_ROOM, NOW)], NOW, POLICY)
    assert isinstance(wait, Wait)
    assert wait.message.isprintable()


def test_the_reason_is_that_of_the_last_refusal() -> None:
    wait = after((A100, NO_ROOM), (A10, NO_QUOTA))
    assert isinstance(wait, Wait)
    assert wait.cause is Cause.FAMILY_QUOTA


def test_pauses_double_from_one_poll_to_a_limit() -> None:
    pauses = [pause_after(BUSY, times, POLICY) for times in range(1, 8)]
    assert pauses == [15.0, 30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


def test_no_pause_is_shorter_than_the_cloud_asked_for() -> None:
    throttled = replace(BUSY, cause=Cause.THROTTLED, retry_after=1000.0)
    assert pause_after(throttled, 1, POLICY) == 1000.0


def test_a_failed_question_is_not_repeated_before_its_pause_is_over() -> None:
    assert remaining_pause(None, NOW, POLICY) == 0.0
    assert remaining_pause(Trouble(BUSY, NOW - 10.0, 1), NOW, POLICY) == 5.0
    assert remaining_pause(Trouble(BUSY, NOW - 15.0, 1), NOW, POLICY) == 0.0
    assert remaining_pause(Trouble(WRONG, NOW, 1), NOW, POLICY) == LONG


def test_a_clock_that_was_set_back_prolongs_no_pause() -> None:
    assert remaining_pause(Trouble(BUSY, NOW + 3600.0, 1), NOW, POLICY) == 0.0
    assert isinstance(after((A100, BUSY), ago=-3600.0), Attempt)


def test_the_time_that_a_pool_has_taken_is_known_to_a_process_that_has_just_begun() -> None:
    launched = {LAUNCHED: label_of(NOW - 4499.0)}
    making = replace(pool(PoolState.CREATING), labels=launched)
    assert overdue(making, NOW, NOW, POLICY) is not None
    joining = replace(pool(PoolState.READY), labels=launched)
    assert overdue(joining, NOW, NOW, POLICY) is None
    assert overdue(joining, NOW, NOW + 1.0, POLICY) is not None


def test_a_pool_that_was_called_off_was_too_late_and_did_not_fail_for_no_reason() -> None:
    late = {LAUNCHED: label_of(NOW - 3600.0)}
    silent = replace(BUSY, code="", cause=Cause.SERVER)
    failed = replace(pool(PoolState.FAILED), labels=late, failure=silent)
    told = overdue(failed, NOW, NOW, POLICY)
    assert told is not None
    assert told.cause is Cause.MAKING_TIMEOUT
    assert overdue(replace(failed, failure=NO_ROOM), NOW, NOW, POLICY) is None
    assert overdue(replace(failed, labels={}), NOW - 3600.0, NOW, POLICY) is None


def test_patience_with_a_pool_ends_but_not_with_one_that_is_stopped_or_upgraded() -> None:
    assert overdue(pool(PoolState.CREATING), NOW - 3599.0, NOW, POLICY) is None
    assert overdue(pool(PoolState.CREATING), NOW - 3600.0, NOW, POLICY) is not None
    assert overdue(pool(PoolState.READY), NOW - 899.0, NOW, POLICY) is None
    assert overdue(pool(PoolState.READY), NOW - 900.0, NOW, POLICY) is not None
    for state in (PoolState.STOPPED, PoolState.UPDATING, PoolState.DELETING):
        assert overdue(pool(state), 0.0, NOW, POLICY) is None


def pool(state: PoolState) -> Pool:
    return Pool(name="ws1", state=state, said=state, instance_type=A100, labels={})


@pytest.mark.parametrize(
    ("last", "cure"),
    [
        (overdue(pool(PoolState.READY), NOW - 900.0, NOW, POLICY), "keeps nodes from joining"),
        (overdue(pool(PoolState.CREATING), NOW - 3600.0, NOW, POLICY), "Mend what that says"),
        (NO_ROOM, "Mend what that says"),
    ],
)
def test_the_advice_after_pools_in_vain_is_about_what_the_last_one_lacked(
    last: Failure | None, cure: str
) -> None:
    assert last is not None
    said = stopped(machine(), Useless(dict.fromkeys("123", str(last))), POLICY)
    assert said is not None
    assert cure in said
