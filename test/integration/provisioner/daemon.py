"""`kaito provisioner` as a process of its own, which the local cluster of the test can kill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from test.e2e.mortal import AZURE, Mortal
from test.e2e.stage import in_a_pod, mount
from test.integration.provisioner.cluster import POLL, Stage


@asynccontextmanager
async def running(stage: Stage, scratch: Path) -> AsyncIterator[Mortal]:
    """The daemon, started; it is stopped in the end."""
    cluster = stage.cluster
    mounted = scratch / "account"
    mount(mounted, stage.token, cluster.ca_pem.encode())
    process = in_a_pod(
        scratch / "provisioner.log",
        mounted,
        *("provisioner", "--no-leader-election"),
        host="127.0.0.1",
        port=str(cluster.port),
        AZURE_POLL_SECONDS=str(POLL),
    )
    daemon = Mortal(cluster.server, process, stage.token, clouds=AZURE)
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()
