"""A model becomes a structural schema, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, create_model

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


class Engine(Wire):
    """Runs."""

    litres: Annotated[float, Field(gt=0, lt=10)]
    cylinders: Annotated[int, Field(gt=1, multiple_of=2)]


def odd(annotation: Any) -> type[BaseModel]:
    return create_model("Odd", __base__=Wire, __module__=__name__, field=(annotation, ...))


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


def test_bounds_that_are_not_reached_and_multiples_are_said_too() -> None:
    assert schema.object_schema(Engine)["properties"] == {
        "litres": {
            "type": "number",
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 10,
            "exclusiveMaximum": True,
        },
        "cylinders": {"type": "integer", "minimum": 1, "exclusiveMinimum": True, "multipleOf": 2},
    }


@pytest.mark.parametrize(
    "annotation",
    [
        int | list[int],
        Annotated[int, Field(strict=True)],
        Annotated[float, Field(allow_inf_nan=False)],
        Annotated[str, AfterValidator(str.strip)],
        Annotated[str, Field(json_schema_extra=dict.clear)],
        Annotated[int, Field(max_length=3)],
    ],
    ids=str,
)
def test_what_a_structural_schema_cannot_say_is_an_error(annotation: object) -> None:
    with pytest.raises(TypeError):
        schema.object_schema(odd(annotation))
