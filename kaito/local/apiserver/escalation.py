"""Escalation: nobody grants by a role or a binding what they may not do themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.core import Call
from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.rbac import Attributes, Authorizer, path_matches
from kaito.local.apiserver.status import forbidden, not_found

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
ROLES = {"roles", "clusterroles"}
BINDINGS = {"rolebindings", "clusterrolebindings"}
PRINTED = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}


class Escalation:
    """Refuses roles and bindings that give more than their author has."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def mutate(self, review: Review) -> None:
        """Nothing is changed."""

    async def validate(self, review: Review) -> None:
        """Raises StatusError: 403 for what is not held, 404 for a role that does not exist."""
        call, obj, old = review.call, review.object, review.old
        if call.kind.group != GROUP or review.operation not in {"CREATE", "UPDATE"}:
            return
        if "system:masters" in call.user.groups:
            return
        if call.kind.plural in ROLES:
            if old is not None and old.get("rules") == obj.get("rules"):
                return
            if not self._may(call, "escalate", call.kind.plural, obj["metadata"].get("name", "")):
                self._check(call, obj, obj.get("rules") or [])
        elif call.kind.plural in BINDINGS:
            if old is not None and old.get("subjects") == obj.get("subjects"):
                return
            ref = obj.get("roleRef") or {}
            plural = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
            if self._may(call, "bind", plural, ref.get("name", "")):
                return
            rules = self._authorizer.role(ref, call.target.namespace)
            if rules is None:
                raise not_found(GROUP, call.kind.plural, ref.get("name", ""))
            self._check(call, obj, rules)

    def _may(self, call: Call, verb: str, plural: str, name: str) -> bool:
        namespace = call.target.namespace
        return self._authorizer.allows(
            Attributes(call.user, verb, GROUP, plural, "", namespace, name)
        )

    def _check(self, call: Call, obj: Object, rules: list[Object]) -> None:
        held = [g.rule for g in self._authorizer.grants(call.user, call.target.namespace)]
        missing = [p for r in rules for p in pieces(r) if not any(covers(h, p) for h in held)]
        if not missing:
            return
        listed = "\n".join(sorted({printed(r) for r in compact(missing)}))
        groups = " ".join(go_quote(g) for g in call.user.groups)
        why = (
            f"user {go_quote(call.user.name)} (groups=[{groups}]) is attempting to grant RBAC "
            f"permissions not currently held:\n{listed}"
        )
        raise forbidden(GROUP, call.kind.plural, obj["metadata"].get("name", ""), why)


def pieces(rule: Object) -> Iterator[Object]:
    """A rule cut into rules of one verb on one thing."""
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                piece = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                names = rule.get("resourceNames") or ()
                yield from ({**piece, "resourceNames": [n]} for n in names)
                if not names:
                    yield piece
    for url in rule.get("nonResourceURLs") or ():
        yield from ({"nonResourceURLs": [url], "verbs": [verb]} for verb in verbs)


def covers(held: Object, piece: Object) -> bool:
    """Whether a rule that somebody has contains a piece."""
    if not _has(held, "verbs", piece["verbs"][0]):
        return False
    if "nonResourceURLs" in piece:
        return path_matches(piece["nonResourceURLs"][0], held.get("nonResourceURLs") or ())
    resource = piece["resources"][0]
    _, slash, sub = resource.partition("/")
    resources = held.get("resources") or ()
    if not _has(held, "resources", resource) and not (slash and f"*/{sub}" in resources):
        return False
    names = held.get("resourceNames") or ()
    wanted = piece.get("resourceNames") or ()
    return _has(held, "apiGroups", piece["apiGroups"][0]) and (
        not names or bool(wanted and wanted[0] in names)
    )


def _has(held: Object, field: str, value: str) -> bool:
    found = held.get(field) or ()
    return "*" in found or value in found


def compact(found: list[Object]) -> list[Object]:
    """Pieces of the same thing as one rule with all their verbs."""
    merged: dict[str, Object] = {}
    for piece in found:
        if "nonResourceURLs" in piece:
            merged[repr(piece)] = piece
            continue
        thing = repr({k: v for k, v in piece.items() if k != "verbs"})
        known = merged.setdefault(thing, {**piece, "verbs": []})
        known["verbs"] = [*known["verbs"], *piece["verbs"]]
    return list(merged.values())


def printed(rule: Object) -> str:
    parts = [
        f"{shown}:[{' '.join(go_quote(v) for v in rule[field])}]"
        for field, shown in PRINTED.items()
        if rule.get(field)
    ]
    return "{" + ", ".join(parts) + "}"
