"""Texts of a container mean something on this machine, and all others stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.pods.translation import Translation

NAMES = {("web", 80): 4080, ("web", 443): 4443, ("db-0.db", 5432): 4432}
HERE = Translation(
    {"/data": Path("/w/v1"), "/data/deep": Path("/w/v2"), "/a.b": Path("/w/v3"), "/": Path("/x")},
    {8080: 41000, 9090: 41001},
    lambda host, port: NAMES.get((host, port)),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data", "/w/v1"),
        ("/data/x", "/w/v1/x"),
        ("/data/deep/x", "/w/v2/x"),
        ("--model=/data/m", "--model=/w/v1/m"),
        ("/data:/data/deep", "/w/v1:/w/v2"),
        ("file:///data/x", "file:///w/v1/x"),
        ("cat '/data/x' > /data/y.", "cat '/w/v1/x' > /w/v1/y."),
        ("/database", "/database"),
        ("/mnt/data", "/mnt/data"),
        ("../data", "../data"),
        ("/data-old", "/data-old"),
        ("/data.old", "/data.old"),
        ("/aXb", "/aXb"),
        ("/a.b/c", "/w/v3/c"),
        ("/", "/"),
    ],
)
def test_mount_paths_become_directories(text: str, expected: str) -> None:
    assert HERE.words([text]) == [expected]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["8080"], ["41000"]),
        (["--port", "8080"], ["--port", "41000"]),
        (["--port=8080"], ["--port=41000"]),
        (["-p", "8080"], ["-p", "41000"]),
        (["--max-tokens", "8080"], ["--max-tokens", "8080"]),
        (["--max-tokens=8080"], ["--max-tokens=8080"]),
        (["0.0.0.0:8080"], ["0.0.0.0:41000"]),
        ([":9090"], [":41001"]),
        (["[::]:8080"], ["[::]:41000"]),
        (["http://localhost:8080/x"], ["http://localhost:41000/x"]),
        (["80800"], ["80800"]),
        (["sh", "-c", "serve --port 8080; echo"], ["sh", "-c", "serve --port 8080; echo"]),
        (["sh", "-c", "serve --port 8080 && x"], ["sh", "-c", "serve --port 41000 && x"]),
        (["example.com:8080"], ["example.com:8080"]),
        (["12:8080:30"], ["12:8080:30"]),
    ],
)
def test_ports_of_its_own_become_those_that_stand_for_them(
    words: list[str], expected: list[str]
) -> None:
    assert HERE.words(words) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web:80", "127.0.0.1:4080"),
        ("http://web:80/x", "http://127.0.0.1:4080/x"),
        ("http://web/x", "http://127.0.0.1:4080/x"),
        ("https://web", "https://127.0.0.1:4443"),
        ("postgres://u:p@db-0.db:5432/d", "postgres://u:p@127.0.0.1:4432/d"),
        ("web:81", "web:81"),
        ("http://example.com/", "http://example.com/"),
        ("my-web:80", "my-web:80"),
        ("web.example:80", "web.example:80"),
        ("web", "web"),
    ],
)
def test_names_of_services_become_addresses(text: str, expected: str) -> None:
    assert HERE.words([text]) == [expected]


def test_a_bare_number_in_a_variable_is_a_port_where_its_name_says_so() -> None:
    variables = {"HTTP_PORT": "8080", "LIMIT": "8080", "DIR": "/data", "URL": "http://web:80"}
    assert HERE.variables(variables) == {
        "HTTP_PORT": "41000",
        "LIMIT": "8080",
        "DIR": "/w/v1",
        "URL": "http://127.0.0.1:4080",
    }


@pytest.mark.parametrize(
    ("path", "place"),
    [("/data", "/w/v1"), ("/data/x", "/w/v1/x"), ("/other", None), ("", None)],
)
def test_a_path_is_found_in_its_mount(path: str, place: str | None) -> None:
    assert HERE.path(path) == (Path(place) if place else None)


@pytest.mark.parametrize(
    ("words", "stray"),
    [
        (["--to", "/data/x", "--from=/data"], ""),
        (["--to", "/etc"], "/etc"),
        (["--to=/etc/x"], "/etc/x"),
        (["--to=/data/../../etc"], "/data/../../etc"),
        (["../x"], "../x"),
        (["--to=.."], ".."),
        (["/database"], "/database"),
        (["https://example.com/a/../b", "registry:5000/a:1", "a..b", "--k=v=/x"], ""),
    ],
)
def test_a_path_of_no_mount_is_found_among_words(words: list[str], stray: str) -> None:
    assert HERE.stray(words) == stray


@given(st.lists(st.text(max_size=60), max_size=5))
def test_without_mounts_ports_and_names_every_word_stays(words: list[str]) -> None:
    assert Translation({}, {}, lambda *_: None).words(words) == words
