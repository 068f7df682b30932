"""Bytes of lists and watches are cut without building what is in them."""

from __future__ import annotations

import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import Key, OversizedLine, UnreadableAnswer
from kaito.runtime.wire import (
    LineSplitter,
    name_of_unreadable,
    open_bookmark,
    open_object,
    split_event,
)


@given(st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b)), st.data())
def test_lines_come_out_whole_wherever_the_chunks_are_cut(
    lines: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    splitter, out = LineSplitter(), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += splitter.feed(stream[begin:end])
    assert out == lines


def test_an_unfinished_line_is_kept_back() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b'{"a":') == []
    assert splitter.feed(b"1}\n{") == [b'{"a":1}']


def test_empty_lines_are_skipped() -> None:
    assert LineSplitter().feed(b"\n\na\n\n") == [b"a"]


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_a_line_beyond_the_limit_is_refused_before_the_memory_is_full(ending: bytes) -> None:
    splitter = LineSplitter(limit=10)
    splitter.feed(b"12345")
    splitter.feed(b"67890")
    with pytest.raises(OversizedLine, match="longer than 10 bytes"):
        splitter.feed(b"1" + ending)


def test_many_short_lines_are_no_long_line() -> None:
    splitter = LineSplitter(limit=10)
    for number in range(100):
        assert splitter.feed(b"345\n12") == [b"345" if number == 0 else b"12345"]


def test_a_watch_event_is_its_type_and_the_bytes_of_its_object() -> None:
    assert split_event(b'{"type":"ADDED","object":{"a": 1}}') == ("ADDED", b'{"a": 1}')


@pytest.mark.parametrize("line", [b"<html>", b"{}", b'{"type":"ADDED"}', b"[]"])
def test_what_is_no_event_is_a_typed_error(line: bytes) -> None:
    with pytest.raises(UnreadableAnswer, match="no event"):
        split_event(line)


OBJECT = {
    "metadata": {
        "name": "a",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "12",
        "generation": 3,
        "creationTimestamp": "2025-01-01T00:00:00Z",
        "deletionTimestamp": "2025-01-02T00:00:00Z",
        "labels": {"app": "x"},
        "annotations": {"n": "1"},
        "finalizers": ["f"],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "ou", "controller": True}
        ],
    },
    "spec": {"x": 1},
}


def test_the_header_holds_what_predicates_and_mappers_ask_for() -> None:
    key, header, body = open_object(msgspec.json.encode(OBJECT))
    assert key == Key("ns", "a")
    assert (header.uid, header.resource_version, header.generation) == ("u", "12", 3)
    assert header.deleting
    assert header.labels == {"app": "x"}
    assert header.finalizers == ("f",)
    assert header.created == "2025-01-01T00:00:00Z"
    assert [(owner.kind, owner.name, owner.controller) for owner in header.owners] == [
        ("Owner", "o", True)
    ]
    assert msgspec.json.decode(body) == OBJECT


def test_equal_annotations_hash_equal_and_none_hash_to_zero() -> None:
    def of(annotations: object) -> int:
        body = msgspec.json.encode({"metadata": {"name": "a", "annotations": annotations}})
        return open_object(body)[1].annotations_hash

    assert of({"a": "1"}) == of({"a": "1"}) != of({"a": "2"})
    assert of(None) == of({}) == 0


ENTRIES = [
    {"manager": "us", "operation": "Apply", "fieldsV1": {"f:spec": {}}},
    {"manager": "us", "operation": "Update", "fieldsV1": {"f:old": {}}},
    {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:metadata": {}}},
    {"manager": "us", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
]


@pytest.mark.parametrize(
    ("keep", "kept"), [("us", [ENTRIES[0], ENTRIES[3]]), ("nobody", None), ("", None)]
)
def test_managed_fields_are_dropped_except_what_our_manager_applied(
    keep: str, kept: list[object] | None
) -> None:
    obj = {"metadata": {"name": "a", "managedFields": ENTRIES}, "spec": {"big": 1.5, "t": "ä"}}
    stored = msgspec.json.decode(open_object(msgspec.json.encode(obj), keep)[2])
    assert stored["metadata"].get("managedFields") == kept
    assert stored["spec"] == obj["spec"]


def test_what_is_cached_has_no_more_bytes_than_it_needs() -> None:
    obj = {"metadata": {"name": "a", "managedFields": ENTRIES}, "spec": {"text": "x" * 3_000}}
    stored = open_object(msgspec.json.encode(obj))[2]
    assert sys.getsizeof(stored) == sys.getsizeof(b"") + len(stored)
    assert len(stored) < 3_100


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"Status"}',
        b'{"kind":"Table","metadata":{"name":"a"},"rows":[]}',
        b'{"metadata":{"name":"a","labels":{"x":1}}}',
        b'{"metadata":{"name":"\xff"}}',
        b"<html>",
        b"[]",
        b"",
    ],
)
def test_what_is_no_such_object_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(UnreadableAnswer, match="no Pod"):
        open_object(body, kind="Pod")


def test_members_of_lists_need_not_say_their_kind() -> None:
    assert open_object(b'{"metadata":{"name":"a"}}', kind="Pod")[0].name == "a"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"metadata":{"name":"a","resourceVersion":"7","labels":3}}', (Key("", "a"), "7")),
        (b"<html>", (Key("", ""), "")),
    ],
)
def test_what_cannot_be_read_is_named_if_it_says_its_name(
    body: bytes, found: tuple[Key, str]
) -> None:
    assert name_of_unreadable(body) == found


def test_a_bookmark_carries_nothing_but_a_version() -> None:
    bookmark = open_bookmark(b'{"kind":"Pod","metadata":{"resourceVersion":"9"}}')
    assert (bookmark.resource_version, bookmark.ends_list) == ("9", False)
    with pytest.raises(UnreadableAnswer, match="bookmark"):
        open_bookmark(b"{}")


def test_the_bookmark_that_ends_the_initial_events_is_told_from_others() -> None:
    assert open_bookmark(
        b'{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}'
    ).ends_list


def test_an_object_that_is_nested_too_deep_is_a_typed_error() -> None:
    body = b'{"metadata":{"name":"a"},"spec":' + b"[" * 5000 + b"]" * 5000 + b"}"
    with pytest.raises(UnreadableAnswer, match="no object"):
        open_object(body)
    assert name_of_unreadable(body) == (Key("", ""), "")
