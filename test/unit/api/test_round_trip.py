"""Whatever an API server may send of our kinds comes back from the models as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api import machine, nodeclaim, workspace
from kaito.api.crd import Definition, crd
from test.unit.api.schemas import values

METADATA = st.fixed_dictionaries(
    {"name": st.just("a")},
    optional={
        "namespace": st.just("b"),
        "labels": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        "generation": st.integers(1, 9),
        "finalizers": st.lists(st.text(max_size=3), max_size=2),
    },
)


def objects(definition: Definition) -> st.SearchStrategy[dict[str, Any]]:
    version = next(v for v in crd(definition)["spec"]["versions"] if v["storage"])
    schema = version["schema"]["openAPIV3Schema"]
    properties = {
        name: inner
        for name, inner in schema["properties"].items()
        if name not in ("apiVersion", "kind", "metadata")
    }
    named = st.fixed_dictionaries(
        {
            "apiVersion": st.just(f"{definition.group}/{version['name']}"),
            "kind": st.just(definition.names.kind),
            "metadata": METADATA,
        }
    )
    rest = values({**schema, "properties": properties})
    return st.tuples(named, rest).map(lambda parts: parts[0] | parts[1])


@pytest.mark.parametrize(
    "definition",
    [workspace.DEFINITION, machine.DEFINITION, nodeclaim.DEFINITION],
    ids=lambda definition: definition.names.kind,
)
@given(data=st.data())
def test_an_object_comes_back_as_it_was(definition: Definition, data: st.DataObject) -> None:
    wire = data.draw(objects(definition))
    assert definition.model.model_validate(wire).wire() == wire  # type: ignore[attr-defined]  # each is a Wire


PYTHONS = [name for name in workspace.Resource.model_fields if "_" in name]


@settings(max_examples=50)
@given(
    wire=objects(workspace.DEFINITION),
    extra=st.dictionaries(
        st.text() | st.sampled_from(PYTHONS), st.none() | st.integers() | st.lists(st.none())
    ),
)
def test_fields_that_we_do_not_know_come_back_too(
    wire: dict[str, Any], extra: dict[str, Any]
) -> None:
    """Nulls, and names that only Python has for fields, among them."""
    given, fields = wire["resource"], workspace.Resource.model_fields
    known = {field.alias or name for name, field in fields.items()}
    clashing = {name for name, field in fields.items() if field.alias in given}
    wire["resource"] = given | {k: v for k, v in extra.items() if k not in known | clashing}
    wire |= {f"x{name}": value for name, value in extra.items()}
    read = workspace.Workspace.model_validate(wire)
    assert read.wire() == wire
    assert workspace.Workspace.model_validate_json(read.model_dump_json(by_alias=True)) == read
