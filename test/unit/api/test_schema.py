"""A model becomes a structural schema, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
from pydantic import Field

from kaito.api import schema
from kaito.api.meta import Quantity, Wire


class Wheel(Wire):
    """Goes
    round."""

    size: int
    """In inches."""
    maker: Annotated[str, Field(max_length=5, pattern="^a")] = ""


class Car(Wire):
    """Drives."""

    wheels: Annotated[tuple[Wheel, ...], Field(max_length=4)] = ()
    """As many as
    it needs."""
    colour: Literal["red", "blue"] = "red"
    fuel: Mapping[str, Quantity] = {}
    spare: Wheel | None = None
    """In the boot."""
    doors: Annotated[int | None, Field(ge=2, le=5)] = None


class Odd(Wire):
    """Has a field that no structural schema can describe."""

    either: int | list[int]


def test_a_model_becomes_a_structural_schema() -> None:
    wheel = {
        "description": "Goes round.",
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"description": "In inches.", "type": "integer"},
            "maker": {"type": "string", "maxLength": 5, "pattern": "^a"},
        },
    }
    built = schema.object_schema(Car)
    assert built["properties"] == {
        "wheels": {
            "description": "As many as it needs.",
            "type": "array",
            "items": wheel,
            "maxItems": 4,
        },
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "fuel": {
            "type": "object",
            "additionalProperties": {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": built["properties"]["fuel"]["additionalProperties"]["pattern"],
                "x-kubernetes-int-or-string": True,
            },
        },
        "spare": {**wheel, "description": "In the boot."},
        "doors": {"type": "integer", "minimum": 2, "maximum": 5},
    }


def test_a_path_reaches_into_lists() -> None:
    built = schema.object_schema(Car)
    assert schema.at(built, "wheels[].size") == {"description": "In inches.", "type": "integer"}
    assert schema.at(built, "") is built


def test_an_unknown_path_is_an_error() -> None:
    with pytest.raises(KeyError):
        schema.at(schema.object_schema(Car), "wings")


def test_what_a_structural_schema_cannot_say_is_an_error() -> None:
    with pytest.raises(TypeError, match="no structural schema"):
        schema.object_schema(Odd)
