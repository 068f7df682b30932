"""Whatever a Workspace holds, deciding about it ends in a decision and in readable words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api import data_rules, labels, references, workspace_rules
from kaito.api.crd import crd
from kaito.api.patterns import matches
from kaito.api.words import one_line, shown
from kaito.api.workspace import DEFINITION
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.parameters import Missing
from kaito.controllers.workspace.revisions import UNDONE, history
from kaito.controllers.workspace.rollout import way_back
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
    says,
    seen,
    workspace,
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
        seen(found, orders=(ready_machine(),), nodes=(own_node(),)),
        seen(found, orders=(machine(),)),
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
    decided(seen(found, orders=(ready_machine(),), nodes=(own_node(),)))
    assert str(found) == before


# Workspaces as the schema wants them, with anything in the strings that rules look at.
hosts = st.sampled_from(["[1]", "[::1:]", "[fffff::]", "[::ffff:1.2.3.4]", "1.2", "0x", "a.b"])
ports = st.sampled_from(["", ":", ":0", ":99999", ":x"])
links = st.builds("http://{}{}/{}".format, hosts | st.text(max_size=8), ports, st.text(max_size=8))
words = st.text(max_size=20) | st.sampled_from(
    ["a/b", "../x", "A_B_HERE", "<a>", "a" * 600, "\ud800"]
)
sources = st.fixed_dictionaries(
    {},
    optional={
        "name": words,
        "urls": st.lists(links | words, max_size=3),
        "image": words,
        "imagePullSecrets": st.lists(words, max_size=2),
        "imagePushSecret": words,
        "volumeSource": st.just({}),
    },
)
presets = st.fixed_dictionaries(
    {"name": words | st.sampled_from(["phi-4", "llama-3.1-8b-instruct", "phi-2"])},
    optional={
        "accessMode": st.sampled_from(["public", "private", "x"]),
        "presetOptions": st.fixed_dictionaries(
            {},
            optional={
                "image": words,
                "modelAccessSecret": words,
                "imagePullSecrets": st.lists(words, max_size=2),
            },
        ),
    },
)
adapters = st.fixed_dictionaries(
    {}, optional={"source": sources, "strength": words | st.sampled_from(["1e999", "nan", "-0"])}
)
shaped = st.fixed_dictionaries(
    {
        "resource": st.fixed_dictionaries(
            {
                "labelSelector": st.fixed_dictionaries(
                    {},
                    optional={
                        "matchLabels": st.dictionaries(words, words, max_size=2),
                        "matchExpressions": st.lists(
                            st.fixed_dictionaries(
                                {"key": words, "operator": words},
                                optional={"values": st.lists(words, max_size=2)},
                            ),
                            max_size=2,
                        ),
                    },
                )
            },
            optional={
                "instanceType": words
                | st.sampled_from([name for _, name in CATALOG.skus][:40])
                | st.just("Standard_N"),
                "count": st.integers(),
                "preferredNodes": st.lists(words, max_size=2),
                "partition": st.fixed_dictionaries(
                    {"mode": st.sampled_from(["mig", "accelerator"])}, optional={"profile": words}
                ),
            },
        )
    },
    optional={
        "inference": st.fixed_dictionaries(
            {},
            optional={
                "preset": presets,
                "adapters": st.lists(adapters, max_size=2),
                "config": words,
            },
        ),
        "tuning": st.fixed_dictionaries(
            {"preset": presets, "input": sources, "output": sources}, optional={"method": words}
        ),
    },
)
broken = st.fixed_dictionaries(
    {}, optional={"resource": resources | anything, "inference": inferences, "tuning": anything}
)
notices = st.dictionaries(
    st.sampled_from(["kaito.sh/", *(f"kaito.sh/{name}" for name in ("runtime", "enablelb", "x"))])
    | st.text(max_size=8),
    st.text(max_size=8),
    max_size=3,
)


@settings(max_examples=200)
@given(
    new=shaped | broken,
    old=st.none() | shaped | broken,
    config=configs | st.just(Missing(name="c")),
    notes=notices | anything,
)
def test_judging_never_fails(new: Any, old: Any, config: Any, notes: Any) -> None:
    found = workspace(inference=None, resource=None)
    found |= new
    found["metadata"] = {**found["metadata"], "annotations": notes}
    before = None if old is None else workspace(inference=None) | old
    said = judge(found, before, catalog=CATALOG, settings=SETTINGS, config=config)
    for problem in said.problems:
        assert problem.message.isprintable()
        assert len(problem.message) <= 500
    decided(seen(held() | new, config=config))


HOSTILE = "A_" * 1024 + "HERE!"


def filled(schema: Object, text: str) -> Any:
    """A value that has as much of everything as a schema lets it have."""
    if "enum" in schema:
        return schema["enum"][-1]
    if "properties" in schema:
        return {name: filled(inner, text) for name, inner in schema["properties"].items()}
    match schema["type"]:
        case "object":
            inner = schema.get("additionalProperties")
            return (
                {f"{n}": filled(inner, text) for n in range(schema["maxProperties"])}
                if inner
                else {}
            )
        case "array":
            return [filled(schema["items"], text)] * schema["maxItems"]
        case "integer":
            return schema.get("maximum", 1)
    return text[: schema["maxLength"]]


@pytest.mark.parametrize("text", [HOSTILE, "https://" + "/A_B_HERE" * 300, "<" * 2048, "a." * 1024])
def test_the_largest_workspace_is_judged_by_looking_once_at_each_value(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pattern takes steps in proportion to its text (test_patterns.py), and each is asked no
    more than twice about a value: so all of it together costs no more than its size."""
    schema = crd(DEFINITION)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    parts = {name: schema["properties"][name] for name in ("resource", "inference", "tuning")}
    largest = workspace() | {name: filled(part, text) for name, part in parts.items()}
    looked_at = 0

    def counted(pattern: str, value: object) -> bool:
        nonlocal looked_at
        looked_at += len(str(value))
        return matches(pattern, value)

    for module in (data_rules, labels, references, workspace_rules):
        monkeypatch.setattr(module, "matches", counted)
    assert judge(largest, None, catalog=CATALOG, settings=SETTINGS).problems
    size = len(json.dumps(largest))
    assert size > 400_000
    assert looked_at <= 2 * size


def test_a_template_that_is_nested_too_deep_is_refused_with_words() -> None:
    deep: Object = {}
    for _ in range(2000):
        deep = {"a": deep}
    found = held(inference={"template": {"spec": {"containers": [{"name": "c"}], "x": deep}}})
    found["inference"].pop("preset")
    observation = seen(found)

    assert way_back(observation) is None
    assert says(decided(observation), "ResourceReady") == ("False", "InvalidSpec")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", "null", '"x"'])
def test_notes_that_are_none_say_nothing(text: str) -> None:
    noted = machine()
    metadata = {"name": "m", "annotations": {labels.FAILED_SIZES: text}}
    order = type(noted).model_validate({**noted.wire(), "metadata": metadata})
    revision = {
        "metadata": {
            "name": "w-1",
            "annotations": {UNDONE: text},
            "ownerReferences": [Subject(held()).owner],
        },
        "data": {},
        "revision": 1,
    }

    assert order.failed == ()
    (known,) = history(Subject(held()), [revision])
    assert known.undone is None
