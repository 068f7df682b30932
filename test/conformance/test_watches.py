"""Watches: where they begin, what they show, how they end."""

from __future__ import annotations

import pytest

from test.conformance.client import METADATA, TABLE, Api
from test.conformance.objects import Space, config_map, lease, pod

pytestmark = pytest.mark.apiserver

END = "k8s.io/initial-events-end"


async def test_a_watch_from_a_list_shows_every_later_change(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("before"))
    version = (await api.get(ns.leases())).version
    async with api.watch(ns.leases(), resourceVersion=version) as stream:
        await api.create(ns.leases(), lease("a"))
        await api.merge(ns.leases("a"), {"spec": {"holderIdentity": "x"}})
        await api.delete(ns.leases("a"))
        assert await stream.take(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_shows_whole_objects_with_their_kind(api: Api, ns: Space) -> None:
    version = (await api.get(ns.leases())).version
    async with api.watch(ns.leases(), resourceVersion=version) as stream:
        created = await api.create(ns.leases(), lease("a", {"holderIdentity": "x"}))
        event = await stream.next()
        assert event == {"type": "ADDED", "object": created.body}


async def test_a_deletion_shows_the_last_state_and_a_newer_version(api: Api, ns: Space) -> None:
    created = await api.create(ns.leases(), lease("a", {"holderIdentity": "x"}))
    async with api.watch(ns.leases(), resourceVersion=created.version) as stream:
        await api.delete(ns.leases("a"))
        event = await stream.next()
    assert event is not None
    assert event["object"]["spec"] == {"holderIdentity": "x"}
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(created.version)


@pytest.mark.parametrize("query", [{"resourceVersion": "0"}, {}])
async def test_a_watch_from_zero_or_nowhere_begins_with_what_exists(
    api: Api, ns: Space, query: dict[str, str]
) -> None:
    for name in ("b", "a"):
        await api.create(ns.leases(), lease(name))
    async with api.watch(ns.leases(), **query) as stream:
        assert await stream.take(2) == [("ADDED", "a"), ("ADDED", "b")]
        await api.delete(ns.leases("a"))
        assert await stream.take(1) == [("DELETED", "a")]


async def test_a_watch_replays_the_past_from_its_version(api: Api, ns: Space) -> None:
    first = await api.create(ns.leases(), lease("a"))
    await api.merge(ns.leases("a"), {"spec": {"holderIdentity": "x"}})
    await api.delete(ns.leases("a"))
    async with api.watch(ns.leases(), resourceVersion=first.version) as stream:
        assert await stream.take(2) == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_write_that_changes_nothing_makes_no_event(api: Api, ns: Space) -> None:
    created = await api.create(ns.leases(), lease("a", labels={"x": "1"}))
    async with api.watch(ns.leases(), resourceVersion=created.version) as stream:
        same = await api.merge(ns.leases("a"), {"metadata": {"labels": {"x": "1"}}})
        assert same.version == created.version
        await api.merge(ns.leases("a"), {"metadata": {"labels": {"x": "2"}}})
        event = await stream.next()
    assert event is not None
    assert event["object"]["metadata"]["labels"] == {"x": "2"}


async def test_an_object_that_leaves_a_label_selector_is_deleted_from_it(
    api: Api, ns: Space
) -> None:
    on, off = {"metadata": {"labels": {"on": "yes"}}}, {"metadata": {"labels": {"on": "no"}}}
    version = (await api.create(ns.leases(), lease("a", labels={"on": "yes"}))).version
    async with api.watch(ns.leases(), resourceVersion=version, labelSelector="on=yes") as stream:
        left = await api.merge(ns.leases("a"), off)
        event = await stream.next()
        await api.merge(ns.leases("a"), on)
        assert await stream.take(1) == [("ADDED", "a")]
    assert event is not None
    assert event["type"] == "DELETED"
    assert event["object"]["metadata"]["labels"] == {"on": "yes"}
    assert event["object"]["metadata"]["resourceVersion"] == left.version


async def test_a_pod_that_leaves_a_phase_is_deleted_from_its_selector(api: Api, ns: Space) -> None:
    version = (await api.create(ns.pods(), pod("p"))).ok().version
    selector = {"fieldSelector": "status.phase=Pending"}
    async with api.watch(ns.pods(), resourceVersion=version, **selector) as stream:
        await api.merge(ns.pods("p", "status"), {"status": {"phase": "Running"}})
        assert await stream.take(1) == [("DELETED", "p")]


async def test_a_watch_of_one_object_sees_no_other(api: Api, ns: Space) -> None:
    version = (await api.get(ns.leases())).version
    query = {"resourceVersion": version, "fieldSelector": "metadata.name=b"}
    async with api.watch(ns.leases(), **query) as stream:
        await api.create(ns.leases(), lease("a"))
        await api.create(ns.leases(), lease("b"))
        assert await stream.take(1) == [("ADDED", "b")]


async def test_a_watch_of_all_namespaces_sees_each(api: Api, ns: Space, word: str) -> None:
    path = "/apis/coordination.k8s.io/v1/leases"
    version = (await api.get(path)).version
    async with api.watch(path, resourceVersion=version, labelSelector=f"w={word}") as stream:
        await api.create(ns.leases(), lease("a", labels={"w": word}))
        assert await stream.take(1) == [("ADDED", "a")]


async def test_initial_events_end_with_a_marked_bookmark(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with api.watch(ns.leases(), **query) as stream:
        assert await stream.take(1) == [("ADDED", "a")]
        bookmark = await stream.next()
        assert bookmark is not None
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["kind"] == "Lease"
        assert bookmark["object"]["metadata"]["annotations"] == {END: "true"}
        assert int(bookmark["object"]["metadata"]["resourceVersion"]) > 0
        await api.create(ns.leases(), lease("b"))
        assert await stream.take(1) == [("ADDED", "b")]


@pytest.mark.parametrize("version", ["", "0"])
async def test_a_watch_with_bookmarks_from_nowhere_marks_the_end_of_what_exists(
    api: Api, ns: Space, version: str
) -> None:
    await api.create(ns.leases(), lease("a"))
    query = {"allowWatchBookmarks": "", "resourceVersion": version}
    async with api.watch(ns.leases(), **query) as stream:
        assert await stream.take(2) == [("ADDED", "a"), ("BOOKMARK", "")]


async def test_initial_events_from_the_future_time_out_within_the_stream(
    api: Api, ns: Space
) -> None:
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": "999999999999",
    }
    async with api.watch(ns.leases(), **query) as stream:
        assert stream.status == 200
        event = await stream.next()
        assert event is not None
        assert (event["type"], event["object"]["code"]) == ("ERROR", 504)
        assert await stream.next() is None


async def test_a_watch_from_zero_can_decline_what_exists(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    query = {
        "sendInitialEvents": "false",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": "0",
    }
    async with api.watch(ns.leases(), **query) as stream:
        await api.create(ns.leases(), lease("b"))
        assert await stream.take(1) == [("ADDED", "b")]


async def test_a_watch_speaks_no_yaml(api: Api, ns: Space) -> None:
    answer = await api.get(ns.leases(), watch=1, accept="application/yaml")
    assert answer.status == 406
    assert "application/json;stream=watch," in answer.text


async def test_a_watch_path_takes_no_writes(api: Api, ns: Space) -> None:
    path = ns.leases().replace("/v1/", "/v1/watch/")
    assert (await api.create(path, lease("a"))).status == 405
    assert (await api.delete(path)).status == 405


async def test_a_continue_token_is_no_watch(api: Api, ns: Space) -> None:
    answer = await api.get(ns.leases(), watch=1, continue_="x")
    assert answer.message == (
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
        "resourceVersionMatch is forbidden when continue is provided"
    )


async def test_initial_events_can_be_declined(api: Api, ns: Space) -> None:
    created = await api.create(ns.leases(), lease("a"))
    query = {
        "sendInitialEvents": "false",
        "resourceVersionMatch": "NotOlderThan",
        "resourceVersion": created.version,
    }
    async with api.watch(ns.leases(), **query) as stream:
        await api.create(ns.leases(), lease("b"))
        assert await stream.take(1) == [("ADDED", "b")]


@pytest.mark.parametrize(
    "query",
    [
        {"sendInitialEvents": "true"},
        {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "Exact",
            "resourceVersion": "1",
        },
        {"resourceVersionMatch": "NotOlderThan", "resourceVersion": "1"},
    ],
)
async def test_parameters_that_contradict_each_other_are_refused(
    api: Api, ns: Space, query: dict[str, str]
) -> None:
    answer = await api.get(ns.leases(), watch=1, **query)
    assert (answer.status, answer.reason) == (422, "Invalid")
    assert "resourceVersionMatch" in answer.fields


async def test_a_version_that_is_too_old_is_one_error_event(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    await api.delete(ns.leases("a"))
    async with api.watch(ns.leases(), resourceVersion=1, timeoutSeconds=2) as stream:
        assert stream.status == 200
        events = await stream.rest()
    if events and events[0]["type"] != "ERROR":
        pytest.skip("this server still remembers its first version")
    assert [e["type"] for e in events] == ["ERROR"]
    assert (events[0]["object"]["code"], events[0]["object"]["reason"]) == (410, "Expired")
    assert events[0]["object"]["message"].startswith("too old resource version: 1 (")


async def test_a_watch_ends_when_its_time_is_up(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    async with api.watch(ns.leases(), timeoutSeconds=1) as stream:
        assert [event["type"] for event in await stream.rest()] == ["ADDED"]


async def test_a_finalizer_shows_as_modified_and_then_deleted(api: Api, ns: Space) -> None:
    body = config_map("a", finalizers=["conformance.example.com/hold"])
    version = (await api.create(ns.configmaps(), body)).version
    query = {"resourceVersion": version, "fieldSelector": "metadata.name=a"}
    async with api.watch(ns.configmaps(), **query) as stream:
        await api.delete(ns.configmaps("a"))
        await api.merge(ns.configmaps("a"), {"metadata": {"finalizers": None}})
        assert await stream.take(2) == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_the_old_watch_path_still_watches(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a"))
    path = f"/apis/coordination.k8s.io/v1/watch/namespaces/{ns.name}/leases"
    async with api.watch(path) as stream:
        assert await stream.take(1) == [("ADDED", "a")]


async def test_a_watch_can_show_metadata_alone(api: Api, ns: Space) -> None:
    await api.create(ns.leases(), lease("a", {"holderIdentity": "x"}))
    async with api.watch(ns.leases(), accept=METADATA) as stream:
        event = await stream.next()
    assert event is not None
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "spec" not in event["object"]


async def test_a_watch_can_show_table_rows(api: Api, ns: Space) -> None:
    for name in ("a", "b"):
        await api.create(ns.leases(), lease(name, {"holderIdentity": "x"}))
    async with api.watch(ns.leases(), accept=TABLE) as stream:
        first, second = await stream.next(), await stream.next()
    assert first is not None
    assert second is not None
    assert first["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"]
    assert first["object"]["rows"][0]["cells"][:2] == ["a", "x"]
    assert "columnDefinitions" not in second["object"] or not second["object"]["columnDefinitions"]


async def test_watching_an_unknown_kind_is_not_found(api: Api, ns: Space) -> None:
    answer = await api.get(ns.path("/apis/none.example.com/v1", "widgets"), watch=1)
    assert (answer.status, answer.text) == (404, "404 page not found\n")


async def test_a_selector_that_does_not_parse_is_no_watch(api: Api, ns: Space) -> None:
    label = await api.get(ns.leases(), watch=1, labelSelector="a in (")
    field = await api.get(ns.leases(), watch=1, fieldSelector="spec.x=1")
    assert (label.status, field.status) == (400, 400)
