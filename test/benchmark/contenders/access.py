"""A kubeconfig read by hand, for contenders that use no library."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import yaml


def session() -> aiohttp.ClientSession:
    """A session at the server of KUBECONFIG's current context; a token or a client certificate."""
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    context = _named(config, "contexts", "context", config["current-context"])
    cluster = _named(config, "clusters", "cluster", context["cluster"])
    user = _named(config, "users", "user", context["user"])
    tls = ssl.create_default_context(cafile=_file(cluster, "certificate-authority"))
    if certificate := _file(user, "client-certificate"):
        tls.load_cert_chain(certificate, _file(user, "client-key"))
    token = user.get("token")
    return aiohttp.ClientSession(
        cluster["server"],
        connector=aiohttp.TCPConnector(ssl=tls),
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


def _named(config: dict[str, Any], plural: str, singular: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in config[plural] if each["name"] == name)[singular]
    return found


def _file(values: dict[str, Any], name: str) -> str | None:
    """The path of a file that a kubeconfig names or holds."""
    data = values.get(f"{name}-data")
    if not data:
        return values.get(name)
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(base64.b64decode(data))
    return file.name
