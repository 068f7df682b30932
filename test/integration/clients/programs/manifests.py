"""What the programs create, each with its own client and in a namespace and group of its own."""

from __future__ import annotations

import os
from typing import Any

NAMESPACE = os.environ.get("NAMESPACE", "shop")
GROUP, VERSION = f"{NAMESPACE}.example.com", "v1"
# kr8s takes the first group that has a plural.
PLURAL = f"{NAMESPACE}-widgets"
KIND = f"{NAMESPACE.title().replace('-', '')}Widget"
LABELS = {"app": "web"}
WORDS = "hello from a process"


def crd() -> dict[str, Any]:
    """A kind with a status, a scale and a rule."""
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer", "minimum": 1, "default": 1}},
    }
    status = {
        "type": "object",
        "properties": {"size": {"type": "integer"}},
        "x-kubernetes-preserve-unknown-fields": True,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "plural": PLURAL, "singular": KIND.lower()},
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": spec, "status": status},
                        }
                    },
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.size",
                            "statusReplicasPath": ".status.size",
                        },
                    },
                }
            ],
        },
    }


def widget(name: str, size: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": LABELS},
        "spec": {"size": size},
    }


def deployment(replicas: int = 2) -> dict[str, Any]:
    """Of an image that is simulated."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": NAMESPACE, "labels": LABELS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
            },
        },
    }


def pod() -> dict[str, Any]:
    """Of an image that runs as a process."""
    command = ["python3", "-c", f"print({WORDS!r}); print('and goodbye')"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "job", "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "python:3", "command": command}],
        },
    }
