"""The API servers that the suite can run against, each behind a URL.

A server lives as long as the process of the tests: the local one in a thread with a loop of its
own, kube-apiserver as a child process together with its etcd.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kaito.local.apiserver import ApiServer, HttpsFront
from kaito.local.cluster import LocalCluster
from kaito.local.pki import Pki, ensure_pki
from kaito.local.profile import Profile
from kaito.runtime.config import from_kubeconfig
from kaito.runtime.credentials import Credentials

TOKEN = "conformance"  # the administrator of servers that live for one run on the loopback
DEFAULT_ASSETS = "/usr/local/kubebuilder/bin"
PARTS_OF_CLUSTERS = ("apiserver", "controller_manager")
COLLECTORS = "garbage-collector-controller,namespace-controller"
WORKLOADS = (
    f"{COLLECTORS},deployment-controller,replicaset-controller,statefulset-controller,"
    "job-controller,ttl-after-finished-controller"
)
START_SECONDS = 90.0  # a kube-apiserver on a busy machine


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, who we are to it, and what runs beside it."""

    url: str
    credentials: Credentials
    tls: ssl.SSLContext | None
    parts: frozenset[str]


class FixedToken:
    """Credentials that never change."""

    def __init__(self, token: str) -> None:
        self._value = f"Bearer {token}"

    async def authorization(self) -> str | None:
        return self._value

    def refused(self, authorization: str | None) -> None:
        return None


def available(environ: Mapping[str, str]) -> list[str]:
    """The servers this run tests, by name."""
    names = ["local"]
    assets = Path(environ.get("KUBEBUILDER_ASSETS", DEFAULT_ASSETS))
    if all((assets / name).is_file() for name in ("etcd", "kube-apiserver")):
        names.append("kube-apiserver")
    if environ.get("KAITO_CONFORMANCE") == "1" and environ.get("KUBECONFIG"):
        names.append("kubeconfig")
    return names


@contextmanager
def serve(name: str, controllers: str = COLLECTORS) -> Iterator[Server]:
    """The server of that name, for the length of the block. `controllers` are those of a
    kube-controller-manager that run beside it."""
    local = _local if controllers == COLLECTORS else _local_cluster
    match name:
        case "local":
            with tempfile.TemporaryDirectory() as directory, local(Path(directory)) as server:
                yield server
        case "kube-apiserver":
            assets = Path(os.environ.get("KUBEBUILDER_ASSETS", DEFAULT_ASSETS))
            with (
                tempfile.TemporaryDirectory() as directory,
                _kube_apiserver(assets, Path(directory), controllers) as server,
            ):
                yield server
        case _:
            config = asyncio.run(from_kubeconfig(os.environ["KUBECONFIG"]))
            everything = frozenset(PARTS_OF_CLUSTERS)
            tls = config.tls.context() if config.tls else None
            yield Server(config.server, config.credentials, tls, everything)


def _trusting(pki: Pki) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pki.ca))


@contextmanager
def _local(directory: Path) -> Iterator[Server]:
    pki = ensure_pki(directory, time.time())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local API server", daemon=True)
    thread.start()

    async def start() -> tuple[ApiServer, HttpsFront]:
        server = ApiServer(tokens={TOKEN: "admin"}, rbac=True)
        front = HttpsFront(server, pki.server_context())
        await server.start()
        await front.start()
        return server, front

    async def stop(server: ApiServer, front: HttpsFront) -> None:
        await server.aclose()
        await front.aclose()

    server, front = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        parts = frozenset(PARTS_OF_CLUSTERS)
        yield Server(front.url, FixedToken(TOKEN), _trusting(pki), parts)
    finally:
        asyncio.run_coroutine_threadsafe(stop(server, front), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@contextmanager
def _local_cluster(directory: Path) -> Iterator[Server]:
    """With the controllers of workloads, and without any Node."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="local cluster", daemon=True)
    thread.start()

    async def start() -> LocalCluster:
        cluster = LocalCluster(profile=Profile.instant(), state_dir=directory)
        return await cluster.__aenter__()

    cluster = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        token = (directory / "tokens" / "admin").read_text().strip()
        tls = ssl.create_default_context(cadata=cluster.ca_pem)
        yield Server(cluster.url, FixedToken(token), tls, frozenset(PARTS_OF_CLUSTERS))
    finally:
        asyncio.run_coroutine_threadsafe(cluster.__aexit__(None, None, None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@contextmanager
def _kube_apiserver(
    assets: Path, directory: Path, controllers: str = COLLECTORS
) -> Iterator[Server]:
    """As envtest starts it: no ServiceAccount admission, RBAC, one token that may do everything.

    A kube-controller-manager beside the two binaries is started for what collects garbage.
    """
    pki = ensure_pki(directory / "pki", time.time())
    (directory / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
    storage, port, peer = _free_port(), _free_port(), _free_port()
    client_url = f"http://127.0.0.1:{storage}"
    peer_url = f"http://127.0.0.1:{peer}"
    url = f"https://127.0.0.1:{port}"
    with ExitStack() as running:
        running.enter_context(
            _process(
                directory,
                assets / "etcd",
                f"--data-dir={directory / 'etcd'}",
                f"--listen-client-urls={client_url}",
                f"--advertise-client-urls={client_url}",
                f"--listen-peer-urls={peer_url}",
                "--unsafe-no-fsync",
            )
        )
        process = running.enter_context(
            _process(
                directory,
                assets / "kube-apiserver",
                f"--etcd-servers={client_url}",
                f"--secure-port={port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--tls-cert-file={pki.certificate}",
                f"--tls-private-key-file={pki.key}",
                f"--token-auth-file={directory / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={pki.certificate}",
                f"--service-account-signing-key-file={pki.key}",
                "--allow-privileged=true",
            )
        )
        tls = _trusting(pki)
        _wait_for(f"{url}/readyz", tls, process, directory / "kube-apiserver.log")
        parts = {"apiserver"}
        if (assets / "kube-controller-manager").is_file():
            parts.add("controller_manager")
            running.enter_context(_controller_manager(assets, directory, pki, url, controllers))
        yield Server(url, FixedToken(TOKEN), tls, frozenset(parts))


@contextmanager
def _controller_manager(
    assets: Path, directory: Path, pki: Pki, url: str, controllers: str
) -> Iterator[None]:
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(
        f"apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: c, cluster: {{server: '{url}', certificate-authority: {pki.ca}}}}}]\n"
        f"users: [{{name: u, user: {{token: {TOKEN}}}}}]\n"
        f"contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
    )
    with _process(
        directory,
        assets / "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--controllers={controllers}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={_free_port()}",
    ):
        yield


@contextmanager
def _process(directory: Path, program: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / f"{program.name}.log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log, cwd=directory)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url: str, tls: ssl.SSLContext, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server says that it is ready; RuntimeError with the end of its log if not."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=5, context=tls):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"{url} did not become ready:\n{log.read_text()[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
