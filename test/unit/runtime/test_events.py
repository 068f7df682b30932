"""Events never wait, never fail their caller, and do not repeat themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from kaito.runtime import Client, EventRecorder, Object
from kaito.runtime.events import EVENTS, QUEUE, REMEMBERED
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ns", "uid": "u"}}


@pytest.fixture
async def recorder(client: Client, clock: VirtualClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client, component="tester", clock=clock)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait([task])


def written(api: FakeApi) -> list[Object]:
    return api.objects(EVENTS)


async def test_an_event_says_what_happened_to_what(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, type="Warning", reason="Broken", message="it broke")
    await clock.settle()
    [event] = written(api)
    assert event["involvedObject"] == {
        "apiVersion": "v1", "kind": "Pod", "namespace": "ns", "name": "a", "uid": "u",
    }  # fmt: skip
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Broken", "it broke")
    assert event["count"] == 1
    assert event["source"] == {"component": "tester"}
    assert event["metadata"]["namespace"] == "ns"


async def test_an_event_about_a_cluster_scoped_object_lands_in_default(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    reference = {"apiVersion": "v1", "kind": "Node", "name": "n"}
    recorder.event(reference, reason="R", message="m")
    await clock.settle()
    [event] = written(api)
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["name"] == "n"


async def test_equal_events_are_counted_up_in_one_object(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for _ in range(5):
        recorder.event(POD, reason="R", message="m")
        await clock.advance(60)
    [event] = written(api)
    assert event["count"] == 5
    assert event["firstTimestamp"] < event["lastTimestamp"]


async def test_an_event_that_the_server_has_forgotten_begins_anew(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    api.remove(EVENTS, written(api)[0]["metadata"]["name"], "ns")
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    assert [event["count"] for event in written(api)] == [1]


async def test_different_events_are_different_objects(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, reason="R", message="one")
    recorder.event(POD, reason="R", message="two")
    recorder.event(POD, type="Warning", reason="R", message="one")
    await clock.settle()
    assert len(written(api)) == 3


async def test_a_refused_event_is_dropped_and_the_next_is_written(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    api.fault = lambda call: ScriptedReply.refusal(403, "Forbidden")
    with capture_logs() as logs:
        recorder.event(POD, reason="R", message="lost")
        await clock.settle()
        api.fault = None
        recorder.event(POD, reason="R", message="kept")
        await clock.settle()
    assert [event["message"] for event in written(api)] == ["kept"]
    assert logs[0]["event"] == "event not written"


async def test_an_answer_that_makes_no_sense_does_not_end_the_recorder(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    api.fault = lambda call: ScriptedReply(200, b"<html>")
    with capture_logs():
        recorder.event(POD, reason="R", message="lost")
        await clock.settle()
        api.fault = None
        recorder.event(POD, reason="R", message="kept")
        await clock.settle()
    assert [event["message"] for event in written(api)] == ["kept"]


async def test_the_queue_is_bounded_and_drops_instead_of_waiting(
    client: Client, clock: VirtualClock
) -> None:
    idle = EventRecorder(client, component="tester", clock=clock)
    with capture_logs() as logs:
        for number in range(QUEUE + 3):
            idle.event(POD, reason="R", message=str(number))
    assert [log["event"] for log in logs] == ["event dropped"] * 3


async def test_the_memory_of_repetitions_is_bounded(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for number in range(REMEMBERED + 10):
        recorder._counts[recorder.__class__, number] = 1  # type: ignore[index]  # stand-ins
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    assert len(recorder._counts) == REMEMBERED


async def test_a_long_message_is_cut_at_the_limit_of_the_api(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, reason="R", message="x" * 5000)
    await clock.settle()
    assert len(written(api)[0]["message"]) == 1024


async def test_the_name_of_an_event_is_one_even_when_the_objects_name_is_long(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    name = "a" * 199 + ".-" + "b" * 40
    recorder.event({"kind": "Node", "name": name}, reason="R", message="m")
    await clock.settle()
    [event] = written(api)
    labels = event["metadata"]["name"].split(".")
    assert len(event["metadata"]["name"]) <= 253
    assert all(label[0].isalnum() and label[-1].isalnum() for label in labels)
