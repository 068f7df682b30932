"""Whatever a Workspace holds, deciding about it ends in a decision and in readable words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api.words import one_line, shown
from kaito.controllers.workspace.judge import judge
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import (
    CATALOG,
    SETTINGS,
    condition,
    decided,
    held,
    machine,
    own_node,
    ready_machine,
    seen,
)

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)
# Words that our own code looks for, with anything in them.
terms = st.lists(st.fixed_dictionaries({}, optional={"matchExpressions": anything}), max_size=2)
required = st.fixed_dictionaries({}, optional={"nodeSelectorTerms": terms | anything})
affinity = st.fixed_dictionaries(
    {},
    optional={
        "nodeAffinity": st.fixed_dictionaries(
            {}, optional={"requiredDuringSchedulingIgnoredDuringExecution": required | anything}
        )
        | anything
    },
)
templates = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries({}, optional={"labels": anything}) | anything,
        "spec": st.fixed_dictionaries(
            {}, optional={"affinity": affinity | anything, "tolerations": anything}
        )
        | anything,
    },
)
inferences = (
    st.fixed_dictionaries(
        {}, optional={"preset": st.fixed_dictionaries({"name": st.text()}) | anything}
    )
    | st.fixed_dictionaries({"template": templates})
    | anything
)
selectors = st.dictionaries(st.sampled_from(["matchLabels", "matchExpressions"]), anything)
resources = st.fixed_dictionaries(
    {"labelSelector": selectors | st.just({})},
    optional={"instanceType": st.text(max_size=20), "count": anything, "partition": anything},
)
configs = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "data": st.none()
        | st.dictionaries(
            st.sampled_from(["inference_config.yaml", "training_config.yaml", "x"]),
            st.text(max_size=40)
            | st.sampled_from(
                [
                    "a: [",
                    "vllm: {max-model-len: [1]}",
                    "training_config: {LoraConfig: 1}",
                    "vllm: {max-model-len: 4096}",
                    "&a [*a]",
                    "vllm: {max-model-len: 0x" + "f" * 5000 + "}",
                ]
            ),
        )
    },
)


@settings(max_examples=300)
@given(resource=resources | anything, inference=inferences, tuning=anything, config=configs)
def test_deciding_never_fails(resource: Any, inference: Any, tuning: Any, config: Any) -> None:
    found = held(resource=None, inference=None)
    found |= {"resource": resource, "inference": inference}
    if tuning:
        found["tuning"] = tuning
    for observation in (
        seen(found, config=config),
        seen(found, machines=(ready_machine(),), nodes=(own_node(),)),
        seen(found, machines=(machine(),)),
    ):
        decision = decided(observation)
        assert decision.status is not None
        message = condition(decision, "ResourceReady")["message"]
        assert message == "" or message.isprintable()
        assert len(message) < 1000


@given(name=st.text(min_size=1, max_size=253))
def test_a_name_cannot_break_the_sentence_that_tells_of_it(name: str) -> None:
    message = condition(decided(seen(held(inference={"preset": {"name": name}}))), "ResourceReady")[
        "message"
    ]
    assert message.isprintable()


def test_a_count_that_would_ruin_its_author_is_refused() -> None:
    found = held(resource={"count": 10**9})
    found["inference"] = {"template": {"spec": {"containers": []}}}
    decision = decided(seen(found))
    assert decision.objects == ()
    assert "resource.count" in condition(decision, "ResourceReady")["message"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("phi-2", "phi-2"),
        ("", '""'),
        (" phi-2", '" phi-2"'),
        ("phi\n2", '"phi\\n2"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("x" * 200, "x" * 97 + "..."),
    ],
)
def test_a_users_word_is_shown_so_that_it_cannot_be_mistaken(name: str, text: str) -> None:
    assert shown(name) == text


def test_somebody_elses_sentence_is_put_on_one_line() -> None:
    assert one_line("a\n b\x07 c", 100) == "a b? c"
    assert one_line("x" * 20, 10) == "xxxxxxx..."


def test_the_users_objects_are_never_written_to() -> None:
    found: Object = held()
    before = str(found)
    decided(seen(found, machines=(ready_machine(),), nodes=(own_node(),)))
    assert str(found) == before


changes = st.none() | st.fixed_dictionaries(
    {}, optional={"resource": resources | anything, "inference": inferences, "tuning": anything}
)


@settings(max_examples=300)
@given(
    resource=resources | anything,
    inference=inferences,
    tuning=anything,
    old=changes,
    config=configs,
    notes=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=2) | anything,
)
def test_judging_never_fails(
    resource: Any, inference: Any, tuning: Any, old: Any, config: Any, notes: Any
) -> None:
    found = held(resource=None, inference=None)
    found |= {"resource": resource, "inference": inference, "tuning": tuning}
    found["metadata"] = {**found["metadata"], "annotations": notes}
    before = None if old is None else {**found, **old}
    said = judge(found, before, catalog=CATALOG, settings=SETTINGS, config=config)
    for problem in said.problems:
        assert problem.message.isprintable()
        assert len(problem.message) <= 500
