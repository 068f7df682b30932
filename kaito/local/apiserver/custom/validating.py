"""What a custom resource definition may say, checked when it is written."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.fields import FieldError

Object = dict[str, Any]


def validate(obj: Object) -> list[FieldError]:
    return []


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return []
