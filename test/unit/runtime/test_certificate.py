"""The certificate that is served follows its files, and half a pair spoils nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from kaito.local.pki import Pki, ensure_pki
from kaito.runtime import Address, Certificate, Metrics, SystemClock
from kaito.runtime.certificate import REREAD_SECONDS, ServedCertificate
from kaito.runtime.serving import Site, metric_routes, serving
from kaito.testing import VirtualClock


def issue(directory: Path) -> Pki:
    directory.mkdir()
    # By the machine's clock, for that is what TLS compares with.
    return ensure_pki(directory, SystemClock().now())


def install(pki: Pki, certificate: Certificate) -> None:
    certificate.chain.write_bytes(pki.certificate.read_bytes())
    certificate.key.write_bytes(pki.key.read_bytes())


async def served_to(authority: Path, address: Address) -> bool:
    """Whether a client that trusts `authority` is content."""
    trust = ssl.create_default_context(cafile=str(authority))
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://{address}/metrics", ssl=trust) as reply,
        ):
            return reply.status == 200
    except aiohttp.ClientConnectorCertificateError:
        return False


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")


def reads(metrics: Metrics, what: str) -> float | None:
    return metrics.registry.get_sample_value(f"certwatcher_read_certificate_{what}")


async def test_a_renewed_certificate_is_served_and_half_of_one_is_not(
    tmp_path: Path, certificate: Certificate, clock: VirtualClock, metrics: Metrics
) -> None:
    first, second = (issue(tmp_path / name) for name in ("first", "second"))
    install(first, certificate)
    with ServedCertificate(certificate, clock=clock, metrics=metrics) as served:
        routes = metric_routes(metrics.registry)
        site = Site(address=Address("127.0.0.1", 0), routes=routes, tls=served.context)
        async with serving({"metrics": site}) as bound:
            address = bound["metrics"]
            assert await served_to(first.ca, address)
            certificate.key.write_bytes(second.key.read_bytes())
            with capture_logs() as logs:
                await clock.advance(REREAD_SECONDS)
                assert [log["event"] for log in logs] == ["certificate kept"]
                assert await served_to(first.ca, address)
                install(second, certificate)
                await clock.advance(REREAD_SECONDS)
                assert logs[-1]["event"] == "certificate read"
            assert await served_to(second.ca, address)
            assert not await served_to(first.ca, address)
            # The transports of the refused handshake close in their own time.
            await asyncio.sleep(0)
    assert (reads(metrics, "total"), reads(metrics, "errors_total")) == (2, 1)
    assert clock.pending == 0


def test_an_unchanged_pair_is_not_loaded_again(
    tmp_path: Path, certificate: Certificate, clock: VirtualClock, metrics: Metrics
) -> None:
    install(issue(tmp_path / "first"), certificate)
    with ServedCertificate(certificate, clock=clock, metrics=metrics):
        asyncio.run(clock.advance(10 * REREAD_SECONDS))
    assert (reads(metrics, "total"), reads(metrics, "errors_total")) == (1, 0)


def test_files_that_are_no_certificate_end_the_start(
    certificate: Certificate, clock: VirtualClock, metrics: Metrics
) -> None:
    with (
        pytest.raises(FileNotFoundError),
        ServedCertificate(certificate, clock=clock, metrics=metrics),
    ):
        pass
    certificate.chain.write_text("x")
    certificate.key.write_text("y")
    with pytest.raises(ssl.SSLError), ServedCertificate(certificate, clock=clock, metrics=metrics):
        pass
    assert clock.pending == 0
