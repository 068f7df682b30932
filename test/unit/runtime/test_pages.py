"""A list is cut into pages while it arrives, and comes out as it went in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime.pages import PageSplitter, split_page

# Texts and nestings that look like the border between two members.
TEXTS = st.sampled_from(["x", '},{"metadata":{', '"items":[{', "]}", "\\", "ä", '{"a":1},{"a":1}'])
NESTED = st.recursive(
    TEXTS | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"metadata": st.fixed_dictionaries({"name": inner})}))
    ),
    max_leaves=8,
)
MEMBERS = st.lists(
    st.fixed_dictionaries(
        {"metadata": st.fixed_dictionaries({"name": TEXTS}), "spec": st.lists(NESTED, max_size=4)}
    )
)


def listing(items: list[Any], *, metadata_first: bool = True) -> bytes:
    head = {"kind": "PodList", "apiVersion": "v1"}
    metadata = {"metadata": {"resourceVersion": "7", "continue": "c"}}
    parts = [metadata, {"items": items}]
    return msgspec.json.encode(head | parts[not metadata_first] | parts[metadata_first]) + b"\n"


def cut(body: bytes, size: int, window: int) -> tuple[list[Any], PageSplitter, int]:
    """The members, the splitter at its end, and in how many pages they came."""
    splitter, items, pages = PageSplitter(window=window), [], 0
    for begin in range(0, len(body), size):
        found = splitter.feed(body[begin : begin + size])
        items += [msgspec.json.decode(bytes(item)) for item in found]
        pages += bool(found)
    return items, splitter, pages


@given(MEMBERS, st.booleans(), st.integers(1, 50), st.integers(1, 200))
def test_every_member_comes_out_once_and_in_order(
    members: list[Any], metadata_first: bool, size: int, window: int
) -> None:
    items, splitter, _ = cut(listing(members, metadata_first=metadata_first), size, window)
    last = splitter.finish()
    items += [msgspec.json.decode(bytes(item)) for item in last.items]
    assert items == members
    assert (last.metadata.resource_version, last.metadata.next) == ("7", "c")


@pytest.mark.parametrize("first", [{"metadata": {"name": "a"}}, {"apiVersion": "v1", "kind": "X"}])
def test_row_40_a_long_list_is_never_held_whole(first: dict[str, Any]) -> None:
    members = [{**first, "n": number, "text": "x" * 100} for number in range(1_000)]
    items, splitter, pages = cut(listing(members), 500, 2_000)
    assert pages > 40
    assert len(splitter.finish().items) < 20
    assert items == members[: len(items)]


def test_a_list_that_is_laid_out_for_people_comes_as_one_page() -> None:
    members = [{"metadata": {"name": f"pod-{number}"}} for number in range(100)]
    body = msgspec.json.format(listing(members))
    items, splitter, _ = cut(body, 100, 500)
    assert items == []
    assert len(splitter.finish().items) == 100


@pytest.mark.parametrize("items", ["[]", "null"])
def test_an_empty_list_is_a_page_without_members(items: str) -> None:
    body = f'{{"kind":"PodList","metadata":{{"resourceVersion":"7"}},"items":{items}}}'
    splitter = PageSplitter()
    assert splitter.feed(body.encode()) == []
    assert splitter.finish().items == []


def test_a_page_knows_its_version_and_where_the_next_begins() -> None:
    page = split_page(b'{"metadata":{"resourceVersion":"7","continue":"c"},"items":[{"a":1}]}')
    assert page.metadata.resource_version == "7"
    assert page.metadata.next == "c"
    assert [bytes(item) for item in page.items] == [b'{"a":1}']
    assert not page.begins_anew


def test_an_empty_list_may_have_no_items_at_all() -> None:
    assert split_page(b'{"metadata":{"resourceVersion":"7"}}').items == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"Status","metadata":{},"status":"Success"}',
        b'{"kind":"Table","metadata":{"resourceVersion":"7"},"rows":[]}',
        b'{"kind":"Pod","metadata":{"name":"a","resourceVersion":"7"}}',
        b"{}",
        b"[]",
        b"<html>",
        b"",
    ],
)
def test_an_answer_that_is_no_list_is_an_error_and_not_an_empty_list(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        split_page(body)


def test_a_list_of_another_kind_than_the_one_asked_for_is_an_error() -> None:
    body = b'{"kind":"PodList","metadata":{"resourceVersion":"7"},"items":[]}'
    assert split_page(body, "PodList").items == []
    with pytest.raises(msgspec.DecodeError, match="it is a PodList"):
        split_page(body, "PartialObjectMetadataList")
