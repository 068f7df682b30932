"""Probes and metrics, as kubelets and Prometheus ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from kaito.runtime import Address, Checks, Metrics
from kaito.runtime.serving import serving

LOCAL = Address("127.0.0.1", 0)


class Site:
    def __init__(self, checks: Checks, probes: str, metrics: str) -> None:
        self.checks = checks
        self._probes = probes
        self._metrics = metrics

    async def get(self, path: str) -> tuple[int, str]:
        base = self._metrics if path == "/metrics" else self._probes
        async with aiohttp.ClientSession() as session, session.get(base + path) as response:
            return response.status, await response.text()


@pytest.fixture
async def site(metrics: Metrics) -> AsyncIterator[Site]:
    checks = Checks()
    async with serving(
        probes=LOCAL, metrics=LOCAL, checks=checks, registry=metrics.registry
    ) as bound:
        yield Site(checks, f"http://{bound['probes']}", f"http://{bound['metrics']}")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_with_nothing_wrong_the_answer_is_ok(site: Site, path: str) -> None:
    assert await site.get(path) == (200, "ok")


async def test_a_failed_check_says_why_and_spares_the_other_probe(site: Site) -> None:
    site.checks.ready |= {"caches": lambda: "waiting for pods", "other": lambda: ""}
    assert await site.get("/readyz") == (500, "[-] caches waiting for pods\n[+] other ok\n")
    assert await site.get("/healthz") == (200, "ok")


async def test_a_check_can_be_left_out_and_all_can_be_listed(site: Site) -> None:
    site.checks.live |= {"a": lambda: "broken", "b": lambda: ""}
    assert await site.get("/healthz?exclude=a") == (200, "ok")
    assert await site.get("/healthz?exclude=a&verbose") == (200, "[+] b ok\n")


async def test_metrics_are_the_registrys(site: Site, metrics: Metrics) -> None:
    metrics.reconcile_total.labels("pods", "success").inc()
    status, text = await site.get("/metrics")
    assert status == 200
    assert 'controller_runtime_reconcile_total{controller="pods",result="success"} 1.0' in text


async def test_the_two_sites_are_apart(site: Site) -> None:
    assert (await Site(site.checks, site._metrics, "").get("/healthz"))[0] == 404


async def test_no_address_serves_nothing(metrics: Metrics) -> None:
    async with serving(
        probes=None, metrics=None, checks=Checks(), registry=metrics.registry
    ) as bound:
        assert bound == {}


async def test_the_ports_are_free_again_afterwards(metrics: Metrics) -> None:
    async def once(port: int) -> int:
        async with serving(
            probes=Address("127.0.0.1", port),
            metrics=None,
            checks=Checks(),
            registry=metrics.registry,
        ) as bound:
            return bound["probes"].port

    port = await once(0)
    assert await once(port) == port


async def test_when_the_second_address_is_taken_the_first_is_given_back(
    metrics: Metrics,
) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        taken = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(OSError, match="address"):
            async with serving(
                probes=LOCAL, metrics=taken, checks=Checks(), registry=metrics.registry
            ):
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
