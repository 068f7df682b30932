"""Probes, metrics and a look inside, as kubelets, Prometheus and people ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from kaito.runtime import Address, CannotListen, Checks, Metrics
from kaito.runtime.serving import Site, debug_routes, metric_routes, probe_routes, serving

LOCAL = Address("127.0.0.1", 0)


async def get(address: Address, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as reply:
        return reply.status, await reply.text()


class Probes:
    """The probes of some checks, served."""

    def __init__(self, checks: Checks, address: Address) -> None:
        self.checks = checks
        self._address = address

    async def get(self, path: str) -> tuple[int, str]:
        return await get(self._address, path)


@pytest.fixture
async def probes() -> AsyncIterator[Probes]:
    checks = Checks()
    async with serving({"probes": Site(address=LOCAL, routes=probe_routes(checks))}) as bound:
        yield Probes(checks, bound["probes"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_with_nothing_wrong_the_answer_is_ok(probes: Probes, path: str) -> None:
    assert await probes.get(path) == (200, "ok")


async def test_a_failed_check_says_why_and_spares_the_other_probe(probes: Probes) -> None:
    probes.checks.ready |= {"caches": lambda: "waiting for pods", "other": lambda: ""}
    assert await probes.get("/readyz") == (500, "[-] caches waiting for pods\n[+] other ok\n")
    assert await probes.get("/healthz") == (200, "ok")


async def test_a_check_can_be_left_out_and_all_can_be_listed(probes: Probes) -> None:
    probes.checks.live |= {"a": lambda: "broken", "b": lambda: ""}
    assert await probes.get("/healthz?exclude=a") == (200, "ok")
    assert await probes.get("/healthz?exclude=a&verbose") == (200, "[+] b ok\n")


async def test_leaving_out_what_is_not_there_is_told(probes: Probes) -> None:
    probes.checks.live |= {"a": lambda: ""}
    assert await probes.get("/healthz?exclude=b&verbose") == (
        200,
        "[+] a ok\nwarning: there is no check 'b' to exclude\n",
    )


async def test_each_check_has_a_path_of_its_own(probes: Probes) -> None:
    probes.checks.live |= {"a": lambda: "broken", "b": lambda: ""}
    assert await probes.get("/healthz/a") == (500, "broken")
    assert await probes.get("/healthz/b") == (200, "ok")
    assert await probes.get("/healthz/c") == (404, "no such check; there are: a, b\n")
    assert await probes.get("/readyz/a") == (404, "no such check; there are: none\n")


async def test_a_check_that_fails_itself_is_a_failed_check(probes: Probes) -> None:
    def check() -> str:
        raise KeyError("x")

    probes.checks.live |= {"a": check, "b": lambda: ""}
    assert await probes.get("/healthz") == (500, "[-] a KeyError: 'x'\n[+] b ok\n")


async def test_metrics_are_the_registrys(metrics: Metrics) -> None:
    metrics.reconcile_total.labels("pods", "success").inc()
    site = Site(address=LOCAL, routes=metric_routes(metrics.registry))
    async with serving({"metrics": site}) as bound:
        status, text = await get(bound["metrics"], "/metrics")
    assert status == 200
    assert 'controller_runtime_reconcile_total{controller="pods",result="success"} 1.0' in text


async def test_the_pages_of_debug_are_told_together_and_alone() -> None:
    def broken() -> str:
        raise ValueError("not now")

    routes = debug_routes({"one": lambda: "1\n", "two": broken})
    async with serving({"debug": Site(address=LOCAL, routes=routes)}) as bound:
        address = bound["debug"]
        assert await get(address, "/debug") == (200, "# one\n\n1\n\n# two\n\nValueError: not now")
        assert await get(address, "/debug/one") == (200, "# one\n\n1\n")
        assert await get(address, "/debug/x") == (404, "no page 'x'; there are one, two\n")


async def test_sites_are_apart(metrics: Metrics) -> None:
    sites = {
        "probes": Site(address=LOCAL, routes=probe_routes(Checks())),
        "metrics": Site(address=LOCAL, routes=metric_routes(metrics.registry)),
    }
    async with serving(sites) as bound:
        assert (await get(bound["metrics"], "/healthz"))[0] == 404
        assert (await get(bound["probes"], "/metrics"))[0] == 404


async def test_the_ports_are_free_again_afterwards() -> None:
    async def once(port: int) -> int:
        site = Site(address=Address("127.0.0.1", port), routes=probe_routes(Checks()))
        async with serving({"probes": site}) as bound:
            return bound["probes"].port

    port = await once(0)
    assert await once(port) == port


async def test_when_the_second_address_is_taken_the_first_is_given_back() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        taken = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        sites = {
            "probes": Site(address=LOCAL, routes=probe_routes(Checks())),
            "metrics": Site(address=taken, routes=()),
        }
        with pytest.raises(CannotListen, match=f"on {taken} for metrics: Address already in use"):
            async with serving(sites):
                pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8080", Address("", 8080)),
        ("127.0.0.1:0", Address("127.0.0.1", 0)),
        ("[::1]:80", Address("::1", 80)),
        ("0", None),
    ],
)
def test_addresses_are_read_as_controller_runtime_does(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected


@pytest.mark.parametrize("text", ["", "8080", "host:", "host:http", ":70000"])
def test_what_is_no_address_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT, :PORT, or 0 for none"):
        Address.parse(text)


@pytest.mark.parametrize("text", [":8080", "127.0.0.1:0", "[::1]:80"])
def test_an_address_is_shown_as_it_is_written(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_only_loopback_is_loopback(host: str, loopback: bool) -> None:
    assert Address(host, 80).is_loopback is loopback
