"""The rules of a Workspace: what a schema cannot say about it.

Messages name the field and the way out. Values arrive as the API server stores them: wire names,
nulls dropped, types already checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from pydantic import JsonValue

from kaito.api import labels
from kaito.api.data_rules import ADAPTER_RULES, DATA_RULES
from kaito.api.patterns import LABEL_KEY, LABEL_VALUE, SERVICE, matches
from kaito.api.references import image_rules, name_rule
from kaito.api.rules import (
    Problem,
    Rule,
    UpdateRule,
    Wire,
    broken,
    broken_by_update,
    has,
    joined,
    part,
)

NAME_LENGTH = labels.VALUE_LENGTH  # of the Service, which takes the Workspace's name
METHODS = ("lora", "qlora")
SELECTOR = "resource.labelSelector"
_KEY = (
    "that is no label key: write name or prefix/name, the prefix as a DNS name, the name in at "
    "most 63 letters, digits, '-', '_' and '.'."
)
_VALUE = (
    "must be letters, digits, '-', '_' and '.', with a letter or digit at both ends: nodes carry "
    "it as a label."
)
AGAIN = "delete the Workspace and create it again."


def _named(value: JsonValue) -> bool:
    name = part(value, "metadata.name", "")
    return isinstance(name, str) and len(name) <= NAME_LENGTH and matches(SERVICE, name)


def _equality(value: JsonValue) -> bool:
    values = part(value, "values", [])
    one = isinstance(values, list) and len(values) == 1
    return part(value, "operator") == "In" and one


def _partitioned(value: JsonValue) -> bool:
    given = bool(part(value, "profile")), has(value, "count")
    modes = {"mig": (True, False), "accelerator": (False, True)}
    return modes.get(str(part(value, "mode")), given) == given


def _label_value(path: str) -> Rule:
    return Rule(
        path=path,
        cel=f"self.matches(r'{LABEL_VALUE}')",
        holds=lambda v: matches(LABEL_VALUE, v),
        message=f"{path.removesuffix('{}')} {_VALUE}",
    )


def _preset_rules(path: str) -> tuple[Rule, ...]:
    options = f"{path}.presetOptions"
    return (
        Rule(
            path=path,
            field="presetOptions.image",
            cel="!has(self.accessMode) || self.accessMode != 'private' "
            "|| (has(self.presetOptions) && has(self.presetOptions.image) "
            "&& self.presetOptions.image != '')",
            holds=lambda v: (
                part(v, "accessMode") != "private" or bool(part(v, "presetOptions.image"))
            ),
            message=f"{options}.image is not set, and accessMode is private: name the model's "
            "image there, and its Secrets in imagePullSecrets.",
        ),
        *image_rules(f"{options}.image"),
        name_rule(f"{options}.imagePullSecrets[]", "Secret"),
        name_rule(f"{options}.modelAccessSecret", "Secret"),
    )


RULES: tuple[Rule, ...] = (
    Rule(
        path="",
        field="metadata.name",
        cel=f"self.metadata.name.size() <= {NAME_LENGTH} "
        f"&& self.metadata.name.matches('{SERVICE}')",
        holds=_named,
        message=f"metadata.name must have at most {NAME_LENGTH} characters, only lower-case "
        "letters, digits and '-', and start with a letter, because the Service takes this name.",
    ),
    Rule(
        path="",
        cel="has(self.inference) || has(self.tuning)",
        holds=lambda v: has(v, "inference") or has(v, "tuning"),
        message="Neither inference nor tuning is set: set inference to serve a model, "
        "or tuning to train one.",
    ),
    Rule(
        path="",
        cel="!(has(self.inference) && has(self.tuning))",
        holds=lambda v: not (has(v, "inference") and has(v, "tuning")),
        message="inference and tuning are both set: keep one, and put the other in a "
        "Workspace of its own.",
    ),
    Rule(
        path="inference",
        cel="has(self.preset) || has(self.template)",
        holds=lambda v: has(v, "preset") or has(v, "template"),
        message="inference has neither preset nor template: set preset.name to a model, "
        "or template to a Pod template.",
    ),
    Rule(
        path="inference",
        cel="!(has(self.preset) && has(self.template))",
        holds=lambda v: not (has(v, "preset") and has(v, "template")),
        message="inference has both preset and template: keep one of them.",
    ),
    _label_value("resource.instanceType"),
    Rule(
        path=f"{SELECTOR}.matchLabels",
        cel=f"self.all(k, k.size() <= {labels.KEY_LENGTH} "
        f"&& k.indexOf('/') <= {labels.PREFIX_LENGTH} && k.matches(r'{LABEL_KEY}'))",
        holds=lambda v: isinstance(v, Mapping) and all(labels.is_key(k) for k in v),
        message=f"{SELECTOR}.matchLabels has a key {_KEY}",
    ),
    _label_value(f"{SELECTOR}.matchLabels{{}}"),
    Rule(
        path=f"{SELECTOR}.matchExpressions[]",
        cel="self.operator == 'In' && has(self.values) && self.values.size() == 1",
        holds=_equality,
        message=f"{SELECTOR}.matchExpressions[] must say that one label equals one value (operator "
        "In with exactly one value): nodes are created with these labels.",
    ),
    Rule(
        path=f"{SELECTOR}.matchExpressions[].key",
        cel=f"self.size() <= {labels.KEY_LENGTH} "
        f"&& self.indexOf('/') <= {labels.PREFIX_LENGTH} && self.matches(r'{LABEL_KEY}')",
        holds=lambda v: isinstance(v, str) and labels.is_key(v),
        message=f"{SELECTOR}.matchExpressions[].key is one {_KEY}",
    ),
    _label_value(f"{SELECTOR}.matchExpressions[].values[]"),
    name_rule("resource.preferredNodes[]", "Node"),
    Rule(
        path="resource.partition",
        cel="self.mode == 'mig' ? (has(self.profile) && self.profile != '' && !has(self.count)) "
        ": (has(self.count) && (!has(self.profile) || self.profile == ''))",
        holds=_partitioned,
        message="resource.partition takes profile with mode mig, and count with mode "
        "accelerator, and not the other one.",
    ),
    *_preset_rules("inference.preset"),
    name_rule("inference.config", "ConfigMap"),
    *ADAPTER_RULES,
    *_preset_rules("tuning.preset"),
    Rule(
        path="tuning",
        field="method",
        cel="has(self.method) && self.method.lowerAscii() in ['lora', 'qlora']",
        holds=lambda v: str(part(v, "method", "")).lower() in METHODS,
        message="tuning.method must be lora or qlora.",
    ),
    name_rule("tuning.config", "ConfigMap"),
    Rule(
        path="",
        field="resource.count",
        cel="!has(self.tuning) || !has(self.resource.count) || self.resource.count == 1",
        holds=lambda v: not has(v, "tuning") or part(v, "resource.count", 1) == 1,
        message="resource.count must be 1 for tuning, which runs on one node.",
    ),
    Rule(
        path="",
        field="resource.partition",
        cel="!has(self.tuning) || !has(self.resource.partition)",
        holds=lambda v: not (has(v, "tuning") and has(part(v, "resource"), "partition")),
        message="resource.partition cannot be used for tuning, which takes whole GPUs.",
    ),
    *DATA_RULES,
)


def _unchanged(field: str, absent: JsonValue, new: JsonValue, old: JsonValue) -> bool:
    return part(new, field, absent) == part(old, field, absent)


def _fixed(path: str, field: str, absent: str | int | None = None) -> UpdateRule:
    """A field that stays as it is; `absent` is what it means when it is not there."""
    if absent is None:
        cel = (
            f"has(self.{field}) == has(oldSelf.{field}) "
            f"&& (!has(self.{field}) || self.{field} == oldSelf.{field})"
        )
    else:
        new, old = (f"(has({o}.{field}) ? {o}.{field} : {absent!r})" for o in ("self", "oldSelf"))
        cel = f"{new} == {old}"
    return UpdateRule(
        path=path,
        field=field,
        cel=cel,
        holds=partial(_unchanged, field, absent),
        message=f"{joined(path, field)} cannot be changed: {AGAIN}",
    )


UPDATE_RULES: tuple[UpdateRule, ...] = (
    UpdateRule(
        path="",
        cel="has(self.inference) == has(oldSelf.inference) "
        "&& has(self.tuning) == has(oldSelf.tuning)",
        holds=lambda new, old: all(has(new, k) == has(old, k) for k in ("inference", "tuning")),
        message="A Workspace cannot change between inference and tuning: create another one.",
    ),
    UpdateRule(
        path="inference",
        cel="has(self.template) == has(oldSelf.template)",
        holds=lambda new, old: has(new, "template") == has(old, "template"),
        message="inference cannot change between preset and template: create another Workspace.",
    ),
    _fixed("inference.preset", "name", ""),
    _fixed("tuning.preset", "name", ""),
    _fixed("tuning", "method", ""),
    _fixed("tuning.input", "name", ""),
    _fixed("resource", "count", 1),
    _fixed("resource", "instanceType", ""),
    _fixed("resource", "partition"),
    _fixed("resource", "labelSelector"),
    UpdateRule(
        path="metadata",
        field=f"annotations[{labels.MODEL_STREAMING}]",
        cel=None,  # it sees no annotations
        holds=lambda new, old: _streaming(new) == _streaming(old),
        message=f"metadata.annotations[{labels.MODEL_STREAMING}] cannot be changed: {AGAIN}",
    ),
)


def _streaming(metadata: JsonValue) -> JsonValue:
    noted = part(metadata, "annotations")
    return noted.get(labels.MODEL_STREAMING) if isinstance(noted, Mapping) else None


def problems(workspace: Wire, *, new: bool = True) -> Iterator[Problem]:
    """The rules that a Workspace breaks; not `new`: one that exists, see `Rule`."""
    return broken(RULES, workspace, new=new)


def update_problems(workspace: Wire, old: Wire) -> Iterator[Problem]:
    """The rules that a change of a Workspace breaks."""
    return broken_by_update(UPDATE_RULES, workspace, old)
