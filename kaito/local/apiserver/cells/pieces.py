"""Pieces that the cells of several kinds share."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.scales import selector_text
from kaito.local.apiserver.tables import age

Object = dict[str, Any]
NONE, UNKNOWN, UNSET = "<none>", "<unknown>", "<unset>"


def name(obj: Object) -> str:
    found: str = obj["metadata"].get("name", "")
    return found


def made(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def containers(spec: Object) -> tuple[str, str]:
    """Names and images of a template's containers."""
    found = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return (",".join(c.get("name", "") for c in found), ",".join(c.get("image", "") for c in found))


def selector(value: Any) -> str:
    return selector_text(value) or NONE
