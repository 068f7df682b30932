"""Each rule refuses what it names, and says the same in CEL and in Python."""

from __future__ import annotations

from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from kaito.api import labels
from kaito.api.rules import Rule, UpdateRule, explain, values_at
from kaito.api.workspace import Workspace
from kaito.api.workspace_rules import RULES, UPDATE_RULES, problems, update_problems

ENVIRONMENT = cel.NewEnv(
    variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN},
    extensions=[ext_strings.ExtStrings()],
)
COMPILED = {
    cel: ENVIRONMENT.compile(cel)
    for cel in (*(rule.expression for rule in RULES), *(rule.cel for rule in UPDATE_RULES))
    if cel
}

# The library that evaluates expressions here takes NUL for the end of a text; API servers do not.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
names = (
    st.sampled_from(["a", "ws", "a-1", "-a", "a-", "1a", "A", "a.b", "", "a" * 63, "a" * 64, "é"])
    | st.from_regex("[a-z][a-z0-9-]{0,5}", fullmatch=True)
    | texts
)
keys = (
    st.sampled_from(["a", "a/b", "/b", "a/", "a/b/c", "x.y/z", "X.y/z", "a..b/c", "f\n", ""])
    | st.sampled_from(["a" * 64, "b" * 63, "d" * 253 + "/e", "d" * 254 + "/e", labels.WORKSPACE])
    | st.text(alphabet="aZ9-_./\n", max_size=8)
    | texts
)
values = st.sampled_from(["", "v", "w", "a b", "-", "é", "v\n"])
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
        "instanceType": st.sampled_from(["", "a", "b", "a b"]),
        "preferredNodes": st.lists(names, max_size=2),
        "partition": partitions,
    },
)
images = (
    st.sampled_from(["", "i", "r.io/a/b:1", "R.io:5000/a__b-c@sha256:" + "0" * 32, "r.io/A", "a:"])
    | st.sampled_from(["ACR_REPO_HERE.azurecr.io/a:1", "<registry>/a", "${R}/a", "a//b", "a\n"])
    | st.text(alphabet="aA0./:@_-\n", max_size=8)
)
urls = (
    st.sampled_from(["https://a.b/c", "HTTP://a", "ftp://a", "http://u:p@a", "https://[::1]:8/x"])
    | st.sampled_from(["http://10.0.0.1", "http://a b", "http://", "DATA_URL_HERE", "http://a\n"])
    | st.text(alphabet="htps:/.a@[]\n", max_size=12)
)
sources = st.fixed_dictionaries(
    {},
    optional={
        "name": names,
        "urls": st.lists(urls, max_size=2),
        "image": images,
        "volumeSource": st.just({"emptyDir": {}}),
        "imagePushSecret": names,
        "imagePullSecrets": st.lists(names, max_size=2),
    },
)
strengths = st.sampled_from(
    ["", "1", "1.0", "0.5", ".5", "1.5", "-0", "0.", "1e-1", "+0.5", "00.5", "1e99", "1e-999", "x"]
) | st.text(alphabet="01.+-e", max_size=5)
adapters = st.fixed_dictionaries({}, optional={"source": sources, "strength": strengths})
options = st.fixed_dictionaries(
    {},
    optional={
        "image": images,
        "imagePullSecrets": st.lists(names, max_size=2),
        "modelAccessSecret": names,
    },
)
presets = st.fixed_dictionaries(
    {"name": st.sampled_from(["phi-2", "phi-4"])},
    optional={"accessMode": st.sampled_from(["public", "private"]), "presetOptions": options},
)
tunings = st.fixed_dictionaries(
    {"preset": presets} | {"input": sources, "output": sources},
    optional={
        "config": names,
        "method": st.sampled_from(["lora", "LoRA", "QLORA", "", "x", "K"]) | texts,
    },
)
inferences = st.fixed_dictionaries(
    {},
    optional={
        "preset": presets,
        "template": st.just({"spec": {}}),
        "config": names,
        "adapters": st.lists(adapters, max_size=3),
    },
)
workspaces = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"name": names}), "resource": resources},
    optional={"inference": inferences, "tuning": tunings},
)


def ask(expression: str, **variables: Any) -> bool:
    verdict = COMPILED[expression].eval(data=variables).value()
    assert isinstance(verdict, bool), verdict
    return verdict


def stands(rule: Rule, value: JsonValue) -> bool:
    """Whether a rule has nothing to say, given those that it presumes."""
    return (rule.presumes is not None and not stands_alone(rule.presumes, value)) or rule.holds(
        value
    )


def stands_alone(rule: Rule, value: JsonValue) -> bool:
    before = rule.presumes
    return (before is None or stands_alone(before, value)) and rule.holds(value)


@given(workspaces)
def test_expression_and_predicate_agree_about_an_object(wire: dict[str, Any]) -> None:
    for rule in RULES:
        for _, value in values_at(wire, rule.path):
            if rule.expression is not None:
                assert ask(rule.expression, self=value) is stands(rule, value), (rule, value)


@given(workspaces, workspaces)
def test_expression_and_predicate_agree_about_a_change(
    new: dict[str, Any], old: dict[str, Any]
) -> None:
    for rule in UPDATE_RULES:
        pairs = zip(values_at(new, rule.path), values_at(old, rule.path), strict=False)
        for (_, value), (_, before) in pairs if rule.cel else ():
            verdict = ask(str(rule.cel), self=value, oldSelf=before)
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
    "output": {"image": "r/i:1", "imagePushSecret": "s"},
}


def adapted(*adapters: dict[str, Any]) -> dict[str, Any]:
    return workspace(inference={"preset": {"name": "phi-2"}, "adapters": list(adapters)})


def tuned(**changes: Any) -> dict[str, Any]:
    return workspace(inference=None, tuning={**TUNING, **changes})


ADAPTER = {"source": {"name": "a", "image": "r.io/a:1"}, "strength": "1.0"}


def test_a_plain_workspace_breaks_no_rule() -> None:
    assert list(problems(workspace())) == []
    assert list(problems(tuned())) == []
    assert list(problems(adapted(ADAPTER))) == []


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (workspace(metadata={"name": "9lives"}), "must have at most 63"),
        (workspace(metadata={"name": "a" * 64}), "must have at most 63"),
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
        (tuned(method="full"), "tuning.method (full) must be"),
        (tuned(method=""), "tuning.method must be"),
        (tuned(config="a b"), "tuning.config (a b) must be the name of a ConfigMap"),
        (tuned(input={}), "tuning.input must have"),
        (tuned(input={"urls": ["http://[1]/x"]}), "(http://[1]/x) names no host"),
        (tuned(input={"urls": ["https://a.b/c"], "image": "r/i"}), "tuning.input must have"),
        (
            tuned(input={"urls": ["s3://bucket/data"]}),
            "(s3://bucket/data) must be an http",
        ),
        (
            tuned(input={"urls": ["https://u:p@a.b/c"]}),
            "(https://...a.b/c) must be an http",
        ),
        (tuned(input={"urls": ["http://169.254.169.254/"]}), "leads to an address inside"),
        (tuned(input={"urls": ["https://DATA_SET_HERE/x"]}), "still holds the placeholder"),
        (
            tuned(input={"image": "r.io/Upper:1"}),
            "image (r.io/Upper:1) is no image",
        ),
        (tuned(output={}), "tuning.output must have"),
        (tuned(output={"image": "r/i:1"}), "tuning.output.imagePushSecret is not set"),
        (
            tuned(output={"volumeSource": {"configMap": {"name": "c"}}}),
            "volumeSource is of a kind that cannot be written to",
        ),
        (
            tuned(output={"image": f"r.io/i@sha256:{'0' * 64}", "imagePushSecret": "s"}),
            ") has a digest, which is known once the result is pushed",
        ),
        (
            tuned(output={"image": "ACR_REPO_HERE.azurecr.io/i:1", "imagePushSecret": "s"}),
            "still holds the placeholder",
        ),
        (
            workspace(inference=None, tuning=TUNING, resource={"labelSelector": {}, "count": 2}),
            "resource.count (2) must be 1 for tuning",
        ),
        (adapted({"strength": "1"}), "inference.adapters[0].source is not set"),
        (adapted(ADAPTER, ADAPTER), "two adapters of one name"),
        (adapted({"source": {"image": "r.io/a:1"}}), "source.name must be lower-case"),
        (adapted({"source": {"name": "A_b", "image": "i"}}), "name (A_b) must be lower-case"),
        (adapted({"source": {"name": "a"}}), "exactly one of image and volumeSource"),
        (
            adapted({"source": {"name": "a", "image": "i", "urls": ["https://a.b/c"]}}),
            "source.urls cannot be used",
        ),
        (adapted({**ADAPTER, "strength": "2"}), "must be a number from 0 to 1"),
        (adapted({"source": {"name": "a", "image": "r.io/A:1"}}), "is no image reference"),
        (adapted({"source": {"name": "a", "urls": ["u"]}}), "source.urls cannot be used"),
        (
            workspace(inference={"preset": {"name": "phi-2", "accessMode": "private"}}),
            "presetOptions.image is not set, and accessMode is private",
        ),
        (
            workspace(resource={"labelSelector": {"matchLabels": {"a": "b c"}}}),
            "resource.labelSelector.matchLabels[a] (b c) must be letters",
        ),
        (
            workspace(resource={"labelSelector": {}, "instanceType": "a b"}),
            "resource.instanceType (a b) must be letters",
        ),
        (
            workspace(resource={"labelSelector": {}, "preferredNodes": ["n", "N_1"]}),
            "resource.preferredNodes[1] (N_1) must be the name of a Node",
        ),
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
        (
            {"inference": {"preset": {"name": "phi-4"}}},
            "inference.preset.name cannot be changed from phi-2 to phi-4: delete",
        ),
        ({"resource": {"count": 2}}, "resource.count cannot be changed from nothing to 2: delete"),
        (
            {"resource": {"instanceType": "x"}},
            "resource.instanceType cannot be changed from nothing to x: delete",
        ),
        (
            {"metadata": {"name": "w", "annotations": {"kaito.sh/model-streaming": "disabled"}}},
            "metadata.annotations[kaito.sh/model-streaming] cannot be changed: delete",
        ),
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


def test_the_options_of_a_preset_may_be_corrected() -> None:
    options = {"presetOptions": {"modelAccessSecret": "token"}}
    corrected = workspace(inference={"preset": {"name": "phi-2", **options}})
    assert list(update_problems(corrected, workspace())) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"preset": {"name": "phi-4"}}, "tuning.preset.name"),
        ({"method": "lora"}, "tuning.method"),
        ({"input": {"urls": ["https://a.b/c"], "name": "other"}}, "tuning.input.name"),
    ],
)
def test_what_a_tuning_is_about_cannot_be_changed(changes: dict[str, Any], path: str) -> None:
    found = list(update_problems(tuned(**changes), tuned()))
    assert [(p.path, "cannot be changed" in p.message) for p in found] == [(path, True)]


def test_the_data_of_a_tuning_may_be_changed() -> None:
    other = tuned(
        input={"urls": ["https://a.b/d"]}, output={"image": "r/i:2", "imagePushSecret": "s"}
    )
    assert list(update_problems(other, tuned())) == []


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        (workspace(resource={}), "resource.labelSelector"),
        (workspace(resource={"labelSelector": {}, "count": "two"}), "resource.count"),
        (workspace(inference={"preset": {"name": ""}}), "inference.preset.name"),
        (
            workspace(resource={"labelSelector": {"matchLabels": {"a": "b" * 64}}}),
            "resource.labelSelector.matchLabels.a",
        ),
        (
            workspace(inference={"adapters": [{}, {"strength": 1}]}),
            "inference.adapters[1].strength",
        ),
    ],
)
def test_what_does_not_fit_the_schema_is_named_by_its_path(wire: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Workspace.model_validate(wire)
    assert [p.path for p in explain(refused.value)] == [path]


def test_every_wrong_item_of_a_list_is_told_with_its_place() -> None:
    wire = tuned(input={"urls": ["ftp://a", "https://a.b/c", "http://minio/x", "A_B_HERE"]})
    found = {p.path: p.message for p in problems(wire)}
    assert [found[f"tuning.input.urls[{n}]"].partition(" ")[2][:20] for n in (0, 2, 3)] == [
        "(ftp://a) must be an",
        "(http://minio/x) lea",
        "(A_B_HERE) still hol",
    ]
    assert len(found) == 3


def test_secrets_in_an_address_are_not_told() -> None:
    (problem,) = problems(tuned(input={"urls": ["ftp://ann:pass@a.b/c?sig=key#part"]}))
    assert "(ftp://...a.b/c?...) must be" in problem.message


def test_what_a_rule_presumes_comes_before_it() -> None:
    for place, rule in enumerate(RULES):
        assert rule.presumes is None or rule.presumes in RULES[:place], rule.path
        assert rule.presumes is None or rule.presumes.path == rule.path


def test_every_message_says_what_it_is_about() -> None:
    told: list[Rule | UpdateRule] = [*RULES, *UPDATE_RULES]
    for rule in told:
        about = f"{rule.path}.{rule.field}".strip(".").replace("{}", "")
        assert rule.message.startswith(about), rule.message


def test_every_key_that_we_write_is_a_label_key() -> None:
    written = [v for k, v in vars(labels).items() if k.isupper() and isinstance(v, str)]
    assert all(labels.is_key(v) for v in written if "/" in v and not v.startswith("^"))
