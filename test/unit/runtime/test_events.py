"""Events never wait, never fail their caller, do not repeat themselves and do not flood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from kaito.runtime import (
    Call,
    Client,
    ConnectionFailed,
    EventRecorder,
    Metrics,
    Object,
    Reply,
)
from kaito.runtime.correlator import COMBINED, SIMILAR, SIMILAR_SECONDS
from kaito.runtime.eventforms import CORE, NEWER
from kaito.runtime.events import IDLE_SECONDS, QUEUE, REMEMBERED, TRIES
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ns", "uid": "u"}}
BURST = 25  # events of one object at once


def pod(number: int) -> Object:
    return {"kind": "Pod", "namespace": "ns", "name": f"p{number}"}


@pytest.fixture
async def recorder(client: Client, clock: VirtualClock) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(client, component="tester", clock=clock, instance="tester-0")
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait([task])
    assert clock.pending == 0


def written(api: FakeApi) -> list[Object]:
    return api.objects(NEWER.resource)


def outcome(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(
        "kaito_runtime_recorded_events_total", {"outcome": name}
    )


# What is said


async def test_an_event_says_what_happened_to_what(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, type="Warning", reason="Broken", message="it broke")
    await clock.settle()
    [event] = written(api)
    metadata = event.pop("metadata")
    assert metadata["namespace"] == "ns"
    assert metadata["name"].startswith("a.")
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "eventTime": "2025-06-15T15:06:40.000000Z",
        "reportingController": "tester",
        "reportingInstance": "tester-0",
        "regarding": {
            "apiVersion": "v1", "kind": "Pod", "namespace": "ns", "name": "a", "uid": "u",
        },
        "type": "Warning",
        "reason": "Broken",
        "action": "Broken",
        "note": "it broke",
    }  # fmt: skip


async def test_what_was_tried_and_what_else_had_to_do_with_it_can_be_said(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "name": "n"}
    recorder.event(POD, reason="Scheduled", message="m", action="Binding", related=node)
    await clock.settle()
    [event] = written(api)
    assert (event["action"], event["related"]) == ("Binding", node)


async def test_an_event_about_a_cluster_scoped_object_lands_in_default(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    reference = {"apiVersion": "v1", "kind": "Node", "name": "n"}
    recorder.event(reference, reason="R", message="m")
    await clock.settle()
    [event] = written(api)
    assert event["metadata"]["namespace"] == "default"
    assert event["regarding"] == reference


async def test_texts_are_cut_at_the_limits_of_the_api(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, reason="R" * 500, message="x" * 5000)
    await clock.settle()
    [event] = written(api)
    assert [len(event[name]) for name in ("note", "reason", "action")] == [1024, 128, 128]


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


# Repetitions


async def test_equal_events_are_counted_up_in_one_object(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for _ in range(5):
        recorder.event(POD, reason="R", message="m")
        await clock.advance(60)
    [event] = written(api)
    assert event["series"]["count"] >= 2, "the first repetition is told at once"
    await clock.advance(IDLE_SECONDS)
    [event] = written(api)
    assert event["series"] == {"count": 5, "lastObservedTime": "2025-06-15T15:10:40.000000Z"}


async def test_a_thousand_repetitions_are_a_handful_of_writes(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder, metrics: Metrics
) -> None:
    for _ in range(1000):
        recorder.event(POD, reason="R", message="m")
        await clock.advance(1)
    await clock.advance(IDLE_SECONDS)
    [event] = written(api)
    assert event["series"]["count"] == 1000
    assert len(api.writes()) <= 7
    assert (outcome(metrics, "written"), outcome(metrics, "repeated")) == (1, 999)


async def test_what_repeats_after_a_quiet_time_is_a_new_event(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for _ in range(2):
        recorder.event(POD, reason="R", message="m")
        await clock.advance(IDLE_SECONDS + 1)
    assert len(written(api)) == 2


async def test_an_event_that_the_server_has_forgotten_begins_anew(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    api.remove(NEWER.resource, written(api)[0]["metadata"]["name"], "ns")
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    assert [event["note"] for event in written(api)] == ["m"]


async def test_different_events_are_different_objects(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    recorder.event(POD, reason="R", message="one")
    recorder.event(POD, reason="R", message="two")
    recorder.event(POD, type="Warning", reason="R", message="one")
    await clock.settle()
    assert len(written(api)) == 3


async def test_names_of_events_are_in_the_order_of_their_time(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for number in range(3):
        recorder.event(POD, reason=f"R{number}", message="m")
    await clock.advance(1.0)
    recorder.event(POD, reason="R3", message="m")
    await clock.settle()
    found = sorted(written(api), key=lambda event: event["metadata"]["name"])
    assert [event["reason"] for event in found] == ["R0", "R1", "R2", "R3"]


# Floods


async def test_many_messages_for_one_reason_are_combined(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for number in range(SIMILAR + 20):
        recorder.event(POD, reason="R", message=f"no {number}")
    await clock.advance(IDLE_SECONDS)
    notes = [event["note"] for event in written(api)]
    apart = SIMILAR - 1
    assert notes == [*(f"no {number}" for number in range(apart)), f"{COMBINED}no {apart}"]
    assert written(api)[-1]["series"]["count"] == 21
    await clock.advance(SIMILAR_SECONDS + 1)
    recorder.event(POD, reason="R", message="later")
    await clock.settle()
    assert written(api)[-1]["note"] == "later"


async def test_one_object_cannot_flood_the_cluster_and_others_are_heard(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder, metrics: Metrics
) -> None:
    for number in range(BURST + 10):
        recorder.event(POD, reason=f"R{number}", message="m")
    recorder.event(pod(1), reason="R", message="m")
    await clock.settle()
    assert len(written(api)) == BURST + 1
    assert outcome(metrics, "limited") == 10
    await clock.advance(300)
    recorder.event(POD, reason="Later", message="m")
    recorder.event(POD, reason="TooMuch", message="m")
    await clock.settle()
    assert [event["reason"] for event in written(api)[BURST + 1 :]] == ["Later"]


async def test_the_queue_is_bounded_and_drops_instead_of_waiting(
    client: Client, clock: VirtualClock, metrics: Metrics
) -> None:
    idle = EventRecorder(client, component="tester", clock=clock)
    with capture_logs() as logs:
        for number in range(QUEUE + 3):
            idle.event(pod(number), reason="R", message="m")
    assert [log["event"] for log in logs] == ["event dropped"] * 3
    assert outcome(metrics, "dropped") == 3


async def test_the_memory_of_repetitions_is_bounded(
    clock: VirtualClock, recorder: EventRecorder
) -> None:
    for number in range(REMEMBERED + 1000):
        recorder.event(pod(number), reason="R", message="m")
        recorder.event(pod(number), reason="R", message="m")
        if number % 500 == 0:
            await clock.settle()
            await clock.settle()
    assert len(recorder._series) <= REMEMBERED
    assert len(recorder._overdue) <= REMEMBERED
    assert len(recorder._correlator._objects) <= REMEMBERED


# Trouble


async def test_a_refused_event_is_dropped_and_the_next_is_written(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder, metrics: Metrics
) -> None:
    api.fault = lambda call: ScriptedReply.refusal(403, "Forbidden")
    with capture_logs() as logs:
        recorder.event(POD, reason="R", message="lost")
        await clock.settle()
        api.fault = None
        recorder.event(POD, reason="R", message="kept")
        await clock.settle()
    assert [event["message"] for event in api.objects(CORE.resource)] == ["kept"]
    assert logs[-1]["event"] == "event not written"
    assert outcome(metrics, "failed") == 1


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
    assert [event["note"] for event in written(api)] == ["kept"]


async def test_what_is_recorded_while_the_server_is_away_is_written_when_it_is_back(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    api.fault = lambda call: ConnectionFailed("refused")
    recorder.event(POD, reason="R", message="one")
    recorder.event(pod(1), reason="R", message="two")
    await clock.advance(60)
    assert written(api) == []
    api.fault = None
    await clock.advance(15)
    assert [event["note"] for event in written(api)] == ["one", "two"]


async def test_a_server_that_stays_away_costs_the_event_in_the_end(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder, metrics: Metrics
) -> None:
    api.fault = lambda call: ConnectionFailed("refused")
    with capture_logs():
        recorder.event(POD, reason="R", message="one")
        await clock.advance(13 * TRIES)
    assert len(api.calls) == TRIES
    assert outcome(metrics, "failed") == 1


# Servers without the group, and roles without it


def no_such_group(call: Call) -> ScriptedReply | None:
    return ScriptedReply(404, b"404 page not found") if "events.k8s.io" in call.path else None


def no_such_role(call: Call) -> ScriptedReply | None:
    refused = ScriptedReply.refusal(403, "Forbidden", "may not create events")
    return refused if "events.k8s.io" in call.path else None


@pytest.mark.parametrize("fault", [no_such_group, no_such_role])
async def test_without_the_group_events_are_written_as_core_v1(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder, fault: object
) -> None:
    api.fault = fault  # type: ignore[assignment]  # one of the two above
    with capture_logs() as logs:
        for _ in range(3):
            recorder.event(POD, type="Warning", reason="Broken", message="it broke")
            await clock.advance(1)
        await clock.advance(IDLE_SECONDS)
    [event] = api.objects(CORE.resource)
    assert event["apiVersion"] == "v1"
    assert event["involvedObject"]["name"] == "a"
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Broken", "it broke")
    assert event["source"] == {"component": "tester"}
    assert event["count"] == 3
    assert event["firstTimestamp"] < event["lastTimestamp"]
    assert [log["event"] for log in logs] == ["events go to core/v1"]
    assert len([call for call in api.calls if "events.k8s.io" in call.path]) == 1


async def test_a_namespace_that_is_gone_or_ending_is_no_reason_to_change_the_group(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    details = {"name": "ns", "kind": "namespaces"}
    gone = {"reason": "NotFound", "message": 'namespaces "ns" not found', "details": details}
    causes = [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]
    ending = {"reason": "Forbidden", "details": {"causes": causes}}
    with capture_logs():
        for code, status in ((404, gone), (403, ending)):
            api.fault = lambda call, code=code, status=status: ScriptedReply(code, status)
            recorder.event(POD, reason="R", message="lost")
            await clock.settle()
        api.fault = None
        recorder.event(POD, reason="R", message="kept")
        await clock.settle()
    assert [event["note"] for event in written(api)] == ["kept"]


async def test_who_wants_core_v1_has_it_from_the_start(
    api: FakeApi, client: Client, clock: VirtualClock
) -> None:
    recorder = EventRecorder(client, component="tester", clock=clock, core=True)
    task = asyncio.create_task(recorder.run())
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    task.cancel()
    await asyncio.wait([task])
    assert [call.path for call in api.calls] == ["/api/v1/namespaces/ns/events"]


# The end


async def test_a_flush_returns_when_all_is_written_counts_included(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    for _ in range(10):
        recorder.event(POD, reason="R", message="m")
        await clock.settle()
    recorder.event(pod(1), reason="R", message="m")
    assert await recorder.flush(5.0) == 0
    assert [event.get("series", {}).get("count") for event in written(api)] == [10, None]


async def test_a_flush_with_nothing_to_write_waits_for_nothing(recorder: EventRecorder) -> None:
    assert await recorder.flush(5.0) == 0


async def test_a_flush_gives_up_after_its_time(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    api.hang = lambda call: True
    for number in range(3):
        recorder.event(pod(number), reason="R", message="m")
    with capture_logs() as logs:
        flushing = asyncio.create_task(recorder.flush(5.0))
        await clock.advance(5.1)
    assert await flushing == 2, "and one is on its way"
    assert logs[0]["event"] == "events not written"


async def test_a_flush_does_not_wait_for_a_server_that_is_away(
    api: FakeApi, clock: VirtualClock, recorder: EventRecorder
) -> None:
    api.fault = lambda call: ConnectionFailed("refused")
    recorder.event(POD, reason="R", message="m")
    await clock.settle()
    with capture_logs():
        flushing = asyncio.create_task(recorder.flush(5.0))
        await clock.settle()
        assert flushing.done()


async def test_an_event_whose_answer_was_lost_is_written_once_and_counted_as_written(
    clock: VirtualClock, metrics: Metrics
) -> None:
    class Lossy(FakeApi):
        lost = False

        async def send(self, call: Call) -> Reply:
            reply = await super().send(call)
            if call.method == "POST" and not self.lost:
                self.lost = True
                raise ConnectionFailed("reset")
            return reply

    api = Lossy()
    recorder = EventRecorder(
        Client(api, clock=clock), component="tester", clock=clock, metrics=metrics
    )
    task = asyncio.create_task(recorder.run())
    with capture_logs() as logs:
        recorder.event(POD, reason="Made", message="made")
        await clock.advance(30)
    recorder.event(POD, reason="Made", message="made")
    await clock.settle()
    [event] = written(api)
    assert event["series"]["count"] == 2
    assert outcome(metrics, "written") == 1
    assert logs == []
    task.cancel()
    await asyncio.wait([task])
