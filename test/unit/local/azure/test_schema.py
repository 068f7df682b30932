"""The shape of an agent pool, held against the official SDK."""

from __future__ import annotations

import enum
import inspect
import re
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from kaito.local.azure.schema import Properties

models = pytest.importorskip("azure.mgmt.containerservice.models", reason="needs the azure extra")
# What the SDK types with its models of errors, and no client sends.
UNTYPED = {"status"}


def sdk_fields(model: Any) -> dict[str, str]:
    """The properties of a model by their names on the wire, with the text of their types."""
    found = {}
    for declared in re.finditer(
        r"^    (\w+): (.*?) = rest_field\((.*?)\)\n", inspect.getsource(model), re.S | re.M
    ):
        attribute, kind, options = declared.groups()
        name = re.search(r'name="(\w+)"', options)
        found[name[1] if name else attribute] = kind
    return found


def assert_same(shape: Any, model: Any) -> None:
    ours, theirs = get_type_hints(shape), sdk_fields(model)
    assert set(ours) == set(theirs), model.__name__
    for name, kind in ours.items():
        for part in re.findall(r"_models\.(\w+)", theirs[name]):
            other = getattr(models, part)
            if issubclass(other, enum.Enum):
                assert set(literals(kind)) == {each.value for each in other}, name
            elif name not in UNTYPED:
                assert_same(structure(kind), other)


def leaves(kind: Any) -> list[Any]:
    inner = get_args(kind)
    return [kind] if not inner else [leaf for each in inner for leaf in leaves(each)]


def literals(kind: Any) -> list[str]:
    return [leaf for leaf in leaves(kind) if isinstance(leaf, str)]


def structure(kind: Any) -> Any:
    (found,) = [
        leaf for leaf in leaves(kind) if isinstance(leaf, type) and issubclass(leaf, msgspec.Struct)
    ]
    return found


def test_it_has_every_property_and_value_that_the_sdk_has_and_no_other() -> None:
    assert_same(Properties, models.ManagedClusterAgentPoolProfileProperties)
