"""The webhook of `kaito manager`: where it listens, and how the API server comes to trust it.

In a cluster it answers behind a Service, and the installed configuration learns to trust it.
Elsewhere it is off, unless `--webhook-url` says where the API server can reach it; then the
configuration is made here, once we listen, and removed at the end. A daemon that was killed leaves
one behind that lets everything pass.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from kaito.catalog.catalog import Catalog
from kaito.cli.parser import CommandError
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.webhook import (
    CONFIGURATION,
    PATH,
    WorkspaceWebhook,
    configuration,
)
from kaito.runtime import Address, Certificate, ClusterConfig, Manager, Object, Site, Webhooks
from kaito.runtime.certificate import ServedCertificate
from kaito.runtime.webhooks import PORT

HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the API server reaches this machine. Port 0 is the one that is listened on."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Origin:
        """ "https://HOST" or "https://HOST:PORT"; ValueError for everything else."""
        try:
            found = urlsplit(text)
            host, port = found.hostname or "", found.port
            plain = not (found.path.strip("/") or found.query or found.fragment)
            named = ":" in host and ipaddress.IPv6Address(host).scope_id is None
            named = named or HOST.fullmatch(host) is not None
        except ValueError:
            plain = named = False
        if not (plain and named) or found.scheme != "https" or found.username is not None:
            shown = re.sub("//.*@", "//...@", text)  # a password is not for logs
            raise ValueError(
                f"{shown!r} is no place to reach this machine; write https://HOST:PORT."
            )
        return Origin(host, 443 if port is None else port)

    @property
    def listening(self) -> Address:
        """Where to listen for what is asked there."""
        address = Address(self.host, self.port)
        return address if address.is_loopback else Address("", self.port)

    def url(self, listening: Address) -> str:
        """What the API server is told, while we listen at `listening`."""
        return f"https://{Address(self.host, self.port or listening.port)}{PATH}"


async def add_webhook(
    manager: Manager,
    resources: AsyncExitStack,
    arguments: argparse.Namespace,
    config: ClusterConfig,
    *,
    catalog: Catalog,
    settings: Settings,
) -> None:
    """Have the manager serve the webhook where it is wanted."""
    if arguments.no_webhook or not (config.in_cluster or arguments.webhook_url):
        return
    origin = _origin(arguments)
    address = _address(arguments, origin)
    webhooks = Webhooks(metrics=manager.metrics, clock=manager.clock)
    WorkspaceWebhook(
        manager.client, catalog, settings, metrics=manager.metrics, clock=manager.clock
    ).serve(webhooks)
    # Late: a tenth of a second that other daemons need not spend.
    from kaito.runtime.authority import VALIDATING, Authority, GivenAuthority
    from kaito.runtime.registration import Registration, Upkeep, keep

    configurations = [(VALIDATING, CONFIGURATION)]
    upkeep: Upkeep | None
    if arguments.webhook_certificate:
        files = _certificate(arguments.webhook_certificate)
        served = ServedCertificate(files, clock=manager.clock, metrics=manager.metrics)
        context = resources.enter_context(served).context
        upkeep = None  # whoever made the certificate has the installed configuration trust it
        if origin:
            upkeep = GivenAuthority(
                manager.client, files.chain, configurations, clock=manager.clock
            )
    else:
        name = origin.host if origin else f"{arguments.webhook_service}.{config.namespace}.svc"
        authority = Authority(manager.client, [name], configurations, clock=manager.clock)
        context, upkeep = authority.context, authority
    if origin and upkeep:

        def wanted() -> Object:
            url = origin.url(manager.addresses["webhook"])
            return configuration({"url": url}, failure_policy="Ignore")

        registration = Registration(
            manager.client, VALIDATING, CONFIGURATION, wanted, upkeep, clock=manager.clock
        )
        installed = await registration.obstacle()
        if installed:
            raise CommandError(f"--webhook-url: {installed}, or leave --webhook-url out.")
        resources.push_async_callback(registration.withdraw)
        upkeep = registration
    manager.serve(
        "webhook",
        Site(address=address, routes=webhooks.routes(), tls=context),
        beside=partial(keep, upkeep, manager.clock) if upkeep else None,
        ready=upkeep.unready if upkeep else None,
    )


def _certificate(directory: Path) -> Certificate:
    return Certificate(directory / "tls.crt", directory / "tls.key")


def _origin(arguments: argparse.Namespace) -> Origin | None:
    if not arguments.webhook_url:
        return None
    try:
        return Origin.parse(arguments.webhook_url)
    except ValueError as error:
        raise CommandError(f"--webhook-url: {error}") from None


def _address(arguments: argparse.Namespace, origin: Origin | None) -> Address:
    if arguments.webhook_address is None:
        return origin.listening if origin else Address("", PORT)
    try:
        given = Address.parse(arguments.webhook_address)
    except ValueError as error:
        raise CommandError(f"--webhook-address: {error}") from None
    if given is None:
        raise CommandError("--webhook-address cannot be 0; --no-webhook turns it off.")
    return given
