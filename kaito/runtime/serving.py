"""Health probes, metrics and a look inside over HTTP, as kubelets, Prometheus and people ask.

`/healthz` and `/readyz` answer 200 `ok` or 500 with the failed checks; `?verbose` lists all of
them, `?exclude=NAME` leaves one out, and `/healthz/NAME` asks one alone. `/metrics` is the
Prometheus text format, over TLS if wanted. `/debug` is text, and listens on loopback alone.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

Check: TypeAlias = Callable[[], str]
"""A health check: "" when well, else one sentence."""
Page: TypeAlias = Callable[[], str]
"""A section of the debug page, made when it is asked for."""

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

    @property
    def is_loopback(self) -> bool:
        """Whether nobody outside of this machine can reach it. A name other than localhost
        does not count, for it may resolve to anything."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(slots=True)
class Checks:
    """The checks of a process, by name."""

    live: dict[str, Check] = field(default_factory=dict)
    ready: dict[str, Check] = field(default_factory=dict)


class CannotListen(OSError):
    """An address is taken, not ours or not allowed; the message says which and for what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is served where: its routes, and TLS if there is a context."""

    address: Address
    routes: Iterable[web.RouteDef]
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def serving(sites: Mapping[str, Site]) -> AsyncIterator[Mapping[str, Address]]:
    """Serve while the block runs. Yields the addresses in use, by the names of the sites.

    CannotListen when one cannot be listened on.
    """
    runners: list[web.AppRunner] = []
    bound: dict[str, Address] = {}
    try:
        for name, site in sites.items():
            app = web.Application()
            app.add_routes(site.routes)
            # Nobody has reason to compress what is sent to us, and a bomb is compressed.
            runner = web.AppRunner(
                app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, auto_decompress=False
            )
            await runner.setup()
            runners.append(runner)
            host, port = site.address.host, site.address.port
            try:
                await web.TCPSite(runner, host or None, port, ssl_context=site.tls).start()
            except OSError as error:
                why = os.strerror(error.errno) if error.errno else str(error)
                raise CannotListen(
                    f"Cannot listen on {site.address} for {name}: {why}. Give another address."
                ) from error
            bound[name] = Address(host, runner.addresses[0][1])
            log.info("listening", what=name, address=str(bound[name]), tls=site.tls is not None)
        yield bound
    finally:
        for runner in reversed(runners):
            await runner.cleanup()


Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


def probe_routes(checks: Checks) -> list[web.RouteDef]:
    """`/healthz` for `checks.live`, `/readyz` for `checks.ready`; both look at each request."""
    return [
        *_routes_of("/healthz", checks.live),
        *_routes_of("/readyz", checks.ready),
    ]


def metric_routes(registry: CollectorRegistry) -> list[web.RouteDef]:
    """`/metrics`."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return [web.get("/metrics", answer)]


def debug_routes(pages: Mapping[str, Page]) -> list[web.RouteDef]:
    """`/debug` for all pages, `/debug/NAME` for one."""

    async def answer(request: web.Request) -> web.Response:
        name = request.match_info.get("name", "")
        if name and name not in pages:
            known = ", ".join(pages)
            return web.Response(text=f"no page {name!r}; there are {known}\n", status=404)
        wanted = [name] if name else list(pages)
        text = "\n".join(f"# {each}\n\n{_said(pages[each])}" for each in wanted)
        return web.Response(text=text)

    return [web.get("/debug", answer), web.get("/debug/{name}", answer)]


def _routes_of(path: str, checks: Mapping[str, Check]) -> list[web.RouteDef]:
    async def answer_all(request: web.Request) -> web.Response:
        left_out = request.query.getall("exclude", [])
        results = {name: _said(check) for name, check in checks.items() if name not in left_out}
        failed = any(results.values())
        if not failed and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [f"[{'-' if why else '+'}] {name} {why or 'ok'}" for name, why in results.items()]
        lines += [
            f"warning: there is no check {name!r} to exclude"
            for name in left_out
            if name not in checks
        ]
        return web.Response(text="\n".join(lines) + "\n", status=500 if failed else 200)

    async def answer_one(request: web.Request) -> web.Response:
        check = checks.get(request.match_info["name"])
        if check is None:
            known = ", ".join(checks) or "none"
            return web.Response(text=f"no such check; there are: {known}\n", status=404)
        why = _said(check)
        return web.Response(text=why or "ok", status=500 if why else 200)

    return [web.get(path, answer_all), web.get(f"{path}/{{name}}", answer_one)]


def _said(look: Callable[[], str]) -> str:
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - one that fails says so, and spares the others
        return f"{type(error).__name__}: {error}"
