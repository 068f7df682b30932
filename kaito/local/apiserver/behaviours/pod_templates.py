"""Kinds that hold a template of pods: what every one of them does with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_defaults import default_template, drop_disabled
from kaito.local.apiserver.behaviours.pod_rules import check_template
from kaito.local.apiserver.behaviours.pod_warnings import template_warnings
from kaito.local.apiserver.fields import FieldError

Object = dict[str, Any]


def holding(behaviour: Behaviour, path: str) -> Behaviour:
    """The behaviour of a kind with a template at a dotted path: it drops from it and warns."""

    def template(obj: Object) -> Object:
        for part in path.split("."):
            obj = obj.get(part) or {}
        return obj

    def before_create(new: Object) -> None:
        drop_disabled(template(new).get("spec") or {})
        behaviour.before_create(new)

    def before_update(new: Object, old: Object) -> None:
        drop_disabled(template(new).get("spec") or {})
        behaviour.before_update(new, old)

    def warnings(new: Object) -> list[str]:
        return [*template_warnings(template(new), path), *behaviour.warnings(new)]

    return replace(
        behaviour, before_create=before_create, before_update=before_update, warnings=warnings
    )


def default(obj: Object) -> None:
    default_template(obj.setdefault("template", {}))


def validate(obj: Object) -> list[FieldError]:
    return check_template(obj.get("template") or {}, "template")


POD_TEMPLATES = Behaviour(
    default=default,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    generation=True,
)
