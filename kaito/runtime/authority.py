"""Certificates that API servers trust when they call our webhooks, without anybody's help.

Each process is an authority of its own, for itself: it makes a key and a certificate in memory,
and adds its certificate to the `caBundle` of the webhook configurations. No key is ever stored,
no Secret is read, and several replicas need not agree on anything; what is left of dead ones ends
by itself. The price is one read a minute, which also mends a bundle that somebody has reset. As
long as a configuration is missing it is looked for every other second.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock
from kaito.runtime.errors import Conflict, NotFound, RuntimeFailure, describe
from kaito.runtime.resource import Key, Object, Resource
from kaito.runtime.tls import load_chain

LIFE = dt.timedelta(days=7)
RENEW_AT = 2 / 3  # of its life a certificate is replaced
SKEW = dt.timedelta(hours=1)  # between our clock and the API server's
CHECK_SECONDS = 60.0
UNTRUSTED_SECONDS = 2.0  # until the next look while calls to us would fail
KEPT = 16  # authorities in a bundle: more than replicas, and bounded when one restarts for ever
ORGANISATION = "kaito.runtime webhook"  # by which we know the authorities that we may remove

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
        self._client = client
        self._names = tuple(names)
        self._configurations = tuple(configurations)
        self._clock = clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """To serve with; it always holds the newest certificate that is trusted."""
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._trouble = "no webhook configuration trusts this process yet"
        self._pem, self._chain, self._renew_at = self._make()
        load_chain(self.context, self._chain)

    def unready(self) -> str:
        """A readiness check: why the API server would not trust us, "" when it does."""
        return self._trouble

    async def run(self) -> None:
        """Keep the certificates valid and trusted, until cancelled."""
        while True:
            await self.ensure()
            await self._clock.sleep(UNTRUSTED_SECONDS if self._trouble else CHECK_SECONDS)

    async def ensure(self) -> None:
        """Renew the certificate if it is time, and see that every configuration trusts it."""
        if self._clock.now() >= self._renew_at:
            pem, chain, renew_at = self._make()
            # Trusted first and served then, or calls between the two would fail.
            if not await self._injected(pem):
                self._pem, self._renew_at = pem, renew_at
                load_chain(self.context, chain)
                log.info("certificate renewed", names=self._names)
        self._trouble = await self._injected(self._pem)

    async def _injected(self, pem: str) -> str:
        """What keeps a configuration from trusting `pem`, and the way out; "" if nothing."""
        troubles: list[str] = []
        for resource, name in self._configurations:
            try:
                await self._inject(resource, name, pem)
            except NotFound:
                troubles.append(f"the {resource.kind} {name} does not exist; create it")
                self._tell("configuration missing", troubles[-1], resource, name)
            except RuntimeFailure as error:
                troubles.append(
                    f"the {resource.kind} {name} cannot be given our authority: {error}"
                )
                self._tell("bundle not written", troubles[-1], resource, name, **describe(error))
        return "; ".join(troubles)

    def _tell(
        self, event: str, trouble: str, resource: Resource[Object], name: str, **more: object
    ) -> None:
        # Once, however often it is looked at.
        tell = log.debug if trouble in self._trouble else log.warning
        tell(event, resource=str(resource), name=name, **more)

    async def _inject(self, resource: Resource[Object], name: str, pem: str) -> None:
        while True:
            configuration = await self._client.get(resource, Key("", name))
            changed = False
            for webhook in configuration.get("webhooks") or ():
                config = webhook["clientConfig"]
                bundle = with_authority(_decoded(config.get("caBundle")), pem, self._clock.now())
                encoded = base64.b64encode(bundle.encode()).decode()
                changed |= config.get("caBundle") != encoded
                config["caBundle"] = encoded
            if not changed:
                return
            try:
                await self._client.update(resource, configuration)
            except Conflict:
                continue  # another replica was first: add ours to what it wrote
            return

    def _make(self) -> tuple[str, bytes, float]:
        """The authority as PEM, its certificate and key to serve with, and when to replace it."""
        now = dt.datetime.fromtimestamp(self._clock.now(), dt.UTC)
        pem, chain = make_certificate(self._names, now - SKEW, now + LIFE)
        return pem, chain, (now + LIFE * RENEW_AT).timestamp()


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


def with_authority(bundle: str, pem: str, now: float) -> str:
    """`bundle` with this authority, without those of ours that have ended.

    Authorities of others stay, in front. Of ours the newest `KEPT` do, in the order of their age,
    so that replicas do not undo each other's order.
    """
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    others: list[str] = []
    ours: dict[str, dt.datetime] = {}
    for certificate in (*_certificates(bundle), *_certificates(pem)):
        text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        named = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        if not any(attribute.value == ORGANISATION for attribute in named):
            others.append(text)
        elif text == pem or certificate.not_valid_after_utc > at:
            ours[text] = certificate.not_valid_before_utc
    by_age = sorted(ours, key=lambda text: (ours[text], text))
    kept = by_age[-KEPT:]
    if pem not in kept:
        kept = [pem, *kept[1:]]
    return "".join([*others, *kept])


def _certificates(bundle: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(bundle.encode()) if bundle.strip() else []
    except ValueError:
        return []  # garbage, which the API server could not use either


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _decoded(bundle: Any) -> str:
    try:
        return base64.b64decode(bundle or "").decode()
    except (binascii.Error, UnicodeDecodeError, TypeError):
        return ""
