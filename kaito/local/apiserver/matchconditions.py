"""Match conditions of webhooks: expressions over a write, and over what its author may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from kaito.local.apiserver.cel.expressions import (
    Expression,
    Place,
    Uncompilable,
    compile_expression,
)
from kaito.local.apiserver.cel.types import BOOL, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of
from kaito.local.apiserver.cel.values import CelError
from kaito.local.apiserver.core import User
from kaito.local.apiserver.rbac import Attributes, account_groups

Object = dict[str, Any]
Decide = Callable[[Attributes], tuple[bool, str]]
BUDGET = 2_500_000  # what all conditions of one webhook may cost
AUTH = "kubernetes.authorization."
REQUEST_RESOURCE = "authorizer.requestResource"


class Unusable(ValueError):
    """A condition that does not compile; the message is what is told."""


def _object(name: str) -> Type:
    return Type("object", f"kubernetes.{name}")


TEXTS, LABELS = list_of(STRING), map_of(STRING, STRING)
FIELDS: dict[str, dict[str, Type]] = {
    "kubernetes.GroupVersionKind": dict.fromkeys(("group", "version", "kind"), STRING),
    "kubernetes.GroupVersionResource": dict.fromkeys(("group", "version", "resource"), STRING),
    "kubernetes.UserInfo": {
        "username": STRING,
        "uid": STRING,
        "groups": TEXTS,
        "extra": map_of(STRING, TEXTS),
    },
    "kubernetes.AdmissionRequest": {
        **dict.fromkeys(
            ("subResource", "requestSubResource", "name", "namespace", "operation"), STRING
        ),
        **dict.fromkeys(("kind", "requestKind"), _object("GroupVersionKind")),
        **dict.fromkeys(("resource", "requestResource"), _object("GroupVersionResource")),
        "userInfo": _object("UserInfo"),
        "dryRun": BOOL,
        "options": DYN,
    },
    "kubernetes.Namespace": {
        "metadata": _object("NamespaceMetadata"),
        "spec": _object("NamespaceSpec"),
        "status": _object("NamespaceStatus"),
    },
    "kubernetes.NamespaceSpec": {"finalizers": TEXTS},
    "kubernetes.NamespaceStatus": {
        "conditions": list_of(_object("NamespaceCondition")),
        "phase": STRING,
    },
    "kubernetes.NamespaceCondition": {
        **dict.fromkeys(("status", "type", "message", "reason"), STRING),
        "lastTransitionTime": TIMESTAMP,
    },
    "kubernetes.NamespaceMetadata": {
        **dict.fromkeys(("name", "generateName", "namespace", "UID", "resourceVersion"), STRING),
        **dict.fromkeys(("labels", "annotations"), LABELS),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), TIMESTAMP),
        **dict.fromkeys(("deletionGracePeriodSeconds", "generation"), INT),
        "finalizers": TEXTS,
    },
}
PLACE = Place(
    {
        "object": DYN,
        "oldObject": DYN,
        "namespaceObject": _object("Namespace"),
        "request": _object("AdmissionRequest"),
        "authorizer": Type("object", f"{AUTH}Authorizer"),
        REQUEST_RESOURCE: Type("object", f"{AUTH}ResourceCheck"),
    },
    FIELDS,
)


@lru_cache(256)
def compiled(text: str) -> Expression:
    """Raises Unusable."""
    try:
        found = compile_expression(text, PLACE)
    except Uncompilable as error:
        raise Unusable(str(error)) from error
    if found.type != BOOL:
        raise Unusable(f"must evaluate to bool but got {found.type}")
    return found


def failed(conditions: list[Object], variables: Object) -> tuple[bool, list[str]]:
    """Is a condition false, and else what went wrong in evaluating them."""
    faults: list[str] = []
    left = BUDGET
    for condition in conditions:
        text = condition["expression"].strip()
        try:
            value, cost = compiled(text).evaluate(variables, limit=left)
        except CelError as error:
            faults.append(f"expression '{text}' resulted in error: {error}")
            continue
        left -= cost
        if value is False:
            return True, []
    return False, faults


@dataclass(frozen=True, slots=True)
class Decision:
    """What an authorizer has said."""

    cel_type: ClassVar[str] = f"{AUTH}Decision"
    allowed: bool
    reason: str

    def cel_allowed(self) -> bool:
        return self.allowed

    def cel_reason(self) -> str:
        return self.reason

    def cel_errored(self) -> bool:
        return False

    def cel_error(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question in the making, about a resource or a path."""

    wanted: Attributes
    decide: Decide
    cel_type: str

    def _with(self, kind: str = "", **parts: Any) -> Question:
        return Question(
            replace(self.wanted, **parts), self.decide, f"{AUTH}{kind}" if kind else self.cel_type
        )

    def cel_path(self, path: str) -> Question:
        if not path:
            raise CelError("path must not be empty")
        return self._with("PathCheck", path=path)

    def cel_group(self, group: str) -> Question:
        return self._with("GroupCheck", group=group)

    def cel_serviceAccount(self, namespace: str, name: str) -> Question:  # noqa: N802 the language's
        user = f"system:serviceaccount:{namespace}:{name}"
        groups = ("system:authenticated", *account_groups(user))
        return self._with(user=User(user, groups))

    def cel_resource(self, resource: str) -> Question:
        if not resource:
            raise CelError("resource must not be empty")
        return self._with("ResourceCheck", resource=resource)

    def cel_subresource(self, subresource: str) -> Question:
        return self._with(subresource=subresource)

    def cel_namespace(self, namespace: str) -> Question:
        return self._with(namespace=namespace)

    def cel_name(self, name: str) -> Question:
        return self._with(name=name)

    def cel_fieldSelector(self, _: str) -> Question:  # noqa: N802 the language's
        return self

    def cel_labelSelector(self, _: str) -> Question:  # noqa: N802 the language's
        return self

    def cel_check(self, verb: str) -> Decision:
        return Decision(*self.decide(replace(self.wanted, verb=verb)))


def authorizing(user: User, request: Object, decide: Decide) -> Object:
    """The variables that ask what somebody may do."""
    plain = Attributes(user, "")
    resource = request["resource"]
    own = replace(
        plain,
        group=resource["group"],
        resource=resource["resource"],
        subresource=request.get("subResource", ""),
        namespace=request.get("namespace", ""),
        name=request.get("name", ""),
    )
    return {
        "authorizer": Question(plain, decide, f"{AUTH}Authorizer"),
        REQUEST_RESOURCE: Question(own, decide, f"{AUTH}ResourceCheck"),
    }
