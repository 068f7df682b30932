"""Which images run as processes, and what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kaito.local.pods.images import Images, Program, command_line, entrypoint, parse_program


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("mcr.microsoft.com/aks/kaito/kaito-base:0.1.0", True),
        ("kaito-base:dev", True),
        ("localhost:5000/kaito-base:1@sha256:abc", True),
        ("kaito-base", False),
        ("nginx:1", False),
        ("registry/kaito-base:1/other:2", False),
    ],
)
def test_an_image_is_known_by_its_last_part(image: str, known: bool) -> None:
    images = Images([Program(image="kaito-base:*", command=lambda *_: ["run"])])
    assert (images.program({"image": image}) is not None) is known


@pytest.mark.parametrize(
    ("container", "known"),
    [
        ({"command": ["python3", "-m", "this"]}, True),
        ({"command": ["python3", "-m", "this", "--more"]}, True),
        ({"command": ["python3"], "args": ["-m", "this"]}, True),
        ({"command": ["python3", "-m", "that"]}, False),
        ({"command": ["python3"]}, False),
        ({}, False),
    ],
)
def test_one_of_several_programs_is_known_by_the_first_words(container: Any, known: bool) -> None:
    entry = ("python3", "-m", "this")
    first = Program(image="app", command=lambda *_: ["first"], entry=entry)
    images = Images([first, Program(image="app", command=lambda *_: ["rest"])])
    assert (images.program({"image": "app:1", **container}) is first) is known


def test_what_a_probe_runs_in_a_program_with_commands_of_its_own_is_run() -> None:
    container = {"name": "e", "startupProbe": {"exec": {"command": ["true"]}}}
    assert entrypoint("python", ["python3"]).asked(container) == container


@pytest.mark.parametrize(
    ("pattern", "image", "known"),
    [
        ("python", "python", True),
        ("python", "docker.io/library/python:3.12", True),
        ("python", "localhost:5000/python@sha256:abc", True),
        ("python", "my-python:3", False),
        ("python:3*", "python:3.12", True),
        ("python:3*", "python:2.7", False),
        ("ghcr.io/me/*", "ghcr.io/me/app:1", True),
        ("ghcr.io/me/*", "ghcr.io/you/app:1", False),
        ("localhost:5000/app:*", "localhost:5000/app:1", True),
        ("*", "anything/at/all:1", True),
    ],
)
def test_a_pattern_may_name_a_tag_or_a_registry(pattern: str, image: str, known: bool) -> None:
    assert entrypoint(pattern, []).stands_for({"image": image}) is known


@pytest.mark.parametrize(
    ("container", "line"),
    [
        ({}, ["python3", "-u"]),
        ({"args": ["x.py"]}, ["python3", "-u", "x.py"]),
        ({"command": ["sh"]}, ["sh"]),
        ({"command": ["sh"], "args": ["-c", "a b"]}, ["sh", "-c", "a b"]),
    ],
)
def test_an_entrypoint_is_replaced_and_followed_as_in_kubernetes(
    container: Any, line: list[str]
) -> None:
    program = parse_program("python:*=python3 -u")
    assert (program.image, program.own_commands) == ("python:*", True)
    assert list(program.words(container)) == line


def test_a_command_may_hold_quotes_and_equals_signs() -> None:
    program = parse_program("app='my program' --flag=1")
    assert list(program.words({})) == ["my program", "--flag=1"]


@pytest.mark.parametrize("text", ["python", "=python3", " =x", "a='"])
def test_what_is_no_program_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"PATTERN=COMMAND|quotation"):
        parse_program(text)


def test_a_program_named_by_a_relative_path_is_the_one_seen_from_where_the_cluster_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = tmp_path / "venv"
    environment.mkdir()
    (environment / "python").symlink_to("/bin/sh")
    monkeypatch.chdir(tmp_path)
    assert command_line("venv/python -m it") == [str(environment / "python"), "-m", "it"]


def test_a_path_at_which_there_is_no_program_is_told() -> None:
    with pytest.raises(ValueError, match="begins with no/python, which is no program here"):
        command_line("no/python -m it")
