"""Bytes of lists and watches are cut without building what is in them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import Key, OversizedLine
from kaito.runtime.wire import (
    LineSplitter,
    is_last_initial_event,
    open_object,
    resource_version_of,
    split_event,
    split_page,
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
def test_what_is_no_event_is_a_decode_error(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        split_event(line)


def test_a_page_knows_its_version_and_where_the_next_begins() -> None:
    page = split_page(b'{"metadata":{"resourceVersion":"7","continue":"c"},"items":[{"a":1}]}')
    assert page.metadata.resource_version == "7"
    assert page.metadata.next == "c"
    assert [bytes(item) for item in page.items] == [b'{"a":1}']
    assert not page.begins_anew


def test_an_empty_list_may_have_no_items_at_all() -> None:
    assert split_page(b'{"metadata":{"resourceVersion":"7"}}').items == []


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


def test_an_object_without_metadata_is_a_decode_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        open_object(b'{"kind":"Status"}')


def test_a_bookmark_carries_nothing_but_a_version() -> None:
    assert resource_version_of(b'{"kind":"Pod","metadata":{"resourceVersion":"9"}}') == "9"


def test_the_bookmark_that_ends_the_initial_events_is_told_from_others() -> None:
    last = b'{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}'
    assert is_last_initial_event(last)
    assert not is_last_initial_event(b'{"metadata":{"resourceVersion":"9"}}')
