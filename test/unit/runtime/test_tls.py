"""Certificates and authorities that are replaced while a client runs."""

from __future__ import annotations

import os
import pty
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from kaito.runtime import Tls
from kaito.runtime.tls import RELOAD_SECONDS
from kaito.testing import VirtualClock


def pair(name: str) -> tuple[str, str]:
    """A self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return (
        certificate.public_bytes(pem).decode(),
        key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def authorities(tls: Tls) -> list[str]:
    return [dict(part[0] for part in ca["subject"])["commonName"] for ca in _certs(tls.context())]


def _certs(context: ssl.SSLContext) -> list[dict[str, tuple[tuple[tuple[str, str], ...], ...]]]:
    return context.get_ca_certs()  # type: ignore[return-value]  # typeshed: a union by argument


async def test_an_authority_that_was_replaced_is_trusted_after_five_minutes(
    tmp_path: Path, clock: VirtualClock
) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(pair("old")[0])
    tls = Tls(clock, authority=ca)
    ca.write_text(pair("new")[0])
    assert authorities(tls) == ["old"]
    await clock.advance(RELOAD_SECONDS)
    assert authorities(tls) == ["new"]


async def test_the_context_stays_the_same_while_its_files_do(
    tmp_path: Path, clock: VirtualClock
) -> None:
    (tmp_path / "ca.crt").write_text(pair("ca")[0])
    tls = Tls(clock, authority=tmp_path / "ca.crt")
    before = tls.context()
    await clock.advance(RELOAD_SECONDS)
    assert tls.context() is before


@pytest.mark.parametrize("text", ["", "no certificate", None], ids=["empty", "garbled", "gone"])
async def test_a_replacement_that_cannot_be_used_leaves_the_earlier_one(
    tmp_path: Path, clock: VirtualClock, text: str | None
) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(pair("old")[0])
    tls = Tls(clock, authority=ca)
    if text is None:
        ca.unlink()
    else:
        ca.write_text(text)
    await clock.advance(RELOAD_SECONDS)
    assert authorities(tls) == ["old"]


async def test_a_half_replaced_client_certificate_is_tried_again_later(
    tmp_path: Path, clock: VirtualClock
) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    old, new = pair("old"), pair("new")
    certificate.write_text(old[0])
    key.write_text(old[1])
    tls = Tls(clock, certificate=certificate, key=key)
    before = tls.context()
    certificate.write_text(new[0])  # the key does not fit it yet
    await clock.advance(RELOAD_SECONDS)
    assert tls.context() is before
    key.write_text(new[1])
    await clock.advance(RELOAD_SECONDS)
    assert tls.context() is not before


def test_a_certificate_that_a_plugin_brings_replaces_the_one_before(clock: VirtualClock) -> None:
    tls = Tls(clock)
    before = tls.context()
    tls.present(*pair("user"))
    assert tls.context() is not before


def test_a_certificate_without_its_key_is_refused(clock: VirtualClock) -> None:
    with pytest.raises(OSError, match=r"PEM|KEY"):
        Tls(clock, certificate=pair("user")[0])


async def test_files_that_are_no_text_leave_the_earlier_authority_in_place(
    tmp_path: Path, clock: VirtualClock
) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text(pair("old")[0])
    tls = Tls(clock, authority=ca)
    ca.write_bytes(b"\xff\xfe")
    await clock.advance(RELOAD_SECONDS)
    with capture_logs() as logs:
        assert authorities(tls) == ["old"]
    assert logs[0]["event"] == "certificates kept"


def test_a_key_behind_a_password_is_refused_and_nobody_is_asked_for_it(
    tmp_path: Path, clock: VirtualClock
) -> None:
    certificate, key = pair("us")
    secret = serialization.load_pem_private_key(key.encode(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    # In a terminal of its own, where OpenSSL would find somebody to ask.
    program = (
        "import sys; from kaito.runtime import SystemClock, Tls\n"
        "try: Tls(SystemClock(), certificate=sys.argv[1], key=sys.argv[2])\n"
        "except OSError: print('refused')"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, certificate, secret.decode()],
        stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.communicate(timeout=20)[0] == b"refused\n"
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)
