"""What is told of how a model's start went."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaito.api import machine
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.phases import Start, phases
from kaito.runtime import Object, rfc3339

BORN = 1_700_000_000


def at(seconds: int) -> str:
    return rfc3339(BORN + seconds)


def order(requested: str, *steps: str) -> Order:
    """A Machine whose conditions became True at these times; those without one are False."""
    return Order.model_validate(
        {
            "apiVersion": machine.API_VERSION,
            "kind": machine.KIND,
            "metadata": {"name": "m", "creationTimestamp": requested},
            "status": {
                "conditions": [
                    {"type": type_, "status": str(bool(time)), "lastTransitionTime": time}
                    for type_, time in zip(machine.LIVING, steps, strict=True)
                ]
            },
        }
    )


def claimed(*steps: int | None, requested: int = 0) -> Order:
    return order(at(requested), *("" if each is None else at(each) for each in steps))


def answers(seconds: int) -> Object:
    return {"type": "InferenceReady", "status": "True", "lastTransitionTime": at(seconds)}


def pod(born: int, started: int | None = None, ready: int | None = None) -> Object:
    status: Object = {}
    if started is not None:
        state = {"running": {"startedAt": at(started)}}
        status["containerStatuses"] = [{"name": "engine", "state": state}]
    if ready is not None:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": at(ready)}
        status["conditions"] = [condition]
    return {"metadata": {"creationTimestamp": at(born)}, "status": status}


def told(start: Start, before: Any = (), answers: Object | None = None) -> dict[str, int]:
    return {each["name"]: each["seconds"] for each in phases(start, before, answers)}


START = Start(orders=[claimed(10, 200, 260)], pods=[pod(262, 300, 420)])
TOLD = phases(START, (), answers(421))


def test_each_phase_says_how_long_it_took_after_the_one_before() -> None:
    assert told(START, (), answers(421)) == {
        "Requested": 0,
        "Launched": 10,
        "Joined": 190,
        "GPUsVisible": 60,
        "ImagePulled": 38,
        "WeightsLoaded": 120,
        "Ready": 1,
    }


def test_nothing_is_told_of_what_has_not_happened() -> None:
    assert list(told(Start(orders=[claimed(10, None, None)]))) == ["Requested", "Launched"]


def test_a_phase_is_reached_when_the_last_node_has_reached_it() -> None:
    both = Start(orders=[claimed(10, 100, 110), claimed(20, None, None)])
    assert told(both) == {"Requested": 0, "Launched": 20}


def test_a_model_on_nodes_of_its_user_begins_with_its_pod() -> None:
    assert told(Start(pods=[pod(5, 30, 90)]), (), answers(90)) == {
        "ImagePulled": 25,
        "WeightsLoaded": 60,
        "Ready": 0,
    }


def test_an_image_is_pulled_when_every_pod_that_is_expected_has_started() -> None:
    assert told(Start(pods=[pod(0, 10, 20)], expected=2)) == {}


def test_a_pod_that_is_replaced_a_day_later_is_counted_from_its_own_creation() -> None:
    day = 86_400
    later = Start(orders=START.orders, pods=[pod(day, day + 5, day + 65)])
    assert told(later, TOLD)["ImagePulled"] == 5


def test_a_pod_that_falters_for_a_moment_keeps_the_times_of_its_start() -> None:
    faltered = Start(orders=START.orders, pods=[pod(262, 300, 9_000)])
    assert phases(faltered, TOLD, answers(9_001)) == TOLD
    unready = Start(orders=START.orders, pods=[pod(262, 300)])
    assert phases(unready, TOLD) == TOLD


def test_a_container_that_starts_again_begins_a_new_start() -> None:
    again = Start(orders=START.orders, pods=[pod(262, 1_000)])
    assert list(told(again, TOLD))[-1] == "ImagePulled"


def test_a_node_that_is_replaced_begins_anew() -> None:
    replaced = Start(orders=[claimed(5_010, None, None, requested=5_000)])
    assert told(replaced, TOLD) == {"Requested": 0, "Launched": 10}


def test_clocks_that_disagree_make_no_phase_shorter_than_nothing() -> None:
    assert told(Start(orders=[claimed(10, 4, 6)]))["Joined"] == 0


# No longer than what an API server keeps as a time.
@given(st.text(max_size=64), st.text(max_size=64), st.dictionaries(st.text(), st.text()))
def test_words_that_are_no_times_are_no_news(word: str, other: str, entry: Any) -> None:
    start = Start(orders=[order(word, other, word, other)])
    condition = {"status": "True", "lastTransitionTime": word}
    for each in phases(start, [entry, {"name": "Launched", "reachedAt": word}], condition):
        assert each["seconds"] >= 0


def container(name: str, began: int, ended: int | None = None, code: int = 0) -> Object:
    started = at(began)
    if ended is None:
        return {"name": name, "state": {"running": {"startedAt": started}}}
    state = {"startedAt": started, "finishedAt": at(ended), "exitCode": code}
    return {"name": name, "state": {"terminated": state}}


def trains(*init: Object, pusher: Object | None = None) -> Start:
    status = {"initContainerStatuses": [*init], "containerStatuses": [pusher] if pusher else []}
    made = {"metadata": {"name": "p", "creationTimestamp": at(0)}, "status": status}
    return Start(pods=[made], tunes=True)


def test_a_training_goes_from_its_image_over_data_and_model_to_its_result() -> None:
    init = container("data-downloader", 20, 50), container("trainer", 51, 650)
    assert told(trains(*init, pusher=container("pusher", 651, 655))) == {
        "ImagePulled": 20,
        "DataLoaded": 30,
        "Trained": 600,
        "Stored": 5,
    }


def test_data_of_a_volume_is_there_when_the_trainer_begins() -> None:
    assert told(trains(container("trainer", 20))) == {"ImagePulled": 20, "DataLoaded": 0}


def test_a_step_of_a_training_that_failed_is_not_taken() -> None:
    init = container("data-downloader", 20, 50), container("trainer", 51, 60, code=10)
    assert list(told(trains(*init))) == ["ImagePulled", "DataLoaded"]
