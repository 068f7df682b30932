"""The roles and bindings that every cluster starts with, as far as operators use them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]
PUBLIC = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
DISCOVERY = sorted(["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *PUBLIC])
ISSUER = [
    "/.well-known",
    "/.well-known/*",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/openid/v1/jwks",
    "/openid/v1/jwks/",
]
# What may be seen and what may be changed inside a namespace, by group.
NAMESPACED: dict[str, list[str]] = {
    "": [
        "configmaps",
        "endpoints",
        "events",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "replicationcontrollers",
        "replicationcontrollers/scale",
        "serviceaccounts",
        "services",
    ],
    "apps": [
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale",
    ],
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
    "coordination.k8s.io": ["leases"],
    "discovery.k8s.io": ["endpointslices"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "policy": ["poddisruptionbudgets"],
}
READ_ONLY = {"controllerrevisions", "endpointslices", "pods/log"}


def _paths(urls: list[str]) -> Object:
    return {"verbs": ["get"], "nonResourceURLs": urls}


def _creates(group: str, *plurals: str) -> Object:
    return {"verbs": ["create"], "apiGroups": [group], "resources": list(plurals)}


def _rules(verbs: list[str], *, writable: bool = False) -> list[Object]:
    return [
        {
            "verbs": verbs,
            "apiGroups": [group],
            "resources": [p for p in plurals if not (writable and p in READ_ONLY)],
        }
        for group, plurals in NAMESPACED.items()
        if not writable or set(plurals) - READ_ONLY
    ]


VIEW = [
    *_rules(READ),
    {"verbs": READ, "apiGroups": [""], "resources": ["limitranges", "namespaces"]},
    {"verbs": READ, "apiGroups": [""], "resources": ["resourcequotas", "resourcequotas/status"]},
]
EDIT = [
    *_rules(WRITE, writable=True),
    {"verbs": [*READ, *WRITE], "apiGroups": [""], "resources": ["secrets"]},
    {
        "verbs": ["create"],
        "apiGroups": [""],
        "resources": ["pods/eviction", "serviceaccounts/token"],
    },
    {
        "verbs": [*READ, *WRITE],
        "apiGroups": [""],
        "resources": [
            "pods/attach",
            "pods/exec",
            "pods/portforward",
            "pods/proxy",
            "services/proxy",
        ],
    },
]
ADMIN = [
    {"verbs": [*READ, *WRITE], "apiGroups": [GROUP], "resources": ["rolebindings", "roles"]},
    _creates("authorization.k8s.io", "localsubjectaccessreviews"),
]
EVERYTHING = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]
BASIC = [
    _creates("authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
    _creates("authentication.k8s.io", "selfsubjectreviews"),
]
ROLES: dict[str, list[Object]] = {
    "cluster-admin": EVERYTHING,
    "admin": [*ADMIN, *EDIT, *VIEW],
    "edit": [*EDIT, *VIEW],
    "view": VIEW,
    "system:aggregate-to-admin": ADMIN,
    "system:aggregate-to-edit": EDIT,
    "system:aggregate-to-view": VIEW,
    "system:basic-user": BASIC,
    "system:discovery": [_paths(DISCOVERY)],
    "system:public-info-viewer": [_paths(PUBLIC)],
    "system:service-account-issuer-discovery": [_paths(ISSUER)],
}
SUBJECTS = {
    "cluster-admin": ["system:masters"],
    "system:basic-user": ["system:authenticated"],
    "system:discovery": ["system:authenticated"],
    "system:public-info-viewer": ["system:authenticated", "system:unauthenticated"],
    "system:service-account-issuer-discovery": ["system:serviceaccounts"],
}


def _named(name: str) -> Object:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def defaults() -> Iterator[tuple[str, Object]]:
    """Every default object with its resource."""
    for name, rules in ROLES.items():
        role: Object = {"metadata": _named(name), "rules": rules}
        if name in {"admin", "edit", "view"}:
            label = {f"rbac.authorization.k8s.io/aggregate-to-{name}": "true"}
            role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": label}]}
        elif name.startswith("system:aggregate-to-"):
            role["metadata"]["labels"][f"rbac.authorization.k8s.io/{name[7:]}"] = "true"
        yield "clusterroles", role
    for name, groups in SUBJECTS.items():
        subjects = [{"kind": "Group", "apiGroup": GROUP, "name": g} for g in groups]
        yield (
            "clusterrolebindings",
            {
                "metadata": _named(name),
                "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
                "subjects": subjects,
            },
        )
