"""Which images run as processes, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.pods.images import (
    KAITO_BASE,
    Images,
    engine,
    entrypoint,
    parse_program,
    served_name,
)


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
    assert (Images([KAITO_BASE]).program(image) is not None) is known


@pytest.mark.parametrize(
    ("container", "name"),
    [
        ({"args": ["--served-model-name", "phi"]}, "phi"),
        ({"args": ["--served-model-name=phi"]}, "phi"),
        ({"command": ["/bin/sh", "-c", "python3 x.py --served-model-name 'phi' --tp 2"]}, "phi"),
        ({"command": ["run", "--model=/weights"]}, "/weights"),
        ({"args": ["--model", "a", "--served-model-name", "b"]}, "b"),
        ({"args": ["--served-model-name"]}, "engine"),
        ({"command": ["accelerate", "--served_model_name=phi"]}, "phi"),
        ({}, "engine"),
    ],
)
def test_the_served_name_stands_in_the_command(container: Any, name: str) -> None:
    assert served_name({"name": "engine", **container}) == name


def test_the_simulated_engine_gets_port_and_name() -> None:
    command = KAITO_BASE.command({"name": "e", "args": ["--served-model-name=phi"]}, {}, 4711)
    assert command[1:] == [
        "-m",
        "kaito.local.simulated_engine",
        "--port",
        "4711",
        "--model",
        "phi",
    ]
    assert KAITO_BASE.simulated


def test_the_simulated_engine_gets_the_names_of_adapters() -> None:
    mounts = [{"mountPath": path} for path in ("/dev/shm", "/mnt/adapter/a", "/mnt/adapter/b.c")]
    command = KAITO_BASE.command({"name": "e", "volumeMounts": mounts}, {}, 1)
    assert command[-4:] == ["--adapter", "a", "--adapter", "b.c"]


def test_what_a_probe_would_run_in_the_image_is_asked_of_the_stand_in() -> None:
    probe = {"exec": {"command": ["python3", "check.py"]}, "periodSeconds": 3}
    asked = KAITO_BASE.asked({"name": "e", "startupProbe": probe, "livenessProbe": {"grpc": {}}})
    assert asked["startupProbe"] == {
        "httpGet": {"path": "/health", "port": 5000},
        "periodSeconds": 3,
    }
    assert asked["livenessProbe"] == {"grpc": {}}


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
    assert entrypoint(pattern, []).stands_for(image) is known


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
    assert list(program.command(container, {}, 0)) == line


def test_a_command_may_hold_quotes_and_equals_signs() -> None:
    program = parse_program("app='my program' --flag=1")
    assert list(program.command({}, {}, 0)) == ["my program", "--flag=1"]


@pytest.mark.parametrize("text", ["python", "=python3", " =x", "a='"])
def test_what_is_no_program_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"PATTERN=COMMAND|quotation"):
        parse_program(text)


def test_a_real_engine_takes_the_place_of_the_simulated_one_and_serves_under_its_name() -> None:
    program = Images([engine(["serve", "it"]), KAITO_BASE]).program("registry/kaito-base:1")
    assert program is not None
    container = {"name": "phi", "command": ["vllm", "--served-model-name=phi-3"]}
    assert program.command(container, {}, 5555) == [
        *("serve", "it", "--port=5555", "--served_model_name=phi-3")
    ]
    assert not program.simulated
