"""Where the API server is and who we are: from a kubeconfig, or from inside a pod.

kubernetes-asyncio runs exec plugins and refreshes OIDC tokens; it is imported only for a user who
needs that, as it costs half a second and 37 MB. Inside a cluster the three files of the service
account are read directly.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.credentials import Anonymous, Credentials, Fixed, Refreshed, TokenFile
from kaito.runtime.http import USER_AGENT, HttpTransport
from kaito.runtime.kubeconfig import ConfigError, Kubeconfig, read_kubeconfig
from kaito.runtime.tls import Tls
from kaito.runtime.transport import Headers

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DEFAULT_KUBECONFIG = "~/.kube/config"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """How to reach one API server. Make it with `load`, `from_kubeconfig` or `in_cluster`.

    Or by hand: `ClusterConfig(server="http://127.0.0.1:8001")` speaks to a `kubectl proxy`.
    """

    server: str
    namespace: str = "default"
    in_cluster: bool = False
    credentials: Credentials = field(default_factory=Anonymous, repr=False)
    tls: Tls | None = field(default=None, repr=False)
    tls_server_name: str | None = None
    proxy: str | None = None
    headers: Headers = field(default_factory=dict)
    """Sent with every call, as those of impersonation are."""
    origin: str = ""
    """Where this was read from, for messages."""

    def transport(self, user_agent: str = USER_AGENT) -> HttpTransport:
        """A new transport; its owner closes it."""
        return HttpTransport(
            self.server,
            self.credentials,
            tls=self.tls,
            tls_server_name=self.tls_server_name,
            proxy=self.proxy,
            headers=self.headers,
            user_agent=user_agent,
            origin=self.origin,
        )


async def load(
    kubeconfig: str | None = None,
    *,
    context: str | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> ClusterConfig:
    """The configuration kubectl would use, or the pod's own where there is none.

    Order: `kubeconfig`, $KUBECONFIG, ~/.kube/config if it exists, the service account. ConfigError
    when nothing is there or what is there cannot be read. `environ` is that of the process unless
    you give another.
    """
    environ = os.environ if environ is None else environ
    paths = kubeconfig or environ.get("KUBECONFIG")
    if paths:
        return await from_kubeconfig(paths, context=context, clock=clock)
    default = Path(DEFAULT_KUBECONFIG).expanduser()
    if default.exists():
        return await from_kubeconfig(str(default), context=context, clock=clock)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster(environ=environ, clock=clock)
    raise ConfigError(
        f"No cluster to talk to: pass --kubeconfig FILE or set KUBECONFIG "
        f"({DEFAULT_KUBECONFIG} does not exist and this is not a pod)."
    )


def in_cluster(
    *,
    directory: Path = SERVICE_ACCOUNT,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> ClusterConfig:
    """The configuration of the pod we run in. ConfigError outside of one."""
    clock = clock or SystemClock()
    environ = os.environ if environ is None else environ
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    token, authority = directory / "token", directory / "ca.crt"
    if not host or not token.exists():
        raise ConfigError(
            f"Not inside a cluster: KUBERNETES_SERVICE_HOST or {token} is missing; "
            f"pass --kubeconfig FILE."
        )
    try:
        tls = Tls(clock, authority=authority)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"The cluster's authority {authority} cannot be used: {error}") from error
    namespace = directory / "namespace"
    return ClusterConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        in_cluster=True,
        credentials=TokenFile(token, clock),
        tls=tls,
        origin=f"The service account in {directory}",
    )


async def from_kubeconfig(
    paths: str, *, context: str | None = None, clock: Clock | None = None
) -> ClusterConfig:
    """The configuration of a kubeconfig, read as kubectl reads it (kubeconfig.py).

    A plugin is run once, so that one that fails is noticed now. ConfigError when no file is
    there, one is no kubeconfig, or its credentials cannot be had.
    """
    clock = clock or SystemClock()
    found = read_kubeconfig(paths, context=context)
    try:
        tls = _tls(found, clock) if found.server.startswith("https") else None
        credentials = await _credentials(found, tls, clock)
    except ConfigError:
        raise
    except (OSError, ImportError) as error:  # ssl.SSLError and ConnectionFailed are OSErrors
        raise ConfigError(f"{found.origin}, cannot be used: {error}") from error
    return ClusterConfig(
        server=found.server,
        namespace=found.namespace,
        credentials=credentials,
        tls=tls,
        tls_server_name=found.tls_server_name,
        proxy=found.proxy,
        headers=found.impersonation,
        origin=found.origin,
    )


def _tls(found: Kubeconfig, clock: Clock) -> Tls:
    return Tls(
        clock,
        authority=found.authority,
        certificate=found.certificate,
        key=found.key,
        verify=found.verify,
    )


async def _credentials(found: Kubeconfig, tls: Tls | None, clock: Clock) -> Credentials:
    if found.plugin is not None:
        # Late: most processes need none of what this imports.
        from kaito.runtime.plugins import Plugin

        credentials = Refreshed(Plugin(found.plugin, tls, clock).load, clock)
        await credentials.authorization()
        return credentials
    if found.token_file is not None:
        credentials_file = TokenFile(found.token_file, clock)
        await credentials_file.authorization()
        return credentials_file
    return Fixed(found.authorization) if found.authorization else Anonymous()
