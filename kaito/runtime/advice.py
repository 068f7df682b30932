"""What somebody can do about a list or watch that the server refuses."""

from __future__ import annotations

from typing import Any

from kaito.runtime.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    NotFound,
    OversizedLine,
    Unauthorized,
)
from kaito.runtime.resource import Resource


def advice(error: Exception, resource: Resource[Any], verb: str, namespace: str) -> str:
    """One sentence with the way out, "" where only waiting helps.

    `verb` is list or watch; `namespace` is "" for all of them.
    """
    match error:
        case Forbidden():
            kind, where = "ClusterRole", ""
            if namespace:
                kind, where = "Role", f" of namespace {namespace}"
            return (
                f"to let us {verb} {resource}{where}, add to our {kind}{where} the rule "
                f"{rule(resource)}"
            )
        case NotFound():
            return (
                f"install the definition of {resource}, or correct its group, version or plural: "
                f"the server has no {resource.path()}"
            )
        case Unauthorized():
            return "renew the credentials: the server does not know who we are"
        case BadRequest():
            return f"correct the label or field selector of the informer of {resource}"
        case OversizedLine():
            return "select fewer objects or leave large ones out"
        case ApiError() if error.status.code == 405:
            return f"{resource} cannot be cached: the server offers no {verb} for it"
    return ""


def rule(resource: Resource[Any]) -> str:
    """The RBAC rule that an informer needs, as YAML that can be pasted under `rules`."""
    return (
        f'- {{apiGroups: ["{resource.group}"], resources: ["{resource.plural}"], '
        f'verbs: ["list", "watch"]}}'
    )
