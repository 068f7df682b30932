"""What the client asks, what it makes of the answers, and what it asks again."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import structlog

from kaito.runtime import (
    ApiError,
    Call,
    CallTimedOut,
    Client,
    Conflict,
    ConnectionFailed,
    Expired,
    Key,
    Metrics,
    NotFound,
    Object,
    Resource,
    ServerError,
    TooManyRequests,
    UnreadableAnswer,
)
from kaito.runtime.fence import open_ledger
from kaito.testing import Script, ScriptedReply, Stream, VirtualClock

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
A = Key("ns", "a")
POD = {"metadata": {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "5"}}


def answer(obj: object = POD, code: int = 200) -> ScriptedReply:
    return ScriptedReply(code, obj)


def refusal(code: int, reason: str = "", after: str = "") -> ScriptedReply:
    headers = {"retry-after": after} if after else {}
    return ScriptedReply.refusal(code, reason, headers=headers)


def page(*names: str, version: str = "5", next: str = "") -> ScriptedReply:  # noqa: A002
    items = [{"metadata": {"name": name, "namespace": "ns"}} for name in names]
    return ScriptedReply(
        200, {"metadata": {"resourceVersion": version, "continue": next}, "items": items}
    )


class NamedMeta(msgspec.Struct):
    name: str


class Named(msgspec.Struct):
    metadata: NamedMeta


class Line:
    """A client at the end of a script."""

    def __init__(self, clock: VirtualClock, *answers: ScriptedReply | Stream | Exception) -> None:
        self.script = Script(*answers)
        self.metrics = Metrics()
        self.client = Client(
            self.script, field_manager="us", clock=clock, metrics=self.metrics, timeout=30.0
        )

    @property
    def last(self) -> Call:
        return self.script.calls[-1]

    def body(self) -> object:
        return msgspec.json.decode(self.last.body or b"null")


async def test_get_asks_for_one_object(clock: VirtualClock) -> None:
    line = Line(clock, answer())
    assert (await line.client.get(PODS, A))["kind"] == "Pod"
    assert str(line.last) == "GET /api/v1/namespaces/ns/pods/a"


async def test_list_follows_the_pages_and_sends_its_selectors_with_each(
    clock: VirtualClock,
) -> None:
    line = Line(clock, page("a", next="c1"), page("b"))
    listing = await line.client.list(PODS, namespace="ns", labels="x=y", fields="z=w")
    assert [pod["metadata"]["name"] for pod in listing.items] == ["a", "b"]
    assert listing.resource_version == "5"
    first, second = (dict(call.query) for call in line.script.calls)
    assert first == {"labelSelector": "x=y", "fieldSelector": "z=w", "limit": "500"}
    assert second == first | {"continue": "c1"}


async def test_a_version_is_not_sent_with_a_continue_token(clock: VirtualClock) -> None:
    line = Line(clock, page("a", next="c1"), page("b"))
    assert len([p async for p in line.client.pages(PODS, resource_version="0")]) == 2
    assert [call.query.get("resourceVersion") for call in line.script.calls] == ["0", None]


async def test_a_list_whose_token_expired_on_the_way_begins_anew_and_repeats_nothing(
    clock: VirtualClock,
) -> None:
    line = Line(
        clock, page("a", "gone", next="c1"), refusal(410, "Expired"), page("a", "b", version="9")
    )
    listing = await line.client.list(PODS)
    assert [pod["metadata"]["name"] for pod in listing.items] == ["a", "b"]
    assert listing.resource_version == "9"
    assert dict(line.last.query) == {}


async def test_a_version_that_expired_before_the_first_page_is_the_callers(
    clock: VirtualClock,
) -> None:
    line = Line(clock, refusal(410, "Expired"))
    with pytest.raises(Expired):
        await line.client.list(PODS)


async def test_create_posts_into_the_objects_namespace_as_our_field_manager(
    clock: VirtualClock,
) -> None:
    line = Line(clock, answer(code=201))
    await line.client.create(PODS, {"metadata": {"name": "a", "namespace": "ns"}})
    assert str(line.last) == "POST /api/v1/namespaces/ns/pods"
    assert line.last.query["fieldManager"] == "us"


async def test_update_and_update_status_put_the_whole_object(clock: VirtualClock) -> None:
    line = Line(clock, answer(), answer())
    await line.client.update(PODS, POD)
    assert str(line.last) == "PUT /api/v1/namespaces/ns/pods/a"
    await line.client.update_status(PODS, POD)
    assert str(line.last) == "PUT /api/v1/namespaces/ns/pods/a/status"


async def test_a_patch_is_a_merge_patch(clock: VirtualClock) -> None:
    line = Line(clock, answer())
    await line.client.patch(PODS, A, {"metadata": {"labels": {"x": None}}}, subresource="status")
    assert str(line.last) == "PATCH /api/v1/namespaces/ns/pods/a/status"
    assert line.last.headers["Content-Type"] == "application/merge-patch+json"
    assert line.body() == {"metadata": {"labels": {"x": None}}}


@pytest.mark.parametrize(("force", "text"), [(True, "true"), (False, "false")])
async def test_row_25_server_side_apply_is_one_call(
    clock: VirtualClock, force: bool, text: str
) -> None:
    line = Line(clock, answer())
    await line.client.apply(PODS, POD, force=force)
    assert str(line.last) == "PATCH /api/v1/namespaces/ns/pods/a"
    assert line.last.headers["Content-Type"] == "application/apply-patch+yaml"
    assert dict(line.last.query) == {"fieldManager": "us", "force": text}


async def test_apply_may_speak_as_another_manager(clock: VirtualClock) -> None:
    line = Line(clock, answer())
    await line.client.apply(PODS, POD, field_manager="other", subresource="status")
    assert line.last.query["fieldManager"] == "other"
    assert line.last.path.endswith("/a/status")


async def test_delete_sends_its_conditions_in_the_body(clock: VirtualClock) -> None:
    line = Line(clock, answer({"kind": "Status"}))
    await line.client.delete(
        PODS, A, uid="u", resource_version="5", propagation="Background", grace_seconds=0
    )
    assert str(line.last) == "DELETE /api/v1/namespaces/ns/pods/a"
    assert line.body() == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "u", "resourceVersion": "5"},
        "propagationPolicy": "Background",
        "gracePeriodSeconds": 0,
    }


async def test_deleting_what_is_not_there_says_so(clock: VirtualClock) -> None:
    line = Line(clock, refusal(404, "NotFound"))
    with pytest.raises(NotFound):
        await line.client.delete(PODS, A)


# Asking again


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_call_is_repeated_when_the_server_says_when(
    clock: VirtualClock, code: int, method: str
) -> None:
    line = Line(clock, refusal(code, after="7"), answer())
    call = asyncio.create_task(line.client.send(Call(method=method, path="/x")))
    await clock.advance(6.9)
    assert len(line.script.calls) == 1
    await clock.advance(0.2)
    await call
    assert len(line.script.calls) == 2
    retries = line.metrics.request_retries.labels(str(code), method, "script")
    assert retries._value.get() == 1


@pytest.mark.parametrize(("code", "kind"), [(429, TooManyRequests), (503, ServerError)])
async def test_without_retry_after_nothing_is_repeated(
    clock: VirtualClock, code: int, kind: type[ApiError]
) -> None:
    line = Line(clock, refusal(code))
    with pytest.raises(kind):
        await line.client.get(PODS, A)
    assert len(line.script.calls) == 1


async def test_a_conflict_is_never_repeated_whatever_the_server_says(clock: VirtualClock) -> None:
    line = Line(clock, refusal(409, "Conflict", after="1"))
    with pytest.raises(Conflict):
        await line.client.update(PODS, POD)


async def test_patience_ends_after_ten_repetitions(clock: VirtualClock) -> None:
    line = Line(clock, *(refusal(429, after="1") for _ in range(11)), answer())
    call = asyncio.create_task(line.client.get(PODS, A))
    await clock.advance(20)
    with pytest.raises(TooManyRequests):
        await call
    assert len(line.script.calls) == 11


async def test_a_pause_longer_than_the_call_may_take_is_left_to_the_caller(
    clock: VirtualClock,
) -> None:
    line = Line(clock, refusal(429, after="3600"))
    with pytest.raises(TooManyRequests) as caught:
        await line.client.get(PODS, A)
    assert caught.value.retry_after == 3600


async def test_a_broken_read_is_repeated_once_after_a_second(clock: VirtualClock) -> None:
    line = Line(clock, ConnectionFailed("reset"), answer())
    call = asyncio.create_task(line.client.get(PODS, A))
    await clock.advance(1)
    assert await call
    line.script.add(ConnectionFailed("reset"), ConnectionFailed("reset again"), answer())
    call = asyncio.create_task(line.client.get(PODS, A))
    await clock.advance(5)
    with pytest.raises(ConnectionFailed, match="reset again"):
        await call


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_broken_write_is_never_repeated(clock: VirtualClock, method: str) -> None:
    line = Line(clock, ConnectionFailed("reset"), answer())
    with pytest.raises(ConnectionFailed):
        await line.client.send(Call(method=method, path="/x"))
    assert len(line.script.calls) == 1


async def test_a_call_that_hangs_ends_with_its_name_and_its_limit(clock: VirtualClock) -> None:
    line = Line(clock)
    call = asyncio.create_task(line.client.get(PODS, A))
    await clock.advance(29.9)
    assert not call.done()
    await clock.advance(0.2)
    with pytest.raises(CallTimedOut, match=r"GET /api/v1/namespaces/ns/pods/a .* 30.0 s"):
        await call
    assert line.metrics.requests.labels("<error>", "GET", "script")._value.get() == 1


async def test_an_answer_whose_body_never_ends_is_a_call_that_hangs(clock: VirtualClock) -> None:
    stream = Stream()
    line = Line(clock, stream)
    call = asyncio.create_task(line.client.get(PODS, A))
    await clock.advance(31)
    with pytest.raises(CallTimedOut):
        await call
    assert stream.closed


async def test_no_timer_is_left_behind_by_a_call(clock: VirtualClock) -> None:
    line = Line(clock, answer(), refusal(404))
    await line.client.get(PODS, A)
    with pytest.raises(NotFound):
        await line.client.get(PODS, A)
    assert clock.pending == 0


async def test_every_answer_is_closed(clock: VirtualClock) -> None:
    replies = [answer(), refusal(404, "NotFound"), refusal(410, "Expired")]
    line = Line(clock, *replies)
    await line.client.get(PODS, A)
    with pytest.raises(NotFound):
        await line.client.get(PODS, A)
    with pytest.raises(Expired):
        await line.client.open_watch(PODS, resource_version="1", timeout_seconds=5)
    assert all(reply.closed for reply in replies)


async def test_a_watch_asks_for_bookmarks_from_where_the_list_ended(clock: VirtualClock) -> None:
    stream = Stream()
    line = Line(clock, stream)
    await line.client.open_watch(
        PODS, resource_version="12", timeout_seconds=300, namespace="ns", labels="x"
    )
    assert line.last.path == "/api/v1/namespaces/ns/pods"
    assert line.last.timeout is None
    assert dict(line.last.query) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "12",
        "timeoutSeconds": "300",
        "labelSelector": "x",
    }
    assert not stream.closed


async def test_a_watch_whose_head_never_comes_times_out(clock: VirtualClock) -> None:
    line = Line(clock)
    call = asyncio.create_task(
        line.client.open_watch(PODS, resource_version="1", timeout_seconds=300)
    )
    await clock.advance(31)
    with pytest.raises(CallTimedOut):
        await call


# What a reconcile has written


async def test_writes_are_noted_with_the_version_to_wait_for(clock: VirtualClock) -> None:
    line = Line(clock, answer(), answer(), answer(), answer({"kind": "Status", "details": {}}))
    ledger = open_ledger()
    await line.client.patch(PODS, A, {})
    await line.client.apply(PODS, POD)
    await line.client.delete(PODS, A)  # held by a finalizer
    await line.client.delete(PODS, A, uid="u")  # gone
    assert [(note.key, note.uid, note.resource_version) for note in ledger] == [
        (A, "u", "5"),
        (A, "u", "5"),
        (A, "u", "5"),
        (A, "u", ""),
    ]


async def test_refused_writes_and_reads_are_not_noted(clock: VirtualClock) -> None:
    line = Line(clock, answer(), refusal(409, "Conflict"))
    ledger = open_ledger()
    await line.client.get(PODS, A)
    with pytest.raises(Conflict):
        await line.client.update(PODS, POD)
    assert ledger == []


async def test_writes_of_the_tasks_that_a_reconcile_starts_are_noted_too(
    clock: VirtualClock,
) -> None:
    line = Line(clock, answer(), answer())
    ledger = open_ledger()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.client.patch(PODS, A, {}))
        tasks.create_task(line.client.patch(PODS, A, {}))
    assert len(ledger) == 2


async def test_row_31_a_read_starts_no_watch(clock: VirtualClock) -> None:
    line = Line(clock, answer(), page("a"))
    await line.client.get(PODS, A)
    await line.client.list(PODS)
    assert not any("watch" in call.query for call in line.script.calls)


async def test_row_23_closing_the_client_closes_its_one_transport(clock: VirtualClock) -> None:
    line = Line(clock)
    async with line.client:
        pass
    assert line.script.closed


# Other ways to write


async def test_a_dry_run_says_so_in_every_write_and_waits_for_none_of_them(
    clock: VirtualClock,
) -> None:
    gone = {"kind": "Status", "details": {"uid": "u"}}
    line = Line(clock, answer(), answer(), answer(), answer(), answer(gone))
    rehearsal = line.client.with_options(dry_run=True)
    ledger = open_ledger()
    await rehearsal.create(PODS, POD)
    await rehearsal.update(PODS, POD)
    await rehearsal.patch(PODS, A, {})
    await rehearsal.apply(PODS, POD)
    await rehearsal.delete(PODS, A)
    assert [call.query.get("dryRun") for call in line.script.calls[:4]] == ["All"] * 4
    assert line.body() == {"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]}
    assert ledger == []


async def test_what_a_client_was_told_holds_for_those_made_from_it(clock: VirtualClock) -> None:
    line = Line(clock, answer(), answer())
    rehearsal = line.client.with_options(dry_run=True, field_validation="Strict")
    await rehearsal.with_options(field_manager="other").create(PODS, POD)
    asked = {"fieldManager": "other", "dryRun": "All", "fieldValidation": "Strict"}
    assert line.last.query == asked
    await rehearsal.with_options(dry_run=False, field_validation="").create(PODS, POD)
    assert line.last.query == {"fieldManager": "us"}


async def test_unknown_fields_are_treated_as_the_client_was_told(clock: VirtualClock) -> None:
    line = Line(clock, answer(), answer())
    strict = line.client.with_options(field_validation="Strict", field_manager="other")
    await strict.create(PODS, POD)
    assert line.last.query == {"fieldManager": "other", "fieldValidation": "Strict"}
    await line.client.create(PODS, POD)
    assert line.last.query == {"fieldManager": "us"}


async def test_a_conflict_says_who_owns_which_field(clock: VirtualClock) -> None:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{who}" using v1', "field": f}
        for who, f in [("helm", ".data.a"), ("kubectl", ".data.b"), ("helm", ".data.c")]
    ]
    refused = ScriptedReply.refusal(409, "Conflict", details={"causes": causes})
    line = Line(clock, refused)
    with pytest.raises(Conflict) as caught:
        await line.client.apply(PODS, POD, force=False)
    assert caught.value.owners == {"helm": (".data.a", ".data.c"), "kubectl": (".data.b",)}


@pytest.mark.parametrize(
    "body", [b"<html>please log in</html>", b"\xff", b"[]", b'{"metadata": "no"}', b""]
)
async def test_an_answer_that_is_no_object_is_an_error_of_ours(
    clock: VirtualClock, body: bytes
) -> None:
    line = Line(clock, *(ScriptedReply(200, body) for _ in range(4)))
    calls = [
        line.client.get(PODS.read_as(Named), A),
        line.client.list(PODS),
        line.client.apply(PODS, POD),
        line.client.delete(PODS, A),
    ]
    for call in calls:
        with pytest.raises(UnreadableAnswer) as caught:
            await call
        assert caught.value.call is line.last


async def test_an_object_that_its_model_does_not_fit_names_the_model(clock: VirtualClock) -> None:
    line = Line(clock, answer({"metadata": {"name": 5}}))
    with pytest.raises(UnreadableAnswer, match=r"no Pod as Named has it: .*metadata\.name"):
        await line.client.get(PODS.read_as(Named), A)


async def test_each_warning_of_the_server_is_logged_once(clock: VirtualClock) -> None:
    warning = r'299 - "the \"old\" way", 299 - "is deprecated"'
    replies = [ScriptedReply(200, POD, {"warning": warning}) for _ in range(2)]
    line = Line(clock, *replies)
    with structlog.testing.capture_logs() as logs:
        await line.client.get(PODS, A)
        await line.client.get(PODS, A)
    assert [entry["warning"] for entry in logs] == ['the "old" way', "is deprecated"]
