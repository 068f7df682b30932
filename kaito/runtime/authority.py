"""Certificates that API servers trust when they call our webhooks, without anybody's help.

Each process is an authority of its own, for itself: it makes a key and a certificate in memory,
and adds its certificate to the `caBundle` of the webhook configurations. No key is ever stored,
no Secret is read, and several replicas need not agree on anything; what is left of dead ones ends
by itself. The price is one read every ten seconds, which also mends a bundle that somebody has
reset. As long as a configuration is missing it is looked for every other second.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kaito.runtime.bundles import ORGANISATION, Bundles, authority_of, with_authority
from kaito.runtime.client import Client
from kaito.runtime.clock import Clock
from kaito.runtime.registration import keep
from kaito.runtime.resource import Object, Resource
from kaito.runtime.tls import load_chain

LIFE = dt.timedelta(days=7)
RENEW_AT = 2 / 3  # of its life a certificate is replaced
SKEW = dt.timedelta(hours=1)  # between our clock and the API server's

VALIDATING: Resource[Object] = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)
MUTATING: Resource[Object] = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)

log = structlog.get_logger("kaito.runtime.authority")


class Authority:
    """Serves with certificates that it makes itself, and has the API server trust them.

    `names` are those that the API server calls us by: `SERVICE.NAMESPACE.svc`, or an address.
    `configurations` are pairs of VALIDATING or MUTATING and a name.
    """

    def __init__(
        self,
        client: Client,
        names: Sequence[str],
        configurations: Sequence[tuple[Resource[Object], str]],
        *,
        clock: Clock,
    ) -> None:
        if not names:
            raise ValueError("An authority needs a name that the API server calls us by.")
        self._names = tuple(names)
        self._bundles = Bundles(client, configurations, clock=clock)
        self._clock = clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """To serve with; it always holds the newest certificate that is trusted."""
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._trouble = "no webhook configuration trusts this process yet"
        self._pem, chain, self._renew_at = self._make()
        self._next: tuple[str, bytes, float] | None = None
        load_chain(self.context, chain)

    def unready(self) -> str:
        """A readiness check: why the API server would not trust us, "" when it does."""
        return self._trouble

    async def run(self) -> None:
        """Keep the certificates valid and trusted, until cancelled."""
        await keep(self, self._clock)

    async def ensure(self) -> None:
        """Renew the certificate if it is time, and see that every configuration trusts it."""
        if self._clock.now() >= self._renew_at:
            # One, however often it takes: each fills a place in the bundles.
            pem, chain, renew_at = self._next = self._next or self._make()
            # Trusted first and served then, or calls between the two would fail.
            if not await self._trusting(pem):
                self._pem, self._renew_at, self._next = pem, renew_at, None
                load_chain(self.context, chain)
                log.info("certificate renewed", names=self._names)
        self._trouble = await self._trusting(self._pem)

    async def _trusting(self, pem: str) -> str:
        """What keeps a configuration from trusting `pem`, and the way out; "" if nothing."""
        now = self._clock.now()
        return await self._bundles.change(partial(with_authority, pem=pem, now=now))

    def _make(self) -> tuple[str, bytes, float]:
        """The authority as PEM, its certificate and key to serve with, and when to replace it."""
        now = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)
        pem, chain = make_certificate(self._names, now - SKEW, now + LIFE)
        return pem, chain, (now + LIFE * RENEW_AT).timestamp()


class GivenAuthority:
    """Has the API server trust the authority behind certificates that somebody else made.

    That is `ca.crt` beside the chain, where cert-manager puts it, or else the chain's own. Where
    there is neither, a public authority has signed it, and no bundle is needed.
    """

    def __init__(
        self,
        client: Client,
        chain: Path,
        configurations: Sequence[tuple[Resource[Object], str]],
        *,
        clock: Clock,
    ) -> None:
        self._chain = chain
        self._bundles = Bundles(client, configurations, clock=clock)
        self._trouble = "no webhook configuration trusts this process yet"

    def unready(self) -> str:
        """A readiness check: why the API server would not trust us, "" when it may."""
        return self._trouble

    async def ensure(self) -> None:
        """See that every configuration has the authority that the files now hold."""
        try:
            authority = self._authority()
        except (OSError, ValueError) as error:
            self._trouble = f"the authority beside {self._chain} cannot be read: {error}"
            return
        self._trouble = await self._bundles.change(lambda _: authority)

    def _authority(self) -> str:
        beside = self._chain.with_name("ca.crt")
        return beside.read_text() if beside.exists() else authority_of(self._chain.read_text())


def make_certificate(
    names: Sequence[str], begin: dt.datetime, end: dt.datetime
) -> tuple[str, bytes]:
    """A self-signed certificate for `names`, and the same with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64]),
            # Authorities of one name are taken for one another by some TLS libraries.
            x509.NameAttribute(NameOID.SERIAL_NUMBER, f"{serial:x}"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode(), pem + secret


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
