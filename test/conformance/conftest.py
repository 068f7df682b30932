"""Behaviours of a Kubernetes API server, each stated once and asked of every server there is.

The local API server is always tested. Beside it,

- a kube-apiserver is started where `KUBEBUILDER_ASSETS` (else /usr/local/kubebuilder/bin) holds
  `etcd` and `kube-apiserver`, and `kube-controller-manager` if that is there as well;
- a cluster of yours is tested when `KAITO_CONFORMANCE=1` and `KUBECONFIG` are both set. The suite
  creates namespaces, definitions and webhooks with random names and deletes them again; it needs
  an administrator and is not meant for a cluster in use. `KUBECONFIG` alone changes nothing.

`pytest test/conformance -k kube-apiserver` or `-k local` picks a server, `-m "not
controller_manager"` the tests that an API server without controllers can pass.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from test.conformance.client import Api
from test.conformance.definitions import Defining
from test.conformance.objects import Space
from test.conformance.servers import Server, available, serve

PARTS = {
    "apiserver": "needs an API server and nothing else",
    "controller_manager": "needs what collects garbage and empties namespaces",
    "kubelet": "needs nodes that run pods",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in PARTS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", "local_lacks(why): the local API server fails this test")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What the local server is known to lack is expected to fail on it, and on it alone."""
    for item in items:
        lacking = item.get_closest_marker("local_lacks")
        if lacking and isinstance(item, pytest.Function) and _server_name(item) == "local":
            item.add_marker(pytest.mark.xfail(reason=lacking.args[0], strict=True))


def _server_name(item: pytest.Function) -> str:
    return str(item.callspec.params.get("server", "")) if hasattr(item, "callspec") else ""


@pytest.fixture(scope="session", params=available(os.environ))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param) as server:
        yield server


@pytest.fixture
async def api(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    for part in PARTS:
        if request.node.get_closest_marker(part) and part not in server.parts:
            pytest.skip(f"no {part} runs beside this server")
    connector = aiohttp.TCPConnector(ssl=server.tls if server.tls is not None else True)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**22) as session:
        yield Api(server, session)


@pytest.fixture
def word() -> str:
    """A random word for names that all tests share."""
    return f"c{secrets.token_hex(4)}"


@pytest.fixture
async def ns(api: Api, word: str) -> AsyncIterator[Space]:
    """A namespace of the test's own."""
    space = Space(word)
    (await api.create("/api/v1/namespaces", {"metadata": {"name": word}})).ok()
    yield space
    await api.delete(f"/api/v1/namespaces/{word}")


@pytest.fixture
async def define(api: Api, ns: Space) -> AsyncIterator[Defining]:
    """Makes custom resource definitions in a random group, and takes them away again."""
    defining = Defining(api, ns)
    yield defining
    await defining.clear()
