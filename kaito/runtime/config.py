"""Where the API server is and who we are: from a kubeconfig, or from inside a pod.

kubernetes-asyncio reads kubeconfigs (exec plugins, OIDC, certificates, several files) and is
imported only when there is one: it costs half a second. Inside a cluster the three files of the
service account are read directly.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.credentials import Anonymous, Credentials, Refreshed, TokenFile
from kaito.runtime.http import USER_AGENT, HttpTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_KUBECONFIG = "~/.kube/config"
EXPIRY_LEEWAY = 10.0  # seconds a token is given up before it ends, as client-go does


class ConfigError(Exception):
    """No usable cluster configuration; the message says what was tried and what to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """How to reach one API server. Make it with `load`, `from_kubeconfig` or `in_cluster`."""

    server: str
    namespace: str = "default"
    in_cluster: bool = False
    credentials: Credentials = field(default_factory=Anonymous, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy: str | None = None

    def transport(self, user_agent: str = USER_AGENT) -> HttpTransport:
        """A new transport; its owner closes it."""
        return HttpTransport(
            self.server,
            self.credentials,
            tls=self.tls,
            tls_server_name=self.tls_server_name,
            proxy=self.proxy,
            user_agent=user_agent,
        )


async def load(
    kubeconfig: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> ClusterConfig:
    """The configuration kubectl would use, or the pod's own where there is none.

    Order: `kubeconfig`, $KUBECONFIG, ~/.kube/config if it exists, the service account. ConfigError
    when nothing is there or what is there cannot be read.
    """
    paths = kubeconfig or environ.get("KUBECONFIG")
    if paths:
        return await from_kubeconfig(paths, clock=clock)
    default = Path(DEFAULT_KUBECONFIG).expanduser()
    if default.exists():
        return await from_kubeconfig(str(default), clock=clock)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ=environ, clock=clock)
    raise ConfigError(
        f"No cluster to talk to: pass --kubeconfig FILE or set KUBECONFIG "
        f"({DEFAULT_KUBECONFIG} does not exist and this is not a pod)."
    )


def in_cluster(
    *,
    directory: Path = SERVICE_ACCOUNT,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> ClusterConfig:
    """The configuration of the pod we run in. ConfigError outside of one."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority = directory / "token", directory / "ca.crt"
    if not host or not token.exists():
        raise ConfigError(
            f"Not inside a cluster: KUBERNETES_SERVICE_HOST or {token} is missing; "
            f"pass --kubeconfig FILE."
        )
    try:
        tls = ssl.create_default_context(cafile=str(authority))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"The cluster's authority {authority} cannot be used: {error}") from error
    namespace = directory / "namespace"
    return ClusterConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        in_cluster=True,
        credentials=TokenFile(token, clock or SystemClock()),
        tls=tls,
    )


async def from_kubeconfig(
    paths: str, *, context: str | None = None, clock: Clock | None = None
) -> ClusterConfig:
    """The configuration of a kubeconfig.

    Several paths may be joined by ":"; of those, missing ones are passed over, as kubectl does.
    ConfigError when no file is there, one is no kubeconfig, or its credentials cannot be had.
    """
    # Late: half a second that processes inside a cluster need not spend.
    from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

    given = [path for path in paths.split(os.pathsep) if path]
    found = [path for path in given if Path(path).expanduser().exists()]
    if not found:
        raise ConfigError(f"The kubeconfig {' or '.join(given)} does not exist.")
    target = _Target()
    try:
        merged = KubeConfigMerger(os.pathsep.join(found)).config
        loader = KubeConfigLoader(config_dict=merged, active_context=context, config_base_path=None)
        await loader.load_and_set(target)
        namespace = (loader.current_context or {}).get("context", {}).get("namespace")
        tls = _tls(target) if target.host.startswith("https") else None
    except Exception as error:
        # The loader raises whatever its parser, its subprocess or its HTTP client does.
        raise ConfigError(f"The kubeconfig {paths} cannot be used: {error}") from error
    if not target.host:
        raise ConfigError(f"The kubeconfig {paths} names no server for its current context.")
    return ClusterConfig(
        server=target.host,
        namespace=namespace or "default",
        credentials=_kubeconfig_credentials(loader, target, clock or SystemClock()),
        tls=tls,
        tls_server_name=target.tls_server_name,
        proxy=target.proxy,
    )


class _Target:
    """What kubernetes-asyncio's loader writes its findings into."""

    def __init__(self) -> None:
        self.api_key: dict[str, str] = {}
        self.host: str = ""
        self.ssl_ca_cert: str | None = None
        self.cert_file: str | None = None
        self.key_file: str | None = None
        self.verify_ssl = True
        self.tls_server_name: str | None = None
        self.proxy: str | None = None


def _tls(target: _Target) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=target.ssl_ca_cert)
    if target.cert_file:
        tls.load_cert_chain(target.cert_file, target.key_file)
    if not target.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return tls


# Any: the loader is untyped.
def _kubeconfig_credentials(loader: Any, target: _Target, clock: Clock) -> Credentials:
    if "BearerToken" not in target.api_key:
        return Anonymous()

    first = True

    async def load_token() -> tuple[str | None, float | None]:
        nonlocal first
        if not first:
            # Asked again, the token ended or was refused: the loader's memory of it is void.
            loader.__dict__.pop("exec_plugin_expiry", None)
            await loader.load_and_set(target)
        first = False
        expiry = getattr(loader, "exec_plugin_expiry", None)
        seconds = None
        if expiry is not None:
            at = expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
            seconds = at.timestamp() - clock.now() - EXPIRY_LEEWAY
        return target.api_key.get("BearerToken"), seconds

    return Refreshed(load_token, clock)
