"""Exec plugins and auth providers of kubeconfigs, through kubernetes-asyncio's loader.

Imported only for a user entry that names one.
"""

from __future__ import annotations

import logging
from datetime import UTC
from pathlib import Path

from kubernetes_asyncio.config.kube_config import KubeConfigLoader

from kaito.runtime.clock import Clock
from kaito.runtime.errors import ConnectionFailed
from kaito.runtime.resource import Object
from kaito.runtime.tls import Tls

# The loader logs what it raises; an application without handlers would see it twice.
logging.getLogger("kubernetes_asyncio").addHandler(logging.NullHandler())

EXPIRY_LEEWAY = 10.0  # seconds a token is given up before it ends, as client-go does


class Plugin:
    """Runs the plugin of a user entry; what it answers is a token or a client certificate."""

    def __init__(self, user: Object, tls: Tls | None, clock: Clock) -> None:
        # The server is none of the loader's business: it would read its certificates, too.
        self._loader = KubeConfigLoader(
            {
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "clusters": [{"name": "it", "cluster": {"name": "it"}}],
                "users": [{"name": "it", "user": user}],
            },
            config_base_path="",
        )
        run = user.get("exec")
        self._name = f"The plugin {run['command']}" if run else "The auth provider"
        self._tls = tls
        self._clock = clock

    async def load(self) -> tuple[str | None, float | None]:
        """The Authorization header and the seconds it may be used; see credentials.Refreshed."""
        # Asked again, the token ended or was refused: the loader's memory of it is void.
        self._loader.__dict__.pop("exec_plugin_expiry", None)
        found = _Found()
        try:
            await self._loader.load_and_set(found)
        except Exception as error:
            # Whatever its parser, its subprocess or its HTTP client raise, it is not ours.
            raise ConnectionFailed(f"{self._name} failed: {error}") from error
        if self._tls is not None and found.cert_file and found.key_file:
            self._tls.present(Path(found.cert_file), Path(found.key_file))
        expiry = getattr(self._loader, "exec_plugin_expiry", None)
        if expiry is None:
            return found.api_key.get("BearerToken"), None
        at = expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
        seconds = at.timestamp() - self._clock.now() - EXPIRY_LEEWAY
        return found.api_key.get("BearerToken"), seconds


class _Found:
    """What the loader writes its findings into."""

    def __init__(self) -> None:
        self.api_key: dict[str, str] = {}
        self.cert_file: str | None = None
        self.key_file: str | None = None
