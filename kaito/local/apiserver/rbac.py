"""Authorization: everybody who is known may do everything, or roles decide when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.core import Core, User

Object = dict[str, Any]


def account_groups(user: str) -> list[str]:
    """The groups that a service account is in by its name."""
    parts = user.split(":")
    if len(parts) != 4 or not user.startswith("system:serviceaccount:"):
        return []
    return ["system:serviceaccounts", f"system:serviceaccounts:{parts[2]}"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do: to a resource, or to a path when `path` is set."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Authorizer:
    """Allows or not; `reason` says which binding allowed it."""

    def __init__(self, core: Core, *, enforced: bool) -> None:
        self._core = core
        self._enforced = enforced

    def allows(self, wanted: Attributes) -> bool:
        return self.decide(wanted)[0]

    def decide(self, wanted: Attributes) -> tuple[bool, str]:
        user = wanted.user
        if "system:masters" in user.groups:
            return True, ""
        if user.name == "system:anonymous" and not (self._enforced or wanted.path):
            return False, ""
        for rule, why in self.rules(user, wanted.namespace):
            if rule_allows(rule, wanted):
                return True, why
        return False, ""

    def rules(self, user: User, namespace: str) -> Iterator[tuple[Object, str]]:
        """The rules that hold for a user, with the sentence that names their binding."""
        for binding in self._objects("clusterrolebindings"):
            who = subject_of(binding, user, "")
            if who:
                ref = binding.get("roleRef") or {}
                for rule in self.role(ref, "") or ():
                    yield (
                        rule,
                        (
                            f"RBAC: allowed by ClusterRoleBinding "
                            f'"{binding["metadata"]["name"]}" of {ref.get("kind")} '
                            f'"{ref.get("name")}" to {who}'
                        ),
                    )
        if not namespace:
            return
        for binding in self._objects("rolebindings"):
            if binding["metadata"].get("namespace") != namespace:
                continue
            who = subject_of(binding, user, namespace)
            if who:
                ref = binding.get("roleRef") or {}
                for rule in self.role(ref, namespace) or ():
                    yield (
                        rule,
                        (
                            f"RBAC: allowed by RoleBinding "
                            f'"{binding["metadata"]["name"]}/{namespace}" of '
                            f'{ref.get("kind")} "{ref.get("name")}" to {who}'
                        ),
                    )

    def _objects(self, plural: str) -> Iterator[Object]:
        bucket = self._core.store.buckets.get(f"rbac.authorization.k8s.io/{plural}")
        if bucket is not None:
            for record in list(bucket.objects.values()):
                yield record.value()

    def role(self, ref: Object, namespace: str) -> list[Object] | None:
        """The rules of a role; None where it does not exist."""
        cluster = ref.get("kind") == "ClusterRole"
        plural = "clusterroles" if cluster else "roles"
        bucket = self._core.store.buckets.get(f"rbac.authorization.k8s.io/{plural}")
        name = ref.get("name", "")
        found = bucket.objects.get(name if cluster else f"{namespace}/{name}") if bucket else None
        return None if found is None else list(found.value().get("rules") or ())


def subject_of(binding: Object, user: User, namespace: str) -> str:
    """The subject of a binding that a user is, as RBAC names it."""
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return f'User "{name}"'
        if kind == "Group" and name in user.groups:
            return f'Group "{name}"'
        if kind == "ServiceAccount":
            where = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{where}:{name}":
                return f'ServiceAccount "{name}/{where}"'
    return ""


def path_matches(path: str, patterns: Any) -> bool:
    return any(p in ("*", path) or (p.endswith("*") and path.startswith(p[:-1])) for p in patterns)


def rule_allows(rule: Object, wanted: Attributes) -> bool:
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and wanted.verb not in verbs:
        return False
    if wanted.path:
        return path_matches(wanted.path, rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if "*" not in groups and wanted.group not in groups:
        return False
    resources = rule.get("resources") or ()
    full = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    if (
        "*" not in resources
        and full not in resources
        and not (wanted.subresource and f"*/{wanted.subresource}" in resources)
    ):
        return False
    names = rule.get("resourceNames") or ()
    return not names or wanted.name in names
