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


@dataclass(frozen=True, slots=True)
class Grant:
    """A rule that holds for somebody: of which role, in which namespace, and by which binding."""

    rule: Object
    role: str
    """Kind and name; "" for what those have who may do everything."""
    namespace: str
    """Where it holds, "" for everywhere."""
    why: str
    """The sentence that names the binding."""


EVERYTHING = Grant({}, "", "", "")
"""What members of system:masters have."""


class Authorizer:
    """Allows or not, and says by what."""

    def __init__(self, core: Core, *, enforced: bool) -> None:
        self._core = core
        self._enforced = enforced

    def allows(self, wanted: Attributes) -> bool:
        return self.grant(wanted) is not None

    def decide(self, wanted: Attributes) -> tuple[bool, str]:
        """Whether it is allowed, and the sentence that names the binding."""
        found = self.grant(wanted)
        return (False, "") if found is None else (True, found.why)

    def grant(self, wanted: Attributes) -> Grant | None:
        """What allows it; None where nothing does."""
        user = wanted.user
        if "system:masters" in user.groups:
            return EVERYTHING
        if user.name == "system:anonymous" and not (self._enforced or wanted.path):
            return None
        for grant in self.grants(user, wanted.namespace):
            if rule_allows(grant.rule, wanted):
                return grant
        return None

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """What roles grant to a user, everywhere and in a namespace."""
        for binding in self.bindings(everywhere=not namespace):
            where = binding["metadata"].get("namespace", "")
            if where in ("", namespace):
                who = subject_of(binding, user, where)
                if who:
                    yield from self.granted(binding, who)

    def granted(self, binding: Object, who: str) -> Iterator[Grant]:
        """The rules of a binding's role, for a subject of it."""
        where, ref = binding["metadata"].get("namespace", ""), binding.get("roleRef") or {}
        name = binding["metadata"]["name"]
        shown = f'RoleBinding "{name}/{where}"' if where else f'ClusterRoleBinding "{name}"'
        kind, role = ref.get("kind"), ref.get("name")
        why = f'RBAC: allowed by {shown} of {kind} "{role}" to {who}'
        for rule in self.role(ref, where) or ():
            yield Grant(rule, f"{kind} {role}", where, why)

    def bindings(self, *, everywhere: bool = False) -> Iterator[Object]:
        """Those that hold everywhere, then, unless only they are wanted, those of namespaces."""
        yield from self._objects("clusterrolebindings")
        if not everywhere:
            yield from self._objects("rolebindings")

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
        if kind == "ServiceAccount" and user.name == account_of(subject, namespace):
            where = subject.get("namespace") or namespace
            return f'ServiceAccount "{name}/{where}"'
    return ""


def account_of(subject: Object, namespace: str) -> str:
    """The user that a subject of the kind ServiceAccount is, in a binding of a namespace."""
    return f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject.get('name')}"


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
