"""Which images run as processes, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.pods.images import KAITO_BASE, Images, served_name


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
