"""The `caBundle`s of webhook configurations: whom the API server trusts when it calls.

A bundle is PEM text. What is not ours in it stays as it is, and so does what cannot be read: it
may be of use to a server, which skips what it cannot read. Of ours, which `ORGANISATION` tells,
the last KEPT stay. A process that finds its own sinking towards the front puts it at the end
again, so what a restarting replica pushes out is what nobody has confirmed.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from cryptography import x509
from cryptography.x509.oid import NameOID

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock
from kaito.runtime.conflicts import past_conflicts
from kaito.runtime.errors import NotFound, RuntimeFailure, describe
from kaito.runtime.resource import Key, Object, Resource

ORGANISATION = "kaito.runtime webhook"  # by which we know the authorities that we may remove
KEPT = 64  # of ours in a bundle, 45 KB; bounded, for each restart leaves one behind
LIVE = 24  # replicas that settle in it; the rest is for restarts between two of their looks

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.S)

log = structlog.get_logger("kaito.runtime.bundles")


class Bundles:
    """The bundles of some configurations: pairs of their kind and a name."""

    def __init__(
        self,
        client: Client,
        configurations: Sequence[tuple[Resource[Object], str]],
        *,
        clock: Clock,
    ) -> None:
        self._client = client
        self._configurations = tuple(configurations)
        self._clock = clock
        self._told = ""

    async def change(self, to: Callable[[str], str]) -> str:
        """Have every bundle be what `to` makes of it, "" being none. What is in the way of that,
        and the way out; "" if nothing is."""
        troubles: list[str] = []
        for resource, name in self._configurations:
            try:
                await past_conflicts(self._clock, partial(self._change, resource, name, to))
            except NotFound:
                troubles.append(f"the {resource.kind} {name} does not exist; create it")
                self._tell("configuration missing", troubles[-1], resource, name)
            except RuntimeFailure as error:
                troubles.append(
                    f"the {resource.kind} {name} cannot be given our authority: {error}"
                )
                self._tell("bundle not written", troubles[-1], resource, name, **describe(error))
        self._told = "; ".join(troubles)
        return self._told

    def _tell(
        self, event: str, trouble: str, resource: Resource[Object], name: str, **more: object
    ) -> None:
        # Once, however often it is looked at.
        tell = log.debug if trouble in self._told else log.warning
        tell(event, resource=str(resource), name=name, **more)

    async def _change(
        self, resource: Resource[Object], name: str, to: Callable[[str], str]
    ) -> None:
        configuration = await self._client.get(resource, Key("", name))
        changed = False
        for webhook in configuration.get("webhooks") or ():
            config = webhook["clientConfig"]
            before = config.pop("caBundle", "")
            after = _encoded(to(_decoded(before)))
            changed |= before != after
            if after:
                config["caBundle"] = after
        if changed:
            await self._client.update(resource, configuration)


def with_authority(bundle: str, pem: str, now: float) -> str:
    """`bundle` with this authority of ours, without those of ours that have ended.

    Nothing moves that need not: an authority among the last LIVE of ours stays in its place, so
    as many replicas leave a bundle alone once each has looked at it.
    """
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    others: list[str] = []
    ours: list[str] = []
    for text in _CERTIFICATE.findall(bundle):
        ending = _our_ending(text)
        if ending is None:
            others.append(text if text.endswith("\n") else f"{text}\n")
        elif text == pem or ending > at:
            ours.append(text)
    if pem not in ours[-LIVE:]:
        ours = [*(text for text in ours if text != pem), pem]
    return "".join([*others, *ours[-KEPT:]])


def authority_of(chain: str) -> str:
    """The authority of a chain that brings its own, as PEM: its last certificate, where that is
    signed by itself. "" for any other, as those of public authorities are.

    ValueError when the last certificate cannot be read.
    """
    found = _CERTIFICATE.findall(chain)
    if not found:
        return ""
    last = x509.load_pem_x509_certificate(found[-1].encode())
    return found[-1] if last.issuer == last.subject else ""


def _our_ending(text: str) -> dt.datetime | None:
    """When an authority of ours ends; None for what is not ours."""
    try:
        certificate = x509.load_pem_x509_certificate(text.encode("latin-1"))
        named = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except ValueError:
        return None
    ours = any(attribute.value == ORGANISATION for attribute in named)
    return certificate.not_valid_after_utc if ours else None


# Latin-1 keeps every byte, of what we cannot read, too.
def _decoded(bundle: str) -> str:
    try:
        return base64.b64decode(bundle).decode("latin-1")
    except binascii.Error:
        return ""  # no server takes that


def _encoded(bundle: str) -> str:
    return base64.b64encode(bundle.encode("latin-1")).decode()
