"""The kubeconfig that lets kubectl, client libraries and our daemons reach the local cluster."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from kaito.local.pki import write_private

NAME = "kaito-local"


def render(*, server: str, ca_pem: str, token: str, namespace: str = "default") -> str:
    """YAML text with one cluster, one user and one context, everything inline."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": NAME,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(ca_pem.encode()).decode(),
                },
            }
        ],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [
            {"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": namespace}}
        ],
        "current-context": NAME,
    }
    return yaml.safe_dump(config, sort_keys=False)


def write(path: Path, text: str) -> None:
    """Write it for its owner alone: whoever reads it is administrator of the cluster."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, text.encode())
