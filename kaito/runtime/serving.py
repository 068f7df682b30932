"""Health probes and metrics over plain HTTP, as kubelets and Prometheus ask for them.

`/healthz` and `/readyz` answer 200 `ok` or 500 with the failed checks; `?verbose` lists all of
them and `?exclude=NAME` leaves one out. `/metrics` is the Prometheus text format.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

Check: TypeAlias = Callable[[], str]
"""A health check: "" when well, else one sentence."""

SHUTDOWN_SECONDS = 5.0

log = structlog.get_logger("kaito.runtime.serving")


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0 takes a free one."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Address | None:
        """ ":8080", "127.0.0.1:8080", "[::1]:8080"; None for "0", which means not at all."""
        if text == "0":
            return None
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{text!r} is no address; write HOST:PORT, :PORT, or 0 for none.")
        return Address(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(slots=True)
class Checks:
    """The checks of a process, by name."""

    live: dict[str, Check] = field(default_factory=dict)
    ready: dict[str, Check] = field(default_factory=dict)


@asynccontextmanager
async def serving(
    *,
    probes: Address | None,
    metrics: Address | None,
    checks: Checks,
    registry: CollectorRegistry,
) -> AsyncIterator[Mapping[str, Address]]:
    """Serve while the block runs. Yields the addresses in use, by "probes" and "metrics".

    OSError when an address cannot be listened on.
    """
    runners: list[web.AppRunner] = []
    bound: dict[str, Address] = {}
    try:
        for name, address, routes in (
            ("probes", probes, _probe_routes(checks)),
            ("metrics", metrics, _metric_routes(registry)),
        ):
            if address is None:
                continue
            app = web.Application()
            app.add_routes(routes)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
            await runner.setup()
            runners.append(runner)
            site = web.TCPSite(runner, address.host or None, address.port)
            await site.start()
            bound[name] = Address(address.host, runner.addresses[0][1])
            log.info("listening", what=name, address=str(bound[name]))
        yield bound
    finally:
        for runner in reversed(runners):
            await runner.cleanup()


def _probe_routes(checks: Checks) -> list[web.RouteDef]:
    def probe(
        of: Callable[[], Mapping[str, Check]],
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            left_out = request.query.getall("exclude", [])
            results = {name: check() for name, check in of().items() if name not in left_out}
            failed = {name: why for name, why in results.items() if why}
            if not failed and "verbose" not in request.query:
                return web.Response(text="ok")
            lines = [
                f"[{'-' if why else '+'}] {name} {why or 'ok'}" for name, why in results.items()
            ]
            return web.Response(text="\n".join(lines) + "\n", status=500 if failed else 200)

        return answer

    return [
        web.get("/healthz", probe(lambda: checks.live)),
        web.get("/readyz", probe(lambda: checks.ready)),
    ]


def _metric_routes(registry: CollectorRegistry) -> list[web.RouteDef]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return [web.get("/metrics", answer)]
