"""The cluster's own certificate authority and the certificate it serves with.

Kept in a directory, so that a restarted cluster is still trusted by kubeconfigs written before.
The private keys are readable by their owner alone. Nothing here is fit for production: one CA
that lives for ten years, no revocation. cryptography is imported in the functions that need it:
it costs a tenth of a second.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_DAYS = 3650
SERVING_DAYS = 365
# A certificate that ends sooner is renewed at the start.
RENEW_DAYS = 30
SERVED_NAMES = (
    "127.0.0.1",
    "::1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "management.azure.com",
)

_KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Pki:
    """Paths of PEM files: the CA's certificate, and the chain and key to serve with."""

    ca: Path
    certificate: Path
    key: Path

    def ca_pem(self) -> str:
        """The CA's certificate, for kubeconfigs and clients."""
        return self.ca.read_text()

    def server_context(self) -> ssl.SSLContext:
        """A TLS context to serve with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


def ensure_pki(directory: Path, now: float, names: Sequence[str] = SERVED_NAMES) -> Pki:
    """The authority and certificate kept in `directory`, made or renewed where needed.

    `now` is seconds since the epoch. OSError when the directory cannot be written; ValueError
    when what lies there is no key or certificate.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pki = Pki(directory / "ca.crt", directory / "tls.crt", directory / "tls.key")
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    if not _lasts(pki.ca, at) or not (directory / "ca.key").exists():
        _make_authority(directory, at)
        pki.certificate.unlink(missing_ok=True)
    if not _lasts(pki.certificate, at) or not pki.key.exists():
        _make_certificate(directory, pki, names, at)
    return pki


def _lasts(path: Path, at: dt.datetime) -> bool:
    """Whether there is a certificate that does not end soon."""
    from cryptography import x509

    if not path.exists():
        return False
    ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return ends > at + dt.timedelta(days=RENEW_DAYS)


def _make_authority(directory: Path, at: dt.datetime) -> None:
    from cryptography import x509

    key = _new_key(directory / "ca.key")
    name = _name("kaito local CA")
    builder = _builder(name, name, key, CA_DAYS, at).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    _sign(builder, key, key, directory / "ca.crt", usage=("key_cert_sign", "crl_sign"))


def _make_certificate(directory: Path, pki: Pki, names: Sequence[str], at: dt.datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer = load_pem_private_key((directory / "ca.key").read_bytes(), None)
    authority = x509.load_pem_x509_certificate(pki.ca.read_bytes())
    key = _new_key(pki.key)
    builder = (
        _builder(_name("kaito local API server"), authority.subject, key, SERVING_DAYS, at)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(list(map(_general, names))), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]  # ours is an EC key
            critical=False,
        )
    )
    _sign(builder, key, cast("EllipticCurvePrivateKey", signer), pki.certificate)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    days: int,
    at: dt.datetime,
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of clients in containers may lag.
        .not_valid_before(at - dt.timedelta(hours=1))
        .not_valid_after(at + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _sign(
    builder: x509.CertificateBuilder,
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
    path: Path,
    usage: Sequence[str] = ("digital_signature",),
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    uses = dict.fromkeys(_KEY_USES, False) | dict.fromkeys(usage, True)
    signed = builder.add_extension(x509.KeyUsage(**uses), critical=True).sign(
        signer, hashes.SHA256()
    )
    path.write_bytes(signed.public_bytes(Encoding.PEM))


def _new_key(path: Path) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, pem)
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that from its first moment only its owner can read."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    draft.replace(path)


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
