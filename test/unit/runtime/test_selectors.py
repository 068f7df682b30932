"""An informer that leaves an object out is not waited for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import Key
from kaito.runtime.selectors import LabelTest, field_test, label_test

LABELS = {"app": "web", "tier": "front", "example.com/part": "a.b", "empty": "", "count": "3"}


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "app",
        "app=web",
        "app==web",
        "app = web , tier = front",
        "app!=db",
        "none!=x",
        "!none",
        "! none",
        "empty=",
        "app in (web,db)",
        "app in ( web )",
        "app in(web),tier notin (back, middle)",
        "none notin (x)",
        "example.com/part=a.b",
        "empty in (,x)",
        "count>2",
    ],
)
def test_labels_that_a_selector_takes(selector: str) -> None:
    assert label_test(selector)(LABELS)


@pytest.mark.parametrize(
    "selector",
    [
        "none",
        "app=db",
        "app!=web",
        "!app",
        "app in (db, cache)",
        "app notin (web)",
        "none in (x)",
        "none=",
        "app=web,tier=back",
        "app=web,!tier",
        "none>2",
    ],
)
def test_labels_that_a_selector_leaves_out(selector: str) -> None:
    assert not label_test(selector)(LABELS)


@pytest.mark.parametrize("selector", ["app=(web", "app in web", "=", "a=b=c", "a,,b"])
def test_a_selector_that_is_not_understood_takes_everything(selector: str) -> None:
    assert label_test(selector)({})


NAMES = st.sampled_from(["a", "b", "x.y/z"])
VALUES = st.sampled_from(["1", "2", "v"])


@st.composite
def terms(draw: st.DrawFn) -> tuple[str, LabelTest]:
    """A term, and what it says."""
    name, value = draw(NAMES), draw(VALUES)
    values = draw(st.lists(VALUES, min_size=1))
    listed = ", ".join(values)
    choices: list[tuple[str, LabelTest]] = [
        (name, lambda labels: name in labels),
        (f"!{name}", lambda labels: name not in labels),
        (f"{name}={value}", lambda labels: labels.get(name) == value),
        (f"{name} == {value}", lambda labels: labels.get(name) == value),
        (f"{name}!={value}", lambda labels: labels.get(name) != value),
        (f"{name} in ({listed})", lambda labels: labels.get(name) in values),
        (f"{name} notin ({listed})", lambda labels: labels.get(name) not in values),
    ]
    return draw(st.sampled_from(choices))


@given(st.lists(terms(), min_size=1), st.dictionaries(NAMES, VALUES))
def test_every_term_has_to_hold(said: list[tuple[str, LabelTest]], labels: dict[str, str]) -> None:
    selector = ",".join(text for text, _ in said)
    assert label_test(selector)(labels) == all(holds(labels) for _, holds in said)


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        ("", True),
        ("metadata.name=a", True),
        ("metadata.name==a", True),
        ("metadata.name=b", False),
        ("metadata.name!=a", False),
        ("metadata.namespace=ns,metadata.name=a", True),
        ("metadata.namespace!=ns", False),
        ("status.phase=Running", True),
        ("spec.nodeName!=n1,metadata.name=b", False),
        ("name=b", True),
    ],
)
def test_of_fields_the_name_and_namespace_are_known(selector: str, taken: bool) -> None:
    assert field_test(selector)(Key("ns", "a")) is taken
