"""Roles and their bindings."""

from __future__ import annotations

from functools import partial
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import by, label_selector, needed
from kaito.local.apiserver.fields import FieldError, listed, required, wrong
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
# The group that a subject of a kind belongs to.
SUBJECTS = {"ServiceAccount": "", "User": GROUP, "Group": GROUP}


def check_rules(role: Object, *, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, rule in enumerate(role.get("rules") or ()):
        path, urls = f"rules[{i}]", rule.get("nonResourceURLs") or []
        if not rule.get("verbs"):
            errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        where = f"{path}.nonResourceURLs"
        if urls and namespaced:
            says = "namespaced rules cannot apply to non-resource URLs"
            errors.append(wrong(where, urls, says))
        if urls and any(rule.get(n) for n in ("apiGroups", "resources", "resourceNames")):
            says = "rules cannot apply to both regular resources and non-resource URLs"
            errors.append(wrong(where, urls, says))
        if not urls and not rule.get("apiGroups"):
            says = "resource rules must supply at least one api group"
            errors.append(required(f"{path}.apiGroups", says))
        if not urls and not rule.get("resources"):
            says = "resource rules must supply at least one resource"
            errors.append(required(f"{path}.resources", says))
    return errors


def check_cluster_role(role: Object) -> list[FieldError]:
    errors = check_rules(role, namespaced=False)
    if "aggregationRule" not in role:
        return errors
    path = "aggregationRule.clusterRoleSelectors"
    selectors = (role["aggregationRule"] or {}).get("clusterRoleSelectors") or []
    if not selectors:
        says = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        errors.append(required(path, says))
    for i, selector in enumerate(selectors):
        faults = label_selector(selector, f"{path}[{i}]")
        if faults:
            errors += [*faults, wrong(f"{path}[{i}]", None, "invalid label selector.")]
    return errors


def default_binding(binding: Object) -> None:
    ref = binding.get("roleRef") or {}
    if not ref.get("apiGroup"):
        binding["roleRef"] = {**ref, "apiGroup": GROUP}
    for subject in binding.get("subjects") or ():
        if SUBJECTS.get(subject.get("kind", "")) and not subject.get("apiGroup"):
            subject["apiGroup"] = GROUP


def check_binding(binding: Object, *, roles: tuple[str, ...]) -> list[FieldError]:
    ref = binding.get("roleRef") or {}
    group, kind = ref.get("apiGroup", ""), ref.get("kind", "")
    errors = needed(names.path_segment, ref.get("name", ""), "roleRef.name")
    if group != GROUP:
        errors.append(listed("roleRef.apiGroup", group, [GROUP]))
    if kind not in roles:
        errors.append(listed("roleRef.kind", kind, roles))
    for i, subject in enumerate(binding.get("subjects") or ()):
        errors += _subject(subject, f"subjects[{i}]", namespaced="Role" in roles)
    return errors


def _subject(subject: Object, path: str, *, namespaced: bool) -> list[FieldError]:
    name, kind, group = (subject.get(n, "") for n in ("name", "kind", "apiGroup"))
    errors = [] if name else [required(f"{path}.name")]
    if kind not in SUBJECTS:
        return [*errors, listed(f"{path}.kind", kind, SUBJECTS)]
    if group != SUBJECTS[kind]:
        errors.append(listed(f"{path}.apiGroup", group, [SUBJECTS[kind]]))
    if kind == "ServiceAccount":
        errors += by(names.subdomain, name, f"{path}.name") if name else []
        if not namespaced and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    return errors


def update_binding(new: Object, old: Object, *, roles: tuple[str, ...]) -> list[FieldError]:
    errors = check_binding(new, roles=roles)
    if new.get("roleRef") != old.get("roleRef"):
        shown = compact("RoleRef", new.get("roleRef"))
        errors.append(wrong("roleRef", shown, "cannot change roleRef"))
    return errors


def binding_of(*roles: str) -> Behaviour:
    """The behaviour of a binding to roles of these kinds."""
    return Behaviour(
        default=default_binding,
        validate=partial(check_binding, roles=roles),
        validate_update=partial(update_binding, roles=roles),
        name_rule="segment",
    )


ROLES = Behaviour(
    validate=partial(check_rules, namespaced=True),
    validate_update=lambda new, old: check_rules(new, namespaced=True),
    name_rule="segment",
)
CLUSTER_ROLES = Behaviour(
    validate=check_cluster_role,
    validate_update=lambda new, old: check_cluster_role(new),
    name_rule="segment",
)
ROLE_BINDINGS = binding_of("Role", "ClusterRole")
CLUSTER_ROLE_BINDINGS = binding_of("ClusterRole")
