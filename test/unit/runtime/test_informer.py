"""A cache that equals the server, and handlers that hear of every difference."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import msgspec
import pytest
from structlog.testing import capture_logs

from kaito.runtime import (
    Call,
    Change,
    Client,
    Fill,
    Informer,
    Key,
    Metrics,
    Object,
    Resource,
    Scope,
    View,
)
from kaito.runtime.fence import Write
from kaito.testing import FakeApi, Script, ScriptedReply, Stream, VirtualClock, refusal_event

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
A, B = Key("ns", "a"), Key("ns", "b")


class Seen:
    """A handler that writes down what it hears."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def __call__(self, change: Change) -> None:
        self.changes.append(change)

    @property
    def said(self) -> list[str]:
        return [f"{change.kind} {change.key.name}" for change in self.changes]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@asynccontextmanager
async def following(
    informer: Informer[Object], clock: VirtualClock
) -> AsyncIterator[Informer[Object]]:
    task = asyncio.create_task(informer.run())
    await clock.settle()
    yield informer
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def pods(
    client: Client, clock: VirtualClock, metrics: Metrics, seen: Seen
) -> Informer[Object]:
    informer = Informer(client, PODS, clock=clock, metrics=metrics)
    informer.on_change(seen)
    return informer


async def test_the_store_is_full_before_it_says_so(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns")
    assert not pods.synced
    async with following(pods, clock):
        await pods.wait_synced()
        assert pods.synced
        assert A in pods.store
        assert seen.said == ["added a"]
        assert seen.changes[0].initial


async def test_changes_reach_the_store_before_the_handlers(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    found: list[bool] = []
    pods.on_change(lambda change: found.append(change.key in pods.store))
    async with following(pods, clock):
        api.put(PODS, "a", "ns")
        await clock.settle()
        api.remove(PODS, "a", "ns")
        await clock.settle()
    assert found == [True, False]


async def test_a_change_carries_the_header_before_and_after(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns", spec={"x": 1})
    async with following(pods, clock):
        api.put(PODS, "a", "ns", spec={"x": 2})
        await clock.settle()
        change = seen.changes[-1]
        assert change.kind == "modified"
        assert change.old is not None
        assert (change.old.generation, change.header.generation) == (1, 2)
        assert change.object["spec"] == {"x": 2}
        assert not change.initial
        assert not change.replaced


async def test_a_deleted_object_is_handed_over_for_the_last_time(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns", spec={"x": 1})
    async with following(pods, clock):
        api.remove(PODS, "a", "ns")
        await clock.settle()
    assert seen.said == ["added a", "deleted a"]
    assert seen.changes[-1].object["spec"] == {"x": 1}


@pytest.mark.parametrize("by_event", [True, False])
async def test_row_10_a_delete_during_a_gap_is_noticed(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen, by_event: bool
) -> None:
    api.put(PODS, "a", "ns")
    api.put(PODS, "b", "ns")
    async with following(pods, clock):
        api.cut()
        api.remove(PODS, "a", "ns")
        api.put(PODS, "c", "ns")
        if not by_event:
            api.compact()
        await clock.advance(5)
        assert set(pods.store.keys()) == {B, Key("ns", "c")}
        assert sorted(seen.said) == ["added a", "added b", "added c", "deleted a"]
        lists = [call for call in api.calls if "watch" not in call.query]
        assert len(lists) == (1 if by_event else 2)


async def test_a_new_list_tells_of_deletions_first_and_of_unchanged_objects_nothing(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    for name in "abc":
        api.put(PODS, name, "ns")
    async with following(pods, clock):
        api.cut()
        api.put(PODS, "d", "ns")
        api.put(PODS, "a", "ns", spec={"x": 2})
        api.remove(PODS, "c", "ns")
        api.compact()
        seen.changes.clear()
        await clock.advance(5)
        assert seen.said == ["deleted c", "modified a", "added d"]


async def test_an_object_that_was_replaced_under_its_name_is_a_modification_that_says_so(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        api.cut()
        api.remove(PODS, "a", "ns")
        api.put(PODS, "a", "ns")
        api.compact()
        await clock.advance(5)
        assert seen.said == ["added a", "modified a"]
        assert seen.changes[-1].replaced


async def test_a_list_that_began_anew_leaves_no_ghost_of_its_first_pages(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    def item(name: str) -> Object:
        return {"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "9"}}

    pages = [
        ScriptedReply(
            200, {"metadata": {"resourceVersion": "10", "continue": "c"}, "items": [item("ghost")]}
        ),
        ScriptedReply.refusal(410, "Expired"),
        ScriptedReply(200, {"metadata": {"resourceVersion": "20"}, "items": [item("a")]}),
    ]
    api.fault = lambda call: pages.pop(0) if pages else None
    async with following(pods, clock):
        assert pods.store.keys() == (A,)


async def test_row_39_a_list_that_breaks_off_leaves_the_cache_as_it_was(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        broken = {"metadata": {"resourceVersion": "200", "continue": "c"}, "items": []}
        answers = [ScriptedReply(200, broken)]

        def breaks(call: Call) -> ScriptedReply | None:
            if "watch" in call.query:
                return None
            return answers.pop(0) if answers else ScriptedReply.refusal(500, "InternalError")

        api.fault = breaks
        api.put(PODS, "b", "ns")
        api.compact()
        api.cut()
        with capture_logs():
            await clock.advance(5)
            assert A in pods.store
            assert "deleted a" not in seen.said
            api.fault = None
            await clock.advance(60)
        assert set(pods.store.keys()) == {A, B}


async def test_row_39_a_new_list_keeps_no_second_copy_of_what_is_there(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    api.put(PODS, "a", "ns")
    api.put(PODS, "b", "ns")
    async with following(pods, clock):
        before = {key: pods.store.body(key) for key in pods.store}
        api.cut()
        api.put(PODS, "b", "ns", spec={"x": 2})
        api.compact()
        await clock.advance(5)
        assert pods.store.body(A) is before[A]
        assert pods.store.body(B) is not before[B]


async def test_rows_19_20_21_no_model_is_built_for_what_nobody_reads(
    api: FakeApi, client: Client, clock: VirtualClock, seen: Seen
) -> None:
    built: list[object] = []

    class Model(msgspec.Struct):
        metadata: dict[str, Any]

        def __post_init__(self) -> None:
            built.append(self)

    informer = Informer(client, PODS.read_as(Model), clock=clock)
    informer.on_change(seen)
    api.put(PODS, "a", "ns")
    async with following(informer, clock):  # type: ignore[arg-type]  # of another type
        api.put(PODS, "a", "ns", spec={"x": 2})
        await clock.settle()
        assert seen.said == ["added a", "modified a"]
        assert built == []
        assert informer.store.get(A) is built[0]


async def test_a_late_handler_is_told_of_everything_as_if_it_were_the_first_list(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    late = Seen()
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        pods.on_change(late)
        assert late.said == ["added a"]
        assert late.changes[0].initial
        api.put(PODS, "b", "ns")
        await clock.settle()
        assert late.said == ["added a", "added b"]


async def test_a_handler_that_fails_on_one_object_hears_of_the_others(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    heard: list[str] = []

    def picky(change: Change) -> None:
        heard.append(change.key.name)
        if change.key.name == "a":
            raise ValueError("not this one")

    api.put(PODS, "a", "ns")
    with capture_logs() as logs:
        async with following(pods, clock):
            pods.on_change(picky)
            api.put(PODS, "a", "ns", spec={"x": 2})
            api.put(PODS, "b", "ns")
            await clock.settle()
    assert heard == ["a", "a", "b"]
    assert seen.said == ["added a", "modified a", "added b"]
    assert [log["key"] for log in logs] == ["ns/a", "ns/a"]


async def test_only_the_namespaces_and_labels_asked_for_are_cached(
    api: FakeApi, client: Client, clock: VirtualClock
) -> None:
    informer = Informer(
        client, PODS, clock=clock, scope=Scope(namespaces=("one", "two"), labels="app=x")
    )
    for namespace in ("one", "two", "three"):
        api.put(PODS, "in", namespace, metadata={"labels": {"app": "x"}})
        api.put(PODS, "out", namespace)
    async with following(informer, clock):
        assert set(informer.store.keys()) == {Key("one", "in"), Key("two", "in")}
        api.cut()
        api.remove(PODS, "in", "one")
        api.compact()
        await clock.advance(5)
        assert set(informer.store.keys()) == {Key("two", "in")}


async def test_what_nobody_reads_can_be_left_out_of_the_cache(
    api: FakeApi, client: Client, clock: VirtualClock
) -> None:
    informer = Informer(
        client, PODS, clock=clock, transform=lambda body: body.replace(b'"huge"', b'""')
    )
    api.put(PODS, "a", "ns", data="huge")
    async with following(informer, clock):
        assert informer.store.object(A)["data"] == ""  # type: ignore[index]  # it is there


async def test_indexes_follow_the_watch(api: FakeApi, client: Client, clock: VirtualClock) -> None:
    def node(view: View) -> list[str]:
        return [view.object["spec"]["node"]]

    informer = Informer(client, PODS, clock=clock, indexes={"node": node})
    api.put(PODS, "a", "ns", spec={"node": "n1"})
    async with following(informer, clock):
        api.put(PODS, "a", "ns", spec={"node": "n2"})
        await clock.settle()
        assert informer.store.by("node", "n1") == ()
        assert informer.store.by("node", "n2") == (A,)


async def test_a_silent_watch_grows_old_and_says_so(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, metrics: Metrics
) -> None:
    async with following(pods, clock):
        await clock.advance(50)
        assert pods.silence() == 50
        age = metrics.registry.get_sample_value(
            "kaito_runtime_watch_idle_seconds", {"resource": "pods", "scope": ""}
        )
        assert age == 50
        api.bookmark()
        await clock.settle()
        assert pods.silence() == 0


async def test_the_number_of_cached_objects_is_a_metric(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, metrics: Metrics
) -> None:
    def count() -> float | None:
        labels = {"resource": "pods", "scope": ""}
        return metrics.registry.get_sample_value("kaito_runtime_store_objects", labels)

    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        assert count() == 1
        api.remove(PODS, "a", "ns")
        await clock.settle()
        assert count() == 0


async def test_two_scopes_of_a_kind_are_counted_apart(
    api: FakeApi, client: Client, clock: VirtualClock, metrics: Metrics
) -> None:
    every = Informer(client, PODS, clock=clock, metrics=metrics)
    some = Informer(client, PODS, clock=clock, metrics=metrics, scope=Scope(labels="app=x"))
    api.put(PODS, "a", "ns")
    async with following(every, clock), following(some, clock):
        counts = [
            metrics.registry.get_sample_value(
                "kaito_runtime_store_objects", {"resource": "pods", "scope": scope}
            )
            for scope in ("", "labels:app=x")
        ]
        assert counts == [1, 0]


async def test_row_1_when_one_namespace_fails_for_good_the_informer_fails(
    client: Client, clock: VirtualClock
) -> None:
    def broken(_: View) -> list[str]:
        raise KeyError("an index with a defect")

    api = FakeApi()
    api.put(PODS, "a", "two")
    informer = Informer(
        Client(api, clock=clock),
        PODS,
        clock=clock,
        scope=Scope(namespaces=("one", "two")),
        indexes={"broken": broken},
    )
    with pytest.raises(ExceptionGroup):
        await informer.run()


# Objects that cannot be read


BAD = {"metadata": {"name": "bad", "namespace": "ns", "resourceVersion": "150", "labels": {"x": 1}}}


@asynccontextmanager
async def scripted(
    clock: VirtualClock, *answers: ScriptedReply | Stream, **settings: Any
) -> AsyncIterator[Informer[Object]]:
    informer = Informer(Client(Script(*answers), clock=clock), PODS, clock=clock, **settings)
    async with following(informer, clock):
        yield informer


def good(name: str, version: str) -> Object:
    return {"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": version}}


def listing(version: str, *items: Object) -> ScriptedReply:
    return ScriptedReply(200, {"metadata": {"resourceVersion": version}, "items": list(items)})


async def test_one_object_that_cannot_be_read_is_skipped_and_named_and_the_others_are_cached(
    clock: VirtualClock,
) -> None:
    with capture_logs() as logs:
        async with scripted(clock, listing("200", good("a", "1"), BAD, good("b", "2"))) as pods:
            assert set(pods.store.keys()) == {A, B}
            assert pods.synced
    (log,) = [log for log in logs if log["log_level"] == "warning"]
    assert (log["event"], log["key"]) == ("object skipped", "ns/bad")


@pytest.mark.parametrize(
    "bad",
    [
        BAD,
        {"kind": "Table", "metadata": {"name": "bad", "resourceVersion": "150"}, "rows": []},
        {"kind": "Status", "code": 500},
        "no object at all",
        None,
    ],
)
async def test_an_event_that_cannot_be_read_is_skipped_and_the_watch_goes_on(
    clock: VirtualClock, bad: Any
) -> None:
    stream = Stream()
    with capture_logs() as logs:
        async with scripted(clock, listing("100"), stream) as pods:
            stream.event("ADDED", bad)
            stream.event("MODIFIED", bad)
            stream.event("ADDED", good("a", "151"))
            await clock.settle()
            assert pods.store.keys() == (A,)
            assert not stream.closed
    assert len([log for log in logs if log["event"] == "object skipped"]) == 1


async def test_the_last_readable_state_stays_until_the_object_is_deleted(
    clock: VirtualClock,
) -> None:
    stream = Stream()
    bad = Key("ns", "bad")
    readable = good("bad", "1")
    with capture_logs():
        async with scripted(
            clock, listing("100", readable), stream, listing("160", BAD), Stream()
        ) as pods:
            stream.event("MODIFIED", BAD)
            await clock.settle()
            assert pods.store.object(bad) is not None
            stream.event("ERROR", refusal_event(410, "Expired"))
            await clock.settle()
            assert pods.store.object(bad) is not None
            assert pods.versions == ("160",)


async def test_an_object_that_cannot_be_read_can_still_be_deleted(clock: VirtualClock) -> None:
    stream = Stream()
    with capture_logs():
        async with scripted(clock, listing("100", good("bad", "1")), stream) as pods:
            stream.event("DELETED", BAD)
            await clock.settle()
            assert len(pods.store) == 0


async def test_a_transform_that_fails_on_one_object_spares_the_others(
    clock: VirtualClock, metrics: Metrics
) -> None:
    def picky(body: bytes) -> bytes:
        if b'"a"' in body:
            raise KeyError("spec")
        return body

    def unreadable() -> float | None:
        return metrics.registry.get_sample_value(
            "kaito_runtime_unreadable_objects", {"resource": "pods", "scope": ""}
        )

    stream = Stream()
    with capture_logs() as logs:
        async with scripted(
            clock,
            listing("100", good("a", "1"), good("b", "2")),
            stream,
            transform=picky,
            metrics=metrics,
        ) as pods:
            assert pods.store.keys() == (B,)
            assert unreadable() == 1
            stream.event("DELETED", good("a", "101"))
            await clock.settle()
            assert unreadable() == 0
    assert "KeyError" in logs[0]["error"]


@pytest.mark.parametrize(
    "garbled",
    [
        {"kind": "Status", "status": "Success"},
        {"kind": "Table", "metadata": {"resourceVersion": "9"}, "rows": []},
        b"<html>Welcome</html>",
        b"",
        {},
    ],
)
async def test_an_answer_that_is_no_list_empties_no_cache(
    clock: VirtualClock, garbled: Any
) -> None:
    stream = Stream()
    with capture_logs() as logs:
        async with scripted(
            clock,
            listing("100", good("a", "1")),
            stream,
            ScriptedReply(200, garbled),
            listing("300", good("a", "1"), good("b", "2")),
            Stream(),
        ) as pods:
            stream.event("ERROR", refusal_event(410, "Expired"))
            await clock.settle()
            assert pods.store.keys() == (A,)
            assert "no list" in pods.trouble
            await clock.advance(2)
            assert set(pods.store.keys()) == {A, B}
            assert pods.trouble == ""
    assert any("no list" in log.get("error", "") for log in logs)


async def test_an_object_of_ten_megabytes_is_an_object(clock: VirtualClock) -> None:
    stream = Stream()
    huge = {**good("b", "101"), "data": "x" * 10 * 1024 * 1024}
    async with scripted(
        clock, listing("100", {**good("a", "1"), "data": huge["data"]}), stream
    ) as pods:
        stream.event("ADDED", huge)
        await clock.settle()
        assert set(pods.store.keys()) == {A, B}


async def test_deletions_in_the_thousands_leave_room_for_others(clock: VirtualClock) -> None:
    stream = Stream()
    many = [good(f"p-{number}", "1") for number in range(3_000)]
    async with scripted(clock, listing("100", *many), stream, listing("200"), Stream()) as pods:
        turns: list[int] = []
        stream.event("ERROR", refusal_event(410, "Expired"))
        while len(pods.store):
            await asyncio.sleep(0)
            turns.append(len(pods.store))
        steps = [before - after for before, after in itertools.pairwise([3_000, *turns])]
        assert max(steps) <= 256


# Metadata alone


async def test_metadata_alone_is_asked_for_in_lists_and_watches_and_read_by_type(
    clock: VirtualClock,
) -> None:
    kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    page = {
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "100"},
        "items": [{**kind, **good("a", "1")}],
    }
    stream = Stream()
    script = Script(ScriptedReply(200, page), stream)
    informer = Informer(Client(script, clock=clock), PODS.metadata_only(), clock=clock)
    async with following(informer, clock):  # type: ignore[arg-type]  # of another type
        stream.event("ADDED", {**kind, **good("b", "101")})
        await clock.settle()
        found = informer.store.get(B)
        assert found is not None
        assert (found.metadata.name, found.metadata.resource_version) == ("b", "101")
        assert set(informer.store.keys()) == {A, B}
    assert [call.headers["Accept"] for call in script.calls] == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]


@pytest.mark.parametrize("fill", get_args(Fill))
async def test_whichever_way_a_cache_is_filled_it_keeps_to_its_selector(
    api: FakeApi, client: Client, clock: VirtualClock, fill: Fill
) -> None:
    scope = Scope(labels="app in (web, db),!old")
    informer = Informer(client, PODS.metadata_only(), clock=clock, scope=scope, fill=fill)
    api.put(PODS, "a", "ns", metadata={"labels": {"app": "web"}}, spec={"big": "x"})
    api.put(PODS, "c", "ns", metadata={"labels": {"app": "web", "old": ""}})
    async with following(informer, clock):  # type: ignore[arg-type]  # of another type
        api.put(PODS, "b", "ns", metadata={"labels": {"app": "db"}})
        api.put(PODS, "d", "ns", metadata={"labels": {"app": "cache"}})
        await clock.settle()
        assert set(informer.store.keys()) == {A, B}
        assert "spec" not in informer.store.object(A)  # type: ignore[operator]  # it is there


async def test_a_server_that_sends_whole_objects_instead_of_metadata_is_refused(
    clock: VirtualClock,
) -> None:
    whole = {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [good("a", "1")]}
    script = Script(ScriptedReply(200, whole))
    informer = Informer(Client(script, clock=clock), PODS.metadata_only(), clock=clock)
    with capture_logs():
        async with following(informer, clock):  # type: ignore[arg-type]  # of another type
            assert not informer.synced
            assert "it is a PodList" in informer.trouble


# Read your own writes


def written(obj: Object) -> Write:
    metadata = obj["metadata"]
    return Write(PODS, Key.of(obj), metadata["uid"], metadata["resourceVersion"])


async def test_a_write_has_been_seen_when_the_cache_is_at_or_past_it(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        api.mute = True
        write = written(api.put(PODS, "a", "ns", spec={"x": 2}))
        await clock.settle()
        assert not pods.has_seen(write)
        waiting = asyncio.create_task(pods.wait_seen(write))
        await clock.settle()
        assert not waiting.done()
        api.unmute()
        await waiting
        assert pods.has_seen(write)
        assert not pods._awaited


async def test_a_deletion_has_been_seen_when_the_uid_is_gone(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    uid = api.put(PODS, "a", "ns")["metadata"]["uid"]
    gone = Write(PODS, A, uid, "")
    async with following(pods, clock):
        assert not pods.has_seen(gone)
        api.remove(PODS, "a", "ns")
        api.put(PODS, "a", "ns")
        await clock.settle()
        assert pods.has_seen(gone)


async def test_a_write_to_an_object_that_vanished_is_seen_once_the_watch_is_past_it(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock
) -> None:
    async with following(pods, clock):
        api.mute = True
        write = written(api.put(PODS, "a", "ns"))
        api.remove(PODS, "a", "ns")
        assert not pods.has_seen(write)
        api.bookmark()
        await clock.settle()
        assert pods.has_seen(write)


async def test_a_write_outside_the_informers_namespaces_is_not_waited_for(
    client: Client, clock: VirtualClock
) -> None:
    informer = Informer(client, PODS, clock=clock, scope=Scope(namespaces=("one",)))
    assert informer.has_seen(Write(PODS, Key("two", "a"), "u", "5"))
    assert not informer.has_seen(Write(PODS, Key("one", "a"), "u", "5"))


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        (Scope(labels="app in (web, db)"), True),
        (Scope(labels="app notin (web, db)"), False),
        (Scope(labels="!app"), False),
        (Scope(fields="metadata.name=b"), True),
        (Scope(fields="metadata.name!=b"), False),
        (Scope(fields="status.phase=Running"), False),
    ],
)
def test_a_write_that_the_selectors_leave_out_is_not_waited_for(
    client: Client, clock: VirtualClock, scope: Scope, seen: bool
) -> None:
    informer = Informer(client, PODS, clock=clock, scope=scope)
    assert informer.has_seen(Write(PODS, A, "u", "5", {"tier": "x"})) is seen


async def test_a_write_that_takes_an_object_out_of_the_selection_is_seen_when_it_is_gone(
    api: FakeApi, client: Client, clock: VirtualClock
) -> None:
    informer = Informer(client, PODS, clock=clock, scope=Scope(labels="app=x"))
    api.put(PODS, "a", "ns", metadata={"labels": {"app": "x"}})
    async with following(informer, clock):
        header = informer.store.header(A)
        assert header is not None
        write = Write(PODS, A, header.uid, "999", {"app": "y"})
        assert not informer.has_seen(write)
        api.remove(PODS, "a", "ns")
        await clock.settle()
        assert informer.has_seen(write)


async def test_a_write_of_unknown_labels_is_waited_for(client: Client, clock: VirtualClock) -> None:
    informer = Informer(client, PODS, clock=clock, scope=Scope(labels="app=x"))
    assert not informer.has_seen(Write(PODS, A, "u", "5"))


async def test_a_refresh_reads_one_object_past_a_watch_that_lags(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        api.mute = True
        write = written(api.put(PODS, "a", "ns", spec={"x": 2}))
        await pods.refresh(A)
        assert pods.has_seen(write)
        assert seen.said == ["added a", "modified a"]
        api.unmute()
        await clock.settle()
        assert seen.said == ["added a", "modified a"], "an event told what was known already"


async def test_a_list_older_than_a_live_read_does_not_undo_it(clock: VirtualClock) -> None:
    late = ScriptedReply(200, {"metadata": {"resourceVersion": "110"}, "items": [good("b", "5")]})
    stream = Stream()
    read = listing("120", good("a", "115"))
    gone = listing("120")
    async with scripted(clock, listing("100"), stream, read, gone, late, last := Stream()) as pods:
        await pods.refresh(A)
        await pods.refresh(B)
        stream.event("ERROR", refusal_event(410, "Expired"))
        await clock.settle()
        assert pods.versions == ("110",)
        assert pods.store.keys() == (A,)
        last.bookmark("130")
        await clock.settle()
        assert not pods._cache.live


async def test_a_server_restored_from_a_backup_is_believed_over_an_earlier_live_read(
    clock: VirtualClock,
) -> None:
    stream = Stream()
    async with scripted(
        clock, listing("100"), stream, listing("900"), listing("50", good("a", "40")), Stream()
    ) as pods:
        await pods.refresh(A)
        stream.event("ERROR", refusal_event(410, "Expired"))
        await clock.settle()
        assert pods.store.keys() == (A,)


async def test_a_refresh_keeps_to_the_selectors_of_the_informer(
    api: FakeApi, client: Client, clock: VirtualClock
) -> None:
    informer = Informer(client, PODS, clock=clock, scope=Scope(labels="app=x"))
    async with following(informer, clock):
        write = written(api.put(PODS, "a", "ns"))
        assert not informer.has_seen(write)
        await informer.refresh(A)
        assert A not in informer.store, "the watch would never tell of its end"
        assert informer.has_seen(write)


async def test_a_lagging_watch_does_not_bring_back_what_a_refresh_found_gone(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        api.mute = True
        api.put(PODS, "a", "ns", spec={"x": 2})
        api.remove(PODS, "a", "ns")
        await pods.refresh(A)
        assert A not in pods.store
        api.unmute()
        await clock.settle()
        assert seen.said == ["added a", "deleted a"]
        api.put(PODS, "a", "ns")
        await clock.settle()
        assert seen.said == ["added a", "deleted a", "added a"]
        assert not pods._cache.live


async def test_a_lagging_watch_does_not_delete_the_successor_that_a_refresh_found(
    api: FakeApi, pods: Informer[Object], clock: VirtualClock, seen: Seen
) -> None:
    api.put(PODS, "a", "ns")
    async with following(pods, clock):
        api.mute = True
        api.remove(PODS, "a", "ns")
        successor = api.put(PODS, "a", "ns")
        await pods.refresh(A)
        api.unmute()
        await clock.settle()
        assert pods.store.header(A).uid == successor["metadata"]["uid"]  # type: ignore[union-attr]  # it is there
        assert seen.said == ["added a", "modified a"]


class Held(ScriptedReply):
    """An answer that was made at once and is long on its way."""

    def __init__(self, answer: ScriptedReply) -> None:
        self.__dict__.update(vars(answer))
        self.arrives = asyncio.Event()

    async def read(self) -> bytes:
        await self.arrives.wait()
        return await super().read()


@asynccontextmanager
async def reading_late(
    clock: VirtualClock, *before: Object, answer: ScriptedReply
) -> AsyncIterator[tuple[Informer[Object], Stream]]:
    """A live read of A whose answer comes when the block has ended."""
    held, stream = Held(answer), Stream()
    async with scripted(clock, listing("100", *before), stream, held) as pods:
        read = asyncio.create_task(pods.refresh(A))
        await clock.settle()
        yield pods, stream
        await clock.settle()
        held.arrives.set()
        await read


async def test_a_live_read_that_was_long_on_its_way_does_not_undo_a_creation(
    clock: VirtualClock,
) -> None:
    async with reading_late(clock, answer=listing("105")) as (pods, stream):
        stream.event("ADDED", good("a", "110"))
    assert A in pods.store


async def test_a_live_read_that_was_long_on_its_way_does_not_bring_back_what_is_gone(
    clock: VirtualClock,
) -> None:
    answer = listing("105", good("a", "103"))
    async with reading_late(clock, good("a", "90"), answer=answer) as (pods, stream):
        stream.event("DELETED", good("a", "110"))
    assert A not in pods.store


async def test_what_was_selected_anew_before_a_live_read_outlives_the_end_of_its_first_selection(
    clock: VirtualClock,
) -> None:
    stream, read = Stream(), listing("120", good("a", "115"))
    async with scripted(clock, listing("100", good("a", "90")), stream, read) as pods:
        await pods.refresh(A)
        stream.event("DELETED", good("a", "110"))
        await clock.settle()
        assert A in pods.store
        stream.event("ADDED", good("a", "115"))
        await clock.settle()
        header = pods.store.header(A)
        assert header is not None
        assert header.resource_version == "115"


async def test_what_cannot_be_read_is_not_counted_for_ever_when_it_is_gone_after_a_gap(
    clock: VirtualClock,
) -> None:
    bad = {"metadata": {"name": "a", "namespace": "ns", "resourceVersion": "1", "labels": 7}}
    stream = Stream()
    with capture_logs():
        async with scripted(clock, listing("100", bad), stream, listing("120"), Stream()) as pods:
            assert len(pods._cache.unreadable) == 1
            stream.event("ERROR", refusal_event(410, "Expired"))
            await clock.settle()
            assert not pods._cache.unreadable
