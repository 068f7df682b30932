"""What every cluster starts with: its namespaces, the default roles, the service of the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import rbac_defaults

Object = dict[str, Any]
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
SERVICE: Object = {
    "metadata": {
        "name": "kubernetes",
        "labels": {"component": "apiserver", "provider": "kubernetes"},
    },
    "spec": {
        "type": "ClusterIP",
        "clusterIP": "10.0.0.1",
        "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
    },
}


def objects() -> Iterator[tuple[str, str, str, Object]]:
    """Group, plural, namespace and body of each, in the order of creation."""
    for name in NAMESPACES:
        yield "", "namespaces", "", {"metadata": {"name": name}}
    for plural, obj in rbac_defaults.defaults():
        yield rbac_defaults.GROUP, plural, "", obj
    yield "", "services", "default", SERVICE
