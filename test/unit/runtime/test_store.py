"""The cache gives copies, and its indexes agree with what it holds."""

from __future__ import annotations

import gc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import Key, Object, Resource, UnreadableAnswer, View
from kaito.runtime.store import WritableStore
from kaito.runtime.wire import open_object

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


def by_labels(view: View) -> list[str]:
    return [f"{name}={value}" for name, value in view.header.labels.items()]


def by_node(view: View) -> list[str]:
    node = view.object.get("spec", {}).get("node")
    return [node] if node else []


def put(
    store: WritableStore[Any], name: str, labels: dict[str, str] | None = None, **spec: str
) -> None:
    obj = {"metadata": {"name": name, "namespace": "ns", "labels": labels or {}}, "spec": spec}
    store.put(*open_object(msgspec.json.encode(obj)))


@pytest.fixture
def store() -> WritableStore[Object]:
    return WritableStore(PODS, {"label": by_labels, "node": by_node})


def test_nobody_can_corrupt_the_cache(store: WritableStore[Object]) -> None:
    put(store, "a", node="n1")
    got = store.get(Key("ns", "a"))
    assert got is not None
    got["spec"]["node"] = "corrupted"
    store.list()[0]["spec"].clear()
    assert store.get(Key("ns", "a"))["spec"] == {"node": "n1"}  # type: ignore[index]  # it is there


def test_what_is_not_there_is_none(store: WritableStore[Object]) -> None:
    nowhere = Key("ns", "a")
    assert (store.get(nowhere), store.object(nowhere), store.header(nowhere)) == (None, None, None)
    assert store.body(nowhere) is None
    assert nowhere not in store
    assert store.remove(nowhere) is None


def test_typed_stores_still_give_untyped_objects(store: WritableStore[Object]) -> None:
    class Pod(msgspec.Struct):
        spec: dict[str, str]

    typed = WritableStore(PODS.read_as(Pod))
    put(typed, "a", node="n1")
    assert typed.get(Key("ns", "a")) == Pod(spec={"node": "n1"})
    assert typed.object(Key("ns", "a"))["kind"] == "Pod"  # type: ignore[index]  # it is there


def test_an_object_that_does_not_fit_the_model_is_a_typed_error_and_can_be_read_untyped() -> None:
    class Strict(msgspec.Struct):
        spec: dict[str, int]

    typed = WritableStore(PODS.read_as(Strict))
    put(typed, "a", node="n1")
    with pytest.raises(UnreadableAnswer, match=r"no Pod as Strict has it: Expected `int`"):
        typed.get(Key("ns", "a"))
    with pytest.raises(UnreadableAnswer):
        typed.list()
    assert typed.object(Key("ns", "a"))["spec"] == {"node": "n1"}  # type: ignore[index]  # there


def test_an_index_files_an_object_under_each_of_its_values(store: WritableStore[Object]) -> None:
    put(store, "a", {"x": "1", "y": "2"}, node="n1")
    put(store, "b", {"x": "1"}, node="n2")
    assert store.by("label", "x=1") == (Key("ns", "a"), Key("ns", "b"))
    assert store.by("label", "y=2") == (Key("ns", "a"),)
    assert store.by("node", "n2") == (Key("ns", "b"),)
    assert store.by("node", "n3") == ()


def test_an_unknown_index_is_an_error_and_not_an_empty_answer(
    store: WritableStore[Object],
) -> None:
    with pytest.raises(KeyError):
        store.by("colour", "red")


def test_the_garbage_collector_has_nothing_to_walk() -> None:
    store = WritableStore(PODS)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(1_000):
        put(store, f"pod-{number}", {"app": "x"})
    gc.collect()
    assert len(gc.get_objects()) - before < 100


def test_keys_come_out_as_keys(store: WritableStore[Object]) -> None:
    put(store, "a", {"x": "1"})
    assert store.keys()[0].name == store.by("label", "x=1")[0].name == "a"


NAMES = st.sampled_from("abcd")
LABELS = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"))
STEPS = st.lists(st.tuples(NAMES, st.none() | LABELS))


@given(STEPS)
def test_indexes_and_contents_agree_after_any_history(
    steps: list[tuple[str, dict[str, str] | None]],
) -> None:
    store = WritableStore(PODS, {"label": by_labels})
    model: dict[Key, dict[str, str]] = {}
    for name, labels in steps:
        key = Key("ns", name)
        if labels is None:
            assert (store.remove(key) is None) == (model.pop(key, None) is None)
        else:
            put(store, name, labels)
            model[key] = labels
    assert set(store.keys()) == set(store) == set(model)
    assert len(store) == len(model)
    for name in "xy":
        for value in "12":
            expected = {key for key, labels in model.items() if labels.get(name) == value}
            assert set(store.by("label", f"{name}={value}")) == expected
    kept = sum(len(values) for values in store._by["label"].values())
    assert kept == sum(len(labels) for labels in model.values())
    assert all(store._by["label"].values()), "an empty entry stays behind for ever"
    assert set(store._values["label"]) == {key for key, labels in model.items() if labels}
