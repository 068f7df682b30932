"""Each rule refuses what it names, and says the same in CEL and in Python."""

from __future__ import annotations

from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kaito.api import labels
from kaito.api.rules import explain, values_at
from kaito.api.workspace import Workspace
from kaito.api.workspace_rules import RULES, UPDATE_RULES, problems, update_problems

ENVIRONMENT = cel.NewEnv(
    variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN},
    extensions=[ext_strings.ExtStrings()],
)
COMPILED = {rule.cel: ENVIRONMENT.compile(rule.cel) for rule in (*RULES, *UPDATE_RULES) if rule.cel}

names = (
    st.sampled_from(["a", "ws", "a-1", "-a", "a-", "1a", "A", "a.b", "", "a" * 63, "a" * 64, "é"])
    | st.from_regex("[a-z][a-z0-9-]{0,5}", fullmatch=True)
    | st.text(max_size=8)
)
keys = (
    st.sampled_from(["a", "a/b", "/b", "a/", "a/b/c", "x.y/z", "X.y/z", "a..b/c", "f\n", ""])
    | st.sampled_from(["a" * 64, "b" * 63, "d" * 253 + "/e", "d" * 254 + "/e", labels.WORKSPACE])
    | st.text(alphabet="aZ9-_./\n", max_size=8)
    | st.text(max_size=5)
)
values = st.sampled_from(["", "v", "w"])
requirements = st.fixed_dictionaries(
    {"key": keys, "operator": st.sampled_from(["In", "NotIn", "Exists", "in"])},
    optional={"values": st.lists(values, max_size=3)},
)
selectors = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(keys, values, max_size=3),
        "matchExpressions": st.lists(requirements, max_size=2),
    },
)
partitions = st.fixed_dictionaries(
    {"mode": st.sampled_from(["mig", "accelerator"])},
    optional={"profile": st.sampled_from(["", "1g.5gb"]), "count": st.integers(1, 3)},
)
resources = st.fixed_dictionaries(
    {"labelSelector": selectors},
    optional={
        "count": st.integers(1, 2),
        "instanceType": st.sampled_from(["", "a", "b"]),
        "partition": partitions,
    },
)
inferences = st.fixed_dictionaries(
    {}, optional={"preset": st.just({"name": "phi-2"}), "template": st.just({"spec": {}})}
)
sources = st.fixed_dictionaries(
    {},
    optional={
        "urls": st.lists(st.just("https://a.b/c"), max_size=2),
        "image": st.sampled_from(["", "i"]),
        "volumeSource": st.just({"emptyDir": {}}),
    },
)
tunings = st.fixed_dictionaries(
    {"preset": st.just({"name": "phi-2"}), "input": sources, "output": sources},
    optional={"method": st.sampled_from(["lora", "LoRA", "QLORA", "", "x", "K"]) | st.text()},
)
workspaces = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": names}), "resource": resources},
    optional={"inference": inferences, "tuning": tunings},
)


def ask(expression: str, **variables: Any) -> bool:
    verdict = COMPILED[expression].eval(data=variables).value()
    assert isinstance(verdict, bool), verdict
    return verdict


@given(workspaces)
def test_expression_and_predicate_agree_about_an_object(wire: dict[str, Any]) -> None:
    for rule in RULES:
        for value in values_at(wire, rule.path):
            if rule.cel is not None:
                assert ask(rule.cel, self=value) is rule.holds(value), (rule.cel, value)


@given(workspaces, workspaces)
def test_expression_and_predicate_agree_about_a_change(
    new: dict[str, Any], old: dict[str, Any]
) -> None:
    for rule in UPDATE_RULES:
        pairs = zip(values_at(new, rule.path), values_at(old, rule.path), strict=False)
        for value, before in pairs:
            verdict = ask(rule.cel, self=value, oldSelf=before)
            assert verdict is rule.holds(value, before), (rule.cel, value, before)


@given(workspaces)
def test_nothing_that_did_not_change_is_refused(wire: dict[str, Any]) -> None:
    assert list(update_problems(wire, wire)) == []


def workspace(**changes: Any) -> dict[str, Any]:
    wire = {
        "metadata": {"name": "w"},
        "resource": {"labelSelector": {"matchLabels": {"apps": "phi"}}},
        "inference": {"preset": {"name": "phi-2"}},
    }
    return {k: v for k, v in (wire | changes).items() if v is not None}


TUNING = {
    "preset": {"name": "phi-2"},
    "method": "qlora",
    "input": {"urls": ["https://a.b/c"]},
    "output": {"image": "r/i:1"},
}


def test_a_plain_workspace_breaks_no_rule() -> None:
    assert list(problems(workspace())) == []
    assert list(problems(workspace(inference=None, tuning=TUNING))) == []


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (workspace(metadata={"name": "9lives"}), "metadata.name must have at most 63"),
        (workspace(metadata={"name": "a" * 64}), "metadata.name must have at most 63"),
        (workspace(inference=None), "Neither inference nor tuning is set"),
        (workspace(tuning=TUNING), "inference and tuning are both set"),
        (workspace(inference={}), "inference has neither preset nor template"),
        (workspace(inference={"preset": {}, "template": {}}), "inference has both preset"),
        (
            workspace(resource={"labelSelector": {"matchLabels": {"a b": "c"}}}),
            "matchLabels has a key that is no label key",
        ),
        (
            workspace(
                resource={
                    "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
                }
            ),
            "one label equals one value",
        ),
        (
            workspace(resource={"labelSelector": {}, "partition": {"mode": "mig", "count": 1}}),
            "resource.partition takes profile with mode mig",
        ),
        (workspace(inference=None, tuning=TUNING | {"method": "full"}), "tuning.method must be"),
        (workspace(inference=None, tuning=TUNING | {"input": {}}), "tuning.input must have"),
        (workspace(inference=None, tuning=TUNING | {"output": {}}), "tuning.output must have"),
    ],
)
def test_a_broken_rule_says_what_to_do(wire: dict[str, Any], message: str) -> None:
    found = list(problems(wire))
    assert len(found) == 1
    assert message in found[0].message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inference": None, "tuning": TUNING}, "cannot change between inference and tuning"),
        ({"inference": {"template": {}}}, "cannot change between preset and template"),
        ({"resource": {"count": 2}}, "resource.count cannot be changed"),
        ({"resource": {"instanceType": "x"}}, "resource.instanceType cannot be changed"),
        (
            {"resource": {"partition": {"mode": "mig", "profile": "1g.5gb"}}},
            "resource.partition cannot be changed",
        ),
        ({"resource": {"labelSelector": {}}}, "resource.labelSelector cannot be changed"),
    ],
)
def test_what_cannot_be_changed_says_so(changes: dict[str, Any], message: str) -> None:
    old = workspace()
    if "resource" in changes:
        changes = {"resource": {**old["resource"], **changes["resource"]}}
    found = list(update_problems(workspace(**changes), old))
    assert [message in p.message for p in found] == [True]


def test_the_default_count_may_be_left_out_or_written_down() -> None:
    written = workspace(resource={"count": 1, "labelSelector": {}})
    silent = workspace(resource={"labelSelector": {}})
    assert list(update_problems(written, silent)) == []


def test_a_preset_may_be_corrected() -> None:
    corrected = workspace(inference={"preset": {"name": "phi-3"}})
    assert list(update_problems(corrected, workspace())) == []


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        (workspace(resource={}), "resource.labelSelector"),
        (workspace(resource={"labelSelector": {}, "count": "two"}), "resource.count"),
        (workspace(inference={"preset": {"name": ""}}), "inference.preset.name"),
        (
            workspace(resource={"labelSelector": {"matchLabels": {"a": "b c"}}}),
            "resource.labelSelector.matchLabels.a",
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_named_by_its_path(wire: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Workspace.model_validate(wire)
    assert [p.path for p in explain(refused.value)] == [path]


def test_every_key_that_we_write_is_a_label_key() -> None:
    written = [v for k, v in vars(labels).items() if k.isupper() and isinstance(v, str)]
    assert all(labels.is_key(v) for v in written if "/" in v and not v.startswith("^"))
