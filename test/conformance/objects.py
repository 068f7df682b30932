"""Small objects of built-in kinds, and where they live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True)
class Space:
    """The paths of one namespace. Without a name a path is that of the list."""

    name: str

    def path(self, prefix: str, plural: str, name: str = "", sub: str = "") -> str:
        parts = [prefix, "namespaces", self.name, plural, name, sub]
        return "/".join(part for part in parts if part)

    def configmaps(self, name: str = "", sub: str = "") -> str:
        return self.path("/api/v1", "configmaps", name, sub)

    def secrets(self, name: str = "", sub: str = "") -> str:
        return self.path("/api/v1", "secrets", name, sub)

    def services(self, name: str = "", sub: str = "") -> str:
        return self.path("/api/v1", "services", name, sub)

    def pods(self, name: str = "", sub: str = "") -> str:
        return self.path("/api/v1", "pods", name, sub)

    def events(self, name: str = "", sub: str = "") -> str:
        return self.path("/api/v1", "events", name, sub)

    def leases(self, name: str = "", sub: str = "") -> str:
        return self.path("/apis/coordination.k8s.io/v1", "leases", name, sub)

    def deployments(self, name: str = "", sub: str = "") -> str:
        return self.path("/apis/apps/v1", "deployments", name, sub)

    def statefulsets(self, name: str = "", sub: str = "") -> str:
        return self.path("/apis/apps/v1", "statefulsets", name, sub)

    def jobs(self, name: str = "", sub: str = "") -> str:
        return self.path("/apis/batch/v1", "jobs", name, sub)


def config_map(name: str, data: Object | None = None, **metadata: Any) -> Object:
    found: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    found["metadata"] |= metadata
    if data is not None:
        found["data"] = data
    return found


def secret(name: str, **content: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **content}


def lease(name: str, spec: Object | None = None, **metadata: Any) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, **metadata},
        "spec": spec or {},
    }


def service(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def pod(name: str, labels: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"containers": [{"name": "main", "image": "model:1"}], **spec},
    }


def deployment(name: str, *, replicas: int | None = 1, **pod_spec: Any) -> Object:
    spec: Object = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "model:1"}], **pod_spec},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
