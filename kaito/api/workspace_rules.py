"""The rules of a Workspace: what a schema cannot say about it.

Messages name the field and the way out. Values arrive as the API server stores them: wire names,
nulls dropped, types already checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from kaito.api import labels
from kaito.api.data_rules import ADAPTER_RULES, DATA_RULES
from kaito.api.rules import (
    Problem,
    Rule,
    Transition,
    UpdateRule,
    Wire,
    broken,
    broken_by_update,
)

# RFC 1035: what a Service, which takes the Workspace's name, may be called.
NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
NAME_LENGTH = labels.VALUE_LENGTH

METHODS = ("lora", "qlora")


def _named(value: JsonValue) -> bool:
    name = _field(_field(value, "metadata", {}), "name", "")
    return (
        isinstance(name, str)
        and len(name) <= NAME_LENGTH
        and re.fullmatch(NAME_PATTERN.removeprefix("^").removesuffix("$"), name) is not None
    )


def _has(value: JsonValue, key: str) -> bool:
    return isinstance(value, Mapping) and value.get(key) is not None


def _field(value: JsonValue, key: str, absent: JsonValue) -> JsonValue:
    return value.get(key, absent) if isinstance(value, Mapping) else absent


def _set(value: JsonValue, *keys: str) -> int:
    """How many of these fields hold something."""
    given = [_field(value, key, None) for key in keys]
    return sum(item is not None and item not in ("", []) for item in given)


def _equality(value: JsonValue) -> bool:
    values = _field(value, "values", [])
    one = isinstance(values, list) and len(values) == 1
    return _field(value, "operator", "") == "In" and one


def _same(key: str, absent: JsonValue) -> Transition:
    return lambda new, old: _field(new, key, absent) == _field(old, key, absent)


RULES: tuple[Rule, ...] = (
    Rule(
        path="",
        cel=f"self.metadata.name.size() <= {NAME_LENGTH} "
        f"&& self.metadata.name.matches('{NAME_PATTERN}')",
        holds=_named,
        message=f"metadata.name must have at most {NAME_LENGTH} characters, only lower-case "
        "letters, digits and '-', and start with a letter, because the Service takes this name.",
    ),
    Rule(
        path="",
        cel="has(self.inference) || has(self.tuning)",
        holds=lambda v: _has(v, "inference") or _has(v, "tuning"),
        message="Neither inference nor tuning is set: set inference to serve a model, "
        "or tuning to train one.",
    ),
    Rule(
        path="",
        cel="!(has(self.inference) && has(self.tuning))",
        holds=lambda v: not (_has(v, "inference") and _has(v, "tuning")),
        message="inference and tuning are both set: keep one, and put the other in a "
        "Workspace of its own.",
    ),
    Rule(
        path="inference",
        cel="has(self.preset) || has(self.template)",
        holds=lambda v: _has(v, "preset") or _has(v, "template"),
        message="inference has neither preset nor template: set preset.name to a model, "
        "or template to a Pod template.",
    ),
    Rule(
        path="inference",
        cel="!(has(self.preset) && has(self.template))",
        holds=lambda v: not (_has(v, "preset") and _has(v, "template")),
        message="inference has both preset and template: keep one of them.",
    ),
    Rule(
        path="resource.labelSelector.matchLabels",
        cel=f"self.all(k, k.size() <= {labels.KEY_LENGTH} "
        f"&& k.indexOf('/') <= {labels.PREFIX_LENGTH} && k.matches('{labels.KEY_PATTERN}'))",
        holds=lambda v: isinstance(v, Mapping) and all(labels.is_key(k) for k in v),
        message="resource.labelSelector.matchLabels has a key that is no label key: write "
        "name or prefix/name, the prefix as a DNS name, the name in at most 63 letters, "
        "digits, '-', '_' and '.'.",
    ),
    Rule(
        path="resource.labelSelector.matchExpressions[]",
        cel="self.operator == 'In' && has(self.values) && self.values.size() == 1",
        holds=_equality,
        message="resource.labelSelector.matchExpressions must say that one label equals one "
        "value (operator In with exactly one value): nodes are created with these labels.",
    ),
    Rule(
        path="resource.labelSelector.matchExpressions[].key",
        cel=f"self.size() <= {labels.KEY_LENGTH} "
        f"&& self.indexOf('/') <= {labels.PREFIX_LENGTH} && self.matches('{labels.KEY_PATTERN}')",
        holds=lambda v: isinstance(v, str) and labels.is_key(v),
        message="resource.labelSelector.matchExpressions has a key that is no label key: write "
        "name or prefix/name, the prefix as a DNS name, the name in at most 63 letters, "
        "digits, '-', '_' and '.'.",
    ),
    Rule(
        path="resource.partition",
        cel="self.mode == 'mig' ? (has(self.profile) && self.profile != '' && !has(self.count)) "
        ": (has(self.count) && (!has(self.profile) || self.profile == ''))",
        holds=lambda v: (
            _set(v, "profile") == 1 and not _has(v, "count")
            if _field(v, "mode", "") == "mig"
            else _has(v, "count") and _set(v, "profile") == 0
        ),
        message="resource.partition takes profile with mode mig, and count with mode "
        "accelerator, and not the other one.",
    ),
    *ADAPTER_RULES,
    Rule(
        path="tuning",
        cel="has(self.method) && self.method.lowerAscii() in ['lora', 'qlora']",
        holds=lambda v: str(_field(v, "method", "")).lower() in METHODS,
        message="tuning.method must be lora or qlora.",
    ),
    Rule(
        path="",
        cel="!has(self.tuning) || !has(self.resource.count) || self.resource.count == 1",
        holds=lambda v: not _has(v, "tuning") or _field(_field(v, "resource", {}), "count", 1) == 1,
        message="resource.count must be 1 for tuning, which runs on one node.",
    ),
    Rule(
        path="",
        cel="!has(self.tuning) || !has(self.resource.partition)",
        holds=lambda v: not (_has(v, "tuning") and _has(_field(v, "resource", {}), "partition")),
        message="resource.partition cannot be used for tuning, which takes whole GPUs.",
    ),
    *DATA_RULES,
)

UPDATE_RULES: tuple[UpdateRule, ...] = (
    UpdateRule(
        path="",
        cel="has(self.inference) == has(oldSelf.inference) "
        "&& has(self.tuning) == has(oldSelf.tuning)",
        holds=lambda new, old: (
            _has(new, "inference") == _has(old, "inference")
            and _has(new, "tuning") == _has(old, "tuning")
        ),
        message="A Workspace cannot change between inference and tuning: create another one.",
    ),
    UpdateRule(
        path="inference",
        cel="has(self.template) == has(oldSelf.template)",
        holds=lambda new, old: _has(new, "template") == _has(old, "template"),
        message="inference cannot change between preset and template: create another Workspace.",
    ),
    UpdateRule(
        path="inference.preset",
        cel="self.name == oldSelf.name",
        holds=_same("name", ""),
        message="inference.preset.name cannot be changed: delete the Workspace and create it "
        "again.",
    ),
    UpdateRule(
        path="tuning.preset",
        cel="self.name == oldSelf.name",
        holds=_same("name", ""),
        message="tuning.preset.name cannot be changed: delete the Workspace and create it again.",
    ),
    UpdateRule(
        path="tuning",
        cel="(has(self.method) ? self.method : '') == (has(oldSelf.method) ? oldSelf.method : '')",
        holds=_same("method", ""),
        message="tuning.method cannot be changed: delete the Workspace and create it again.",
    ),
    UpdateRule(
        path="tuning.input",
        cel="(has(self.name) ? self.name : '') == (has(oldSelf.name) ? oldSelf.name : '')",
        holds=_same("name", ""),
        message="tuning.input.name cannot be changed: delete the Workspace and create it again.",
    ),
    UpdateRule(
        path="resource",
        cel="(has(self.count) ? self.count : 1) == (has(oldSelf.count) ? oldSelf.count : 1)",
        holds=_same("count", 1),
        message="resource.count cannot be changed: delete the Workspace and create it again.",
    ),
    UpdateRule(
        path="resource",
        cel="(has(self.instanceType) ? self.instanceType : '') "
        "== (has(oldSelf.instanceType) ? oldSelf.instanceType : '')",
        holds=_same("instanceType", ""),
        message="resource.instanceType cannot be changed: delete the Workspace and create it "
        "again.",
    ),
    UpdateRule(
        path="resource",
        cel="has(self.partition) == has(oldSelf.partition) "
        "&& (!has(self.partition) || self.partition == oldSelf.partition)",
        holds=_same("partition", None),
        message="resource.partition cannot be changed: delete the Workspace and create it again.",
    ),
    UpdateRule(
        path="resource.labelSelector",
        cel="self == oldSelf",
        holds=lambda new, old: new == old,
        message="resource.labelSelector cannot be changed: delete the Workspace and create it "
        "again.",
    ),
)


def problems(workspace: Wire, *, new: bool = True) -> Iterator[Problem]:
    """The rules that a Workspace breaks; not `new`: one that exists, see `Rule`."""
    return broken(RULES, workspace, new=new)


def update_problems(workspace: Wire, old: Wire) -> Iterator[Problem]:
    """The rules that a change of a Workspace breaks."""
    return broken_by_update(UPDATE_RULES, workspace, old)
