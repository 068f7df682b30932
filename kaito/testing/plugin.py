"""The pytest plugin: a cluster, and what is measured and broken about it, as fixtures.

    kube            a Cluster for this test, in its event loop, without sockets
    kube_client     a client of `kube`
    kube_config     Path of a kubeconfig of `kube`, which is served over HTTPS for it
    kube_faults     what goes wrong in `kube`
    kube_events     the Events that `kube` holds
    kube_metrics    captured metrics; hand `.metrics` to the Manager under test
    kube_session    a SharedCluster for the whole session, over HTTPS
    kube_namespace  the name of a fresh namespace in `kube_session`
    virtual_clock   a clock that moves when told to

`@pytest.mark.kube(nodes=1)` gives `kube` Nodes and the controllers of workloads, and with
`images=["python:*=python3"]` such images run as programs; `rbac=True` has it enforce roles;
`virtual=True` has it live by `virtual_clock`.

Every pytest of an environment that has kaito loads this module, most of them for other tests: it
imports pytest alone, and each fixture what it needs. Coroutine fixtures and tests need
pytest-asyncio, in either of its modes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kaito.runtime import Client
    from kaito.testing import (
        CapturedEvents,
        CapturedMetrics,
        Cluster,
        Faults,
        SharedCluster,
        VirtualClock,
    )

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # then no test here can await, and none asks for these
    async_fixture = pytest.fixture  # type: ignore[assignment]  # the same call, other overloads


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, so that --strict-markers lets it pass."""
    config.addinivalue_line(
        "markers",
        "kube(nodes=0, images=(), rbac=False, virtual=False): what the cluster of `kube` has",
    )


@async_fixture
async def kube(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """A cluster of this test's own."""
    from kaito.testing import Cluster

    mark = request.node.get_closest_marker("kube")
    asked = dict(mark.kwargs) if mark is not None else {}
    if asked.pop("virtual", False):
        asked["clock"] = request.getfixturevalue("virtual_clock")
    async with Cluster(**asked) as cluster:
        yield cluster


@async_fixture
async def kube_client(kube: Cluster) -> AsyncIterator[Client]:
    """A client of `kube` with every right, as field manager "test"."""
    async with kube.client() as client:
        yield client


@async_fixture
async def kube_config(kube: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig of `kube`, for what runs in another process."""
    await kube.serve()
    path = tmp_path / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(kube.kubeconfig())
    return path


@pytest.fixture
def kube_faults(kube: Cluster) -> Faults:
    """The faults of `kube`."""
    return kube.faults


@pytest.fixture
def kube_events(kube: Cluster) -> CapturedEvents:
    """The Events of `kube`."""
    from kaito.testing import CapturedEvents

    return CapturedEvents(kube.client())


@pytest.fixture
def kube_metrics() -> CapturedMetrics:
    """Metrics with a registry of their own."""
    from kaito.testing import CapturedMetrics

    return CapturedMetrics()


@pytest.fixture(scope="session")
def kube_session() -> Iterator[SharedCluster]:
    """One cluster for all tests of this process."""
    from kaito.testing import SharedCluster

    with SharedCluster() as cluster:
        yield cluster


@pytest.fixture
def kube_namespace(kube_session: SharedCluster) -> Iterator[str]:
    """A namespace for this test alone, deleted after it."""
    name = kube_session.new_namespace()
    yield name
    kube_session.drop_namespace(name)


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """A clock at a fixed time of its own."""
    from kaito.testing import VirtualClock

    return VirtualClock()
