"""One cluster for many tests: on a thread and an event loop of its own, reached over HTTPS.

Event loops come and go with tests; this one stays, so that any test, synchronous ones included,
can talk to it. Tests share its objects: give each a namespace of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from kaito.runtime import Client, ClusterConfig, Key, Metrics, NotFound, Object
from kaito.testing.cluster import NAMESPACES, Cluster
from kaito.testing.faults import Faults

T = TypeVar("T")

START_SECONDS = 60.0  # a server that is not up by then never will be


class SharedCluster:
    """A Cluster behind a port; `with` runs it. It is a source of changes for `eventually`."""

    def __init__(self, *, nodes: int = 0) -> None:
        self._cluster = Cluster(nodes=nodes)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="shared-cluster", daemon=True)
        self._numbers = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._cluster.__aenter__())
        self.run(self._cluster.serve())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self._cluster.__aexit__(kind, error, trace))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        """https://127.0.0.1:PORT"""
        return self._cluster.url

    @property
    def faults(self) -> Faults:
        """Have it fail, for every test that shares it."""
        return Faults(self._cluster.server, self._in_loop)

    def kubeconfig(self) -> str:
        """A kubeconfig of the tester, as YAML."""
        return self._cluster.kubeconfig()

    def config(self) -> ClusterConfig:
        """What `load()` finds for the daemon under test."""
        return self._cluster.config()

    def client(self, *, field_manager: str = "test", metrics: Metrics | None = None) -> Client:
        """A client over HTTPS for the running event loop; close it."""
        transport = self.config().transport()
        return Client(transport, field_manager=field_manager, metrics=metrics)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake`, in the cluster's thread, after every write; see Changes."""
        return self._cluster.subscribe(wake)

    def install(self, *definitions: Path | Object) -> None:
        """Create CustomResourceDefinitions and wait until they are served."""
        self.run(self._cluster.install(*definitions))

    def new_namespace(self, prefix: str = "test") -> str:
        """Create a namespace that no test has had, and give its name."""
        self._numbers += 1
        name = f"{prefix}-{self._numbers}"
        metadata = {"metadata": {"name": name}}
        self.run(self._cluster.client().create(NAMESPACES, metadata))
        return name

    def drop_namespace(self, name: str) -> None:
        """Delete a namespace and, in time, all that is in it."""

        async def drop() -> None:
            try:
                await self._cluster.client().delete(NAMESPACES, Key("", name))
            except NotFound:
                return

        self.run(drop())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the cluster's own loop and wait for it, blocking."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_SECONDS)

    def _in_loop(self, work: Callable[[], int]) -> int:
        async def done() -> int:
            return work()

        return self.run(done())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
