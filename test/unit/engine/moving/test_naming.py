"""What files of URLs are called, and what is shown of a URL."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.moving.naming import file_names, shown

SAFE = set(string.ascii_letters + string.digits + "._=+-")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h.io/a/train.jsonl", "train.jsonl"),
        ("https://h.io/a/train.jsonl?sig=secret#sha256=0", "train.jsonl"),
        ("https://h.io/a%2F..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://h.io/..", "data"),
        ("https://h.io", "data"),
        ("https://h.io/.bashrc", "bashrc"),
        ("https://h.io/a b;c.csv", "a-b-c.csv"),
        ("https://h.io/" + "x" * 500 + ".parquet", "x" * 112 + ".parquet"),
    ],
)
def test_a_file_is_called_like_the_end_of_its_path(url: str, name: str) -> None:
    assert file_names([url]) == [name]


def test_names_differ_where_paths_end_alike() -> None:
    urls = [
        "https://a.io/x.csv",
        "https://b.io/X.csv",
        "https://c.io/2-x.csv",
        "https://a.io/x.csv",
    ]
    assert file_names(urls) == ["x.csv", "2-X.csv", "2-2-x.csv", "3-x.csv"]


@given(st.lists(st.text().map(lambda path: f"https://h.io/{path}"), max_size=20))
def test_names_are_safe_and_distinct_whatever_the_urls(urls: list[str]) -> None:
    names = file_names(urls)
    assert len({name.lower() for name in names}) == len(urls)
    for name in names:
        assert set(name) <= SAFE
        assert 0 < len(name.encode()) < 200
        assert not name.startswith((".", "-"))
    assert file_names(urls) == names


@given(st.text(alphabet=string.ascii_letters, min_size=8))
def test_what_is_secret_in_a_url_is_not_shown(secret: str) -> None:
    url = f"https://user:{secret}@h.io:8443/train.csv?sig={secret}#{secret}"
    assert shown(url) == "https://h.io:8443/train.csv"


@given(st.text())
def test_anything_can_be_shown(text: str) -> None:
    assert len(shown(text)) <= 300
