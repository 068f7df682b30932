"""A resource is a path and a type."""

from __future__ import annotations

import msgspec
import pytest
from pydantic import BaseModel, Field

from kaito.runtime import Key, Owner, Resource, UnreadableAnswer

PODS = Resource("", "v1", "pods", "Pod")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
JOBS = Resource("batch", "v1", "jobs", "Job")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("ns"), "/api/v1/namespaces/ns/pods"),
        (PODS.path("ns", "a"), "/api/v1/namespaces/ns/pods/a"),
        (PODS.path("ns", "a", "status"), "/api/v1/namespaces/ns/pods/a/status"),
        (NODES.path("", "a"), "/api/v1/nodes/a"),
        (NODES.path("ns", "a"), "/api/v1/nodes/a"),
        (JOBS.path("ns", "a"), "/apis/batch/v1/namespaces/ns/jobs/a"),
        (NODES.path("", "system:node:x"), "/api/v1/nodes/system:node:x"),
    ],
)
def test_a_path_is_where_the_server_keeps_the_object(path: str, expected: str) -> None:
    assert path == expected


HOSTILE = [
    "..",
    ".",
    "a/b",
    "../secrets/x",
    "a%2fb",
    "a?x=1",
    "a#b",
    "a b",
    "a\r\nX: y",
    "a\\b",
    "é",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_could_lead_to_another_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a URL path"):
        PODS.path("ns", name)
    with pytest.raises(ValueError, match="cannot be part of a URL path"):
        PODS.path(name, "a")


def test_an_object_of_a_namespaced_kind_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="Pod 'a' needs a namespace"):
        PODS.path("", "a")


def test_resources_are_equal_when_they_name_the_same_path() -> None:
    class View(msgspec.Struct):
        spec: dict[str, str] = {}

    assert PODS.read_as(View) == PODS
    assert hash(PODS.read_as(View)) == hash(PODS)
    assert PODS != NODES


def test_untyped_objects_get_back_the_kind_that_lists_leave_out() -> None:
    assert PODS.decode(b'{"metadata":{}}') == {"apiVersion": "v1", "kind": "Pod", "metadata": {}}


def test_a_partial_view_skips_what_it_does_not_name() -> None:
    class View(msgspec.Struct):
        spec: dict[str, int]

    body = b'{"spec":{"x":1},"status":{"huge":[1,2,3]}}'
    assert PODS.read_as(View).decode(body) == View(spec={"x": 1})


def test_pydantic_models_travel_by_alias_and_without_empty_fields() -> None:
    class Thing(BaseModel):
        size: int = Field(alias="sizeGi")
        note: str | None = None

    things = Resource("x", "v1", "things", "Thing", model=Thing)
    assert things.decode(b'{"sizeGi":2}').size == 2
    assert things.encode(Thing(sizeGi=2)) == b'{"sizeGi":2}'
    assert things.encode({"sizeGi": 3}) == b'{"sizeGi":3}'


@pytest.mark.parametrize("body", [b"<html>", b'{"metadata":{"name":"\xff"}}', b"[]", b""])
def test_what_is_no_object_is_a_typed_error(body: bytes) -> None:
    class Thing(BaseModel):
        size: int = Field(alias="sizeGi")

    class View(msgspec.Struct):
        metadata: dict[str, str]

    for things in (PODS, PODS.read_as(View), PODS.read_as(Thing)):
        with pytest.raises(UnreadableAnswer, match="This is no Pod"):
            things.decode(body)


def test_metadata_alone_is_another_resource_at_the_same_path() -> None:
    partial = PODS.metadata_only()
    assert partial != PODS
    assert partial.path("ns", "a") == PODS.path("ns", "a")
    read = partial.decode(
        b'{"kind":"PartialObjectMetadata","metadata":{"name":"a","labels":{"x":"1"},'
        b'"ownerReferences":[{"kind":"Job","name":"j","uid":"u","controller":true}]}}'
    )
    assert (read.metadata.name, read.metadata.labels) == ("a", {"x": "1"})
    assert read.metadata.owner_references == (
        Owner(kind="Job", name="j", uid="u", controller=True),
    )
    assert partial.read_as(dict).answered_kind == "PartialObjectMetadata"


def test_keys_read_as_people_write_them() -> None:
    assert str(Key("ns", "a")) == "ns/a"
    assert str(Key("", "a")) == "a"
    assert Key.of({"metadata": {"name": "a", "namespace": "ns"}}) == Key("ns", "a")
    assert Key.of({"metadata": {"name": "a"}}) == Key("", "a")


def test_resources_read_as_people_write_them() -> None:
    assert [str(PODS), str(JOBS), PODS.api_version, JOBS.api_version] == [
        "pods", "jobs.batch", "v1", "batch/v1",
    ]  # fmt: skip
