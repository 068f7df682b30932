"""List, then watch, for ever. What comes next is a table; that it happens is seen on a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Self

import msgspec
import pytest
from structlog.testing import capture_logs

from kaito.runtime import (
    ApiError,
    Backoff,
    Call,
    CallTimedOut,
    Client,
    ConnectionFailed,
    Expired,
    Forbidden,
    Metrics,
    Object,
    OversizedLine,
    Resource,
    ServerError,
    Status,
    TooManyRequests,
    UnreadableAnswer,
)
from kaito.runtime.pages import Page
from kaito.runtime.reflector import (
    FIRST,
    IDLE_SECONDS,
    Fill,
    Reflector,
    Step,
    after_list,
    after_list_failure,
    after_watch_end,
    after_watch_failure,
    cannot_stream,
)
from kaito.runtime.wire import open_object
from kaito.testing import Script, ScriptedReply, Stream, VirtualClock, refusal_event

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
EXPIRED = Expired(Status(410, "Expired"))
TOO_LARGE = ServerError(Status(504, "Timeout", "Too large resource version: 9, current: 5"))
BUSY = TooManyRequests(Status(429, "TooManyRequests"))
BROKEN = ServerError(Status(500, "InternalError"))
DENIED = Forbidden(Status(403, "Forbidden"))
REFUSED = ConnectionFailed("refused")
LATE = CallTimedOut("late")
GARBLED = UnreadableAnswer("garbled")


# The decisions


def test_the_first_list_takes_any_version() -> None:
    assert (FIRST.do, FIRST.version, FIRST.wait) == ("list", "0", False)


def test_after_a_list_comes_a_watch_from_its_version() -> None:
    assert after_list("7") == Step("watch", "7")


@pytest.mark.parametrize("error", [EXPIRED, TOO_LARGE])
def test_a_version_that_cannot_be_listed_is_given_up_for_the_latest_at_once(
    error: Exception,
) -> None:
    step = after_list_failure(Step("list", "7"), error)
    assert (step.do, step.version, step.wait) == ("list", "", False)


@pytest.mark.parametrize("error", [EXPIRED, TOO_LARGE])
def test_when_the_latest_cannot_be_listed_either_there_is_a_pause(error: Exception) -> None:
    assert after_list_failure(Step("list", ""), error).wait


@pytest.mark.parametrize("error", [BUSY, BROKEN, DENIED, REFUSED, LATE, GARBLED])
def test_any_other_failed_list_is_repeated_after_a_pause(error: Exception) -> None:
    assert after_list_failure(Step("list", "7"), error) == Step("list", "7", wait=True)


@pytest.mark.parametrize(
    ("lasted", "moved", "wait"), [(0.5, False, True), (0.5, True, False), (1.5, False, False)]
)
def test_a_watch_that_ends_goes_on_where_it_ended_slower_if_it_was_none(
    lasted: float, moved: bool, wait: bool
) -> None:
    assert after_watch_end("7", lasted=lasted, moved=moved) == Step("watch", "7", wait=wait)


@pytest.mark.parametrize(
    ("error", "do", "version", "wait"),
    [
        (EXPIRED, "list", "7", False),
        (TOO_LARGE, "list", "", False),
        (BUSY, "watch", "7", True),
        (REFUSED, "watch", "7", True),
        (BROKEN, "watch", "7", True),
        (LATE, "watch", "7", False),
        (DENIED, "list", "7", True),
        (OversizedLine("long"), "list", "7", True),
        (GARBLED, "list", "7", True),
    ],
)
def test_only_an_expired_version_or_nonsense_leads_to_a_new_list(
    error: Exception, do: str, version: str, wait: bool
) -> None:
    step = after_watch_failure("7", error)
    assert (step.do, step.version, step.wait) == (do, version, wait)


@pytest.mark.parametrize("code", [400, 403, 405, 406, 415, 422, 501])
def test_a_refusal_of_the_parameter_means_that_lists_are_not_streamed(code: int) -> None:
    assert cannot_stream(ApiError(Status(code)))


@pytest.mark.parametrize("error", [EXPIRED, BUSY, BROKEN, REFUSED, LATE])
def test_what_goes_by_says_nothing_about_streamed_lists(error: Exception) -> None:
    assert not cannot_stream(error)


@pytest.mark.parametrize("do", [after_list_failure, after_watch_failure])
def test_a_server_that_says_when_is_not_asked_before(do: Callable[..., Step]) -> None:
    busy = TooManyRequests(Status(429, "TooManyRequests"), retry_after=9.0)
    step = do(FIRST if do is after_list_failure else "7", busy)
    assert (step.wait, step.pause) == (True, 9.0)


# The shell around them


class Notes:
    """A sink that writes down what it is told."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []
        self.events: list[tuple[str, str]] = []
        self.heard_of: list[str] = []

    async def replace(self, pages: AsyncIterator[Page]) -> str:
        names: list[str] = []
        version = ""
        async for page in pages:
            version = page.metadata.resource_version
            names += [open_object(bytes(item))[0].name for item in page.items]
            for body in page.gone:
                names.remove(open_object(body)[0].name)
        self.lists.append(names)
        return version

    def event(self, kind: str, body: bytes) -> str:
        key, header, _ = open_object(body)
        self.events.append((kind, key.name))
        return header.resource_version

    def heard(self, version: str) -> None:
        self.heard_of.append(version)


class Scene:
    """A reflector on a script."""

    def __init__(self, clock: VirtualClock, *, fill: Fill = "list", namespace: str = "") -> None:
        self.clock = clock
        self.script = Script()
        self.metrics = Metrics()
        self.notes = Notes()
        self.reflector = Reflector(
            Client(self.script, clock=clock, metrics=self.metrics),
            PODS,
            self.notes,
            clock=clock,
            metrics=self.metrics,
            namespace=namespace,
            fill=fill,
            backoff=Backoff(jitter=0),
            draw=lambda: 0.5,
        )

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.reflector.run())
        await self.clock.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    @property
    def asked(self) -> list[str]:
        return [said(call) for call in self.script.calls]


def said(call: Call) -> str:
    verb = "watch" if "watch" in call.query else "list"
    verb = "stream" if "sendInitialEvents" in call.query else verb
    return f"{verb} {call.query.get('resourceVersion', 'latest')}"


def pod(name: str, version: str) -> Object:
    return {"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": version}}


def page(version: str, *names: str, next: str = "") -> ScriptedReply:  # noqa: A002
    items = [pod(name, "1") for name in names]
    metadata = {"resourceVersion": version, "continue": next}
    return ScriptedReply(200, {"metadata": metadata, "items": items})


def refusal(code: int, reason: str, message: str = "") -> ScriptedReply:
    return ScriptedReply.refusal(code, reason, message)


@pytest.fixture
def scene(clock: VirtualClock) -> Scene:
    return Scene(clock)


async def test_the_version_is_handed_from_list_to_watch_and_from_event_to_watch(
    scene: Scene,
) -> None:
    first, second = Stream(), Stream()
    scene.script.add(page("10", "a"), first, second)
    async with scene:
        first.event("ADDED", pod("b", "11"))
        first.event("MODIFIED", pod("a", "12"))
        first.event("DELETED", pod("b", "13"))
        first.end()
        await scene.clock.settle()
        assert scene.notes.lists == [["a"]]
        assert scene.notes.events == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
        assert scene.asked == ["list 0", "watch 10", "watch 13"]
    assert first.closed
    assert second.closed


async def test_a_bookmark_moves_the_version_and_nothing_else(scene: Scene) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream)
    async with scene:
        stream.bookmark("20")
        stream.end()
        await scene.clock.settle()
        assert scene.notes.events == []
        assert scene.notes.heard_of[-1] == "20"
        await scene.clock.advance(1)
        assert scene.asked[-1] == "watch 20"


async def test_the_server_is_asked_to_end_a_watch_after_five_to_ten_minutes(scene: Scene) -> None:
    scene.script.add(page("10"), Stream())
    async with scene:
        assert scene.script.calls[-1].query["timeoutSeconds"] == "450"


async def test_row_9_an_expired_version_never_reaches_the_sink(scene: Scene) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream, page("30", "a"), Stream())
    async with scene:
        stream.event("ADDED", pod("x", "11"))
        stream.event("ERROR", refusal_event(410, "Expired"))
        await scene.clock.settle()
        assert scene.notes.events == [("ADDED", "x")]
        assert scene.asked == ["list 0", "watch 10", "list 11", "watch 30"]


async def test_row_10_an_expired_watch_request_leads_to_a_list_and_not_to_the_same_request(
    scene: Scene,
) -> None:
    scene.script.add(page("10"), refusal(410, "Expired"), page("30"), Stream())
    async with scene:
        assert scene.asked == ["list 0", "watch 10", "list 10", "watch 30"]
        assert scene.metrics.relists.labels("pods", "expired")._value.get() == 1


async def test_a_list_at_an_expired_version_is_followed_by_one_of_the_latest(
    scene: Scene,
) -> None:
    scene.script.add(
        page("10"), refusal(410, "Expired"), refusal(410, "Expired"), page("30"), Stream()
    )
    async with scene:
        assert scene.asked == ["list 0", "watch 10", "list 10", "list latest", "watch 30"]


async def test_a_server_restored_to_a_lower_version_is_listed_afresh(scene: Scene) -> None:
    too_large = refusal(504, "Timeout", "Too large resource version: 900, current: 50")
    stream = Stream()
    scene.script.add(page("900", "a"), stream, too_large, page("50", "b"), Stream())
    async with scene:
        stream.fail(ConnectionFailed("reset"))
        await scene.clock.advance(1)
        assert scene.asked == ["list 0", "watch 900", "watch 900", "list latest", "watch 50"]
        assert scene.notes.lists == [["a"], ["b"]]


async def test_a_bookmark_from_the_past_means_that_the_server_lost_its_data(
    scene: Scene,
) -> None:
    too_large = refusal(504, "Timeout", "Too large resource version: 900, current: 50")
    stream = Stream()
    scene.script.add(page("900", "a"), stream, too_large, page("50", "b"), Stream())
    async with scene:
        stream.bookmark("900")
        stream.bookmark("50")
        await scene.clock.settle()
        assert scene.asked == ["list 0", "watch 900", "list 900", "list latest", "watch 50"]


async def test_too_many_requests_pause_the_watch_and_list_nothing(scene: Scene) -> None:
    scene.script.add(page("10"), refusal(429, "TooManyRequests"), Stream())
    async with scene:
        assert scene.asked == ["list 0", "watch 10"]
        await scene.clock.advance(0.8)
        assert scene.asked == ["list 0", "watch 10", "watch 10"]


async def test_a_refused_connection_pauses_the_watch_and_lists_nothing(scene: Scene) -> None:
    scene.script.add(page("10"), *(ConnectionFailed("refused") for _ in range(3)), Stream())
    async with scene:
        await scene.clock.advance(0.8 + 1.6 + 3.2)
        assert scene.asked == ["list 0"] + ["watch 10"] * 4


async def test_a_load_balancer_that_cuts_every_minute_does_not_blind_us(scene: Scene) -> None:
    streams = [Stream() for _ in range(20)]
    scene.script.add(page("10"), *streams)
    async with scene:
        for number, stream in enumerate(streams[:-1]):
            await scene.clock.advance(60)
            stream.fail(ConnectionFailed("reset"))
            await scene.clock.settle()
            assert len(scene.asked) == number + 3, "the watch was not reopened at once"


async def test_a_dead_server_is_asked_less_and_less_often(scene: Scene) -> None:
    scene.script.add(page("10"), *(ConnectionFailed("refused") for _ in range(100)))
    async with scene:
        await scene.clock.advance(300)
        assert 13 <= len(scene.script.calls) <= 16


async def test_a_watch_that_ends_at_once_and_empty_is_not_reopened_at_once(scene: Scene) -> None:
    streams = [Stream(), Stream()]
    scene.script.add(page("10"), *streams)
    streams[0].end()
    async with scene:
        assert scene.asked == ["list 0", "watch 10"]
        await scene.clock.advance(0.8)
        assert scene.asked == ["list 0", "watch 10", "watch 10"]


async def test_rows_2_4_5_8_silence_is_taken_for_death(scene: Scene) -> None:
    mute, next_ = Stream(), Stream()
    scene.script.add(page("10"), mute, next_)
    async with scene:
        await scene.clock.advance(IDLE_SECONDS - 1)
        assert not mute.closed
        await scene.clock.advance(2)
        assert mute.closed
        assert scene.asked == ["list 0", "watch 10", "watch 10"]


async def test_bookmarks_keep_a_quiet_watch_alive(scene: Scene) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream)
    async with scene:
        for minute in range(10):
            await scene.clock.advance(60)
            stream.bookmark(str(11 + minute))
        await scene.clock.settle()
        assert not stream.closed


async def test_an_opened_watch_is_a_sign_of_life_even_when_nothing_ever_comes(
    scene: Scene,
) -> None:
    scene.script.add(page("10"), *(Stream() for _ in range(10)))
    async with scene:
        before = len(scene.notes.heard_of)
        await scene.clock.advance(3 * IDLE_SECONDS + 1)
        assert len(scene.notes.heard_of) == before + 3


async def test_unknown_event_types_are_skipped(scene: Scene) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream)
    async with scene:
        stream.event("SURPRISE", pod("a", "11"))
        stream.event("ADDED", pod("b", "12"))
        await scene.clock.settle()
        assert scene.notes.events == [("ADDED", "b")]


@pytest.mark.parametrize(
    "chunk", [b"<html>\n", b'{"type":"ADDED","object":{"metadata":{"name":"\xff"}}}\n']
)
async def test_bytes_that_are_no_event_lead_to_a_list(scene: Scene, chunk: bytes) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream, page("11"), Stream())
    async with scene:
        stream.raw(chunk)
        await scene.clock.advance(1)
        assert scene.asked == ["list 0", "watch 10", "list 10", "watch 11"]


async def test_row_18_a_huge_object_passes_and_a_monstrous_one_is_a_typed_error(
    scene: Scene,
) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream, page("11"), Stream())
    async with scene:
        stream.event("ADDED", {**pod("big", "11"), "data": "x" * 3_000_000})
        await scene.clock.settle()
        assert scene.notes.events == [("ADDED", "big")]
        with capture_logs() as logs:
            for _ in range(17):
                stream.raw(b"x" * 1024 * 1024)
            await scene.clock.advance(1)
        assert any("longer than" in log.get("error", "") for log in logs)
        assert scene.asked[-2:] == ["list 11", "watch 11"]


async def test_a_refused_watch_names_the_right_that_is_missing(clock: VirtualClock) -> None:
    scene = Scene(clock, namespace="team")
    scene.script.add(page("10"), refusal(403, "Forbidden", "no"))
    with capture_logs() as logs:
        async with scene:
            pass
    (log,) = [log for log in logs if log["log_level"] == "warning"]
    assert log["event"] == "watch failed"
    assert log["hint"] == (
        "to let us watch pods of namespace team, add to our Role of namespace team the rule "
        '- {apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"]}'
    )
    assert "403 Forbidden: no" in scene.reflector.trouble


async def test_a_list_may_come_in_pages(scene: Scene) -> None:
    scene.script.add(page("10", "a", next="c"), page("10", "b"), Stream())
    async with scene:
        assert scene.notes.lists == [["a", "b"]]


async def test_a_forbidden_list_says_which_right_is_missing(scene: Scene) -> None:
    scene.script.add(refusal(403, "Forbidden"))
    with capture_logs() as logs:
        async with scene:
            pass
    assert logs[0]["hint"] == (
        "to let us list pods, add to our ClusterRole the rule "
        '- {apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"]}'
    )
    assert logs[0]["log_level"] == "warning"


async def test_the_same_trouble_is_told_once_and_so_is_its_end(scene: Scene) -> None:
    refused = [refusal(404, "NotFound") for _ in range(5)]
    scene.script.add(*refused, page("10"), Stream())
    with capture_logs() as logs:
        async with scene:
            await scene.clock.advance(120)
    told = [(log["event"], log["log_level"]) for log in logs if log["log_level"] != "debug"]
    assert told == [("list failed", "warning"), ("recovered", "info")]


async def test_a_server_that_never_answers_a_list_is_complained_of(scene: Scene) -> None:
    with capture_logs() as logs:
        async with scene:
            await scene.clock.advance(31)
    assert [log["log_level"] for log in logs] == ["warning"]


async def test_row_1_a_defect_leaves_the_reflector_instead_of_silencing_it(scene: Scene) -> None:
    def broken(*_: object) -> str:
        raise KeyError("defect")

    scene.notes.event = broken  # type: ignore[method-assign]  # a sink with a defect
    stream = Stream()
    scene.script.add(page("10"), stream)
    async with scene:
        stream.event("ADDED", pod("a", "11"))
        await scene.clock.settle()
        with pytest.raises(KeyError, match="defect"):
            await scene.task


async def test_no_timer_outlives_the_reflector(scene: Scene) -> None:
    scene.script.add(page("10"), Stream())
    async with scene:
        assert scene.clock.pending == 1
    assert scene.clock.pending == 0


# Other ways to fill a cache


async def test_a_whole_list_is_asked_of_the_watch_cache_and_without_a_limit(scene: Scene) -> None:
    scene.script.add(page("10"), Stream())
    async with scene:
        assert "limit" not in scene.script.calls[0].query


async def test_a_server_that_answers_in_pages_all_the_same_is_read_to_the_end(
    scene: Scene,
) -> None:
    scene.script.add(page("10", "a", next="c"), page("10", "b"), Stream())
    async with scene:
        assert scene.notes.lists == [["a", "b"]]
        assert scene.script.calls[1].query["continue"] == "c"


async def test_pages_are_asked_of_the_latest_version_five_hundred_at_a_time(
    clock: VirtualClock,
) -> None:
    scene = Scene(clock, fill="pages")
    scene.script.add(page("10", "a", next="c"), page("10", "b"), Stream())
    async with scene:
        assert scene.asked == ["list latest", "list latest", "watch 10"]
        assert scene.script.calls[0].query["limit"] == "500"
        assert scene.notes.lists == [["a", "b"]]


async def test_a_list_that_falls_silent_half_way_is_given_up(scene: Scene) -> None:
    stalled = Stream()
    scene.script.add(stalled, page("11", "a"), Stream())
    stalled.raw(b'{"kind":"PodList","metadata":{"resourceVersion":"10"},"items":[')
    with capture_logs():
        async with scene:
            await scene.clock.advance(31)
            assert stalled.closed
            assert scene.notes.lists == [["a"]]


ENDS = {"metadata": {"resourceVersion": "20", "annotations": {"k8s.io/initial-events-end": "true"}}}


@pytest.fixture
def streaming(clock: VirtualClock) -> Scene:
    return Scene(clock, fill="stream")


async def test_a_streamed_list_goes_on_as_the_watch(streaming: Scene) -> None:
    stream = Stream()
    streaming.script.add(stream)
    async with streaming:
        stream.event("ADDED", pod("a", "3"))
        stream.event("ADDED", pod("b", "2"))
        await streaming.clock.settle()
        assert streaming.notes.lists == []
        stream.raw(
            msgspec.json.encode({"type": "BOOKMARK", "object": ENDS})
            + b"\n"
            + msgspec.json.encode({"type": "ADDED", "object": pod("c", "21")})
            + b"\n"
        )
        await streaming.clock.settle()
        assert streaming.notes.lists == [["a", "b"]]
        assert streaming.notes.events == [("ADDED", "c")]
        assert streaming.asked == ["stream latest"]
        assert streaming.script.calls[0].query["resourceVersionMatch"] == "NotOlderThan"
        stream.end()
        await streaming.clock.settle()
        assert streaming.asked == ["stream latest", "watch 21"]
    assert stream.closed


async def test_a_streamed_list_may_take_objects_back(streaming: Scene) -> None:
    stream = Stream()
    streaming.script.add(stream)
    async with streaming:
        stream.event("ADDED", pod("a", "3"))
        stream.event("ADDED", pod("b", "4"))
        stream.event("DELETED", pod("a", "5"))
        stream.bookmark("5")
        stream.event("BOOKMARK", ENDS)
        await streaming.clock.settle()
        assert streaming.notes.lists == [["b"]]
        assert streaming.notes.heard_of[-1] == "20"


@pytest.mark.parametrize("code", [400, 403, 405, 422])
async def test_a_server_without_streamed_lists_is_listed_at_once(
    streaming: Scene, code: int
) -> None:
    streaming.script.add(
        refusal(code, "No"), page("10", "a"), Stream(), refusal(410, "Expired"), page("12")
    )
    async with streaming:
        assert streaming.asked == ["stream latest", "list 0", "watch 10"]
        assert streaming.notes.lists == [["a"]]


async def test_a_server_that_ignores_the_parameter_is_listed_after_half_a_minute(
    streaming: Scene,
) -> None:
    stream = Stream()
    streaming.script.add(stream, page("10", "a"), Stream())
    async with streaming:
        stream.event("ADDED", pod("a", "3"))
        for version in range(4, 40):
            await streaming.clock.advance(1)
            stream.event("MODIFIED", pod("a", str(version)))
        await streaming.clock.settle()
        assert streaming.asked == ["stream latest", "list 0", "watch 10"]
        assert stream.closed


async def test_a_long_streamed_list_is_waited_for_as_long_as_objects_come(
    streaming: Scene,
) -> None:
    stream = Stream()
    streaming.script.add(stream)
    async with streaming:
        for number in range(10):
            await streaming.clock.advance(20)
            stream.event("ADDED", pod(f"p-{number}", "3"))
        stream.event("BOOKMARK", ENDS)
        await streaming.clock.settle()
        assert len(streaming.notes.lists[0]) == 10


async def test_a_streamed_list_that_ends_too_early_is_followed_by_an_ordinary_one(
    streaming: Scene,
) -> None:
    stream = Stream()
    streaming.script.add(stream, page("10", "a"), Stream())
    stream.end()
    async with streaming:
        assert streaming.asked == ["stream latest", "list 0", "watch 10"]


async def test_a_streamed_list_that_is_cut_is_streamed_anew(streaming: Scene) -> None:
    first, second = Stream(), Stream()
    streaming.script.add(first, second)
    with capture_logs():
        async with streaming:
            first.event("ADDED", pod("ghost", "3"))
            first.fail(ConnectionFailed("reset"))
            await streaming.clock.advance(1)
            second.event("ADDED", pod("a", "3"))
            second.event("BOOKMARK", ENDS)
            await streaming.clock.settle()
            assert streaming.asked == ["stream latest", "stream latest"]
            assert streaming.notes.lists == [["a"]]
    assert first.closed


async def test_after_an_expired_watch_the_list_is_streamed_from_there(streaming: Scene) -> None:
    first, second = Stream(), Stream()
    streaming.script.add(first, second)
    async with streaming:
        first.event("BOOKMARK", ENDS)
        first.event("ERROR", refusal_event(410, "Expired"))
        await streaming.clock.settle()
        assert streaming.asked == ["stream latest", "stream 20"]


async def test_a_reflector_that_is_cancelled_amid_a_streamed_list_leaves_nothing_open(
    streaming: Scene,
) -> None:
    stream = Stream()
    streaming.script.add(stream)
    async with streaming:
        stream.event("ADDED", pod("a", "3"))
        await streaming.clock.settle()
    assert stream.closed
    assert streaming.clock.pending == 0


async def test_a_server_that_expires_every_watch_is_not_listed_without_end(scene: Scene) -> None:
    scene.script.add(*(answer for _ in range(50) for answer in (page("10"), refusal(410, "Gone"))))
    with capture_logs():
        async with scene:
            assert scene.asked == ["list 0", "watch 10", "list 10", "watch 10"]
            await scene.clock.advance(60)
            assert scene.asked.count("list 10") < 10


async def test_a_bookmark_without_a_version_moves_nothing(scene: Scene) -> None:
    stream = Stream()
    scene.script.add(page("10"), stream, Stream())
    async with scene:
        stream.event("BOOKMARK", {"metadata": {}})
        await scene.clock.advance(2)
        stream.end()
        await scene.clock.advance(2)
        assert scene.asked == ["list 0", "watch 10", "watch 10"]
