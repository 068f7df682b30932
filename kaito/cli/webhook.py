"""The webhook of `kaito manager`: where it listens, and how the API server comes to trust it.

In a cluster it answers behind a Service, and the installed configuration learns to trust it.
Elsewhere it is off, unless `--webhook-url` says where the API server can reach it; then the
configuration is made here and removed at the end. A daemon that was killed leaves one behind that
lets everything pass.
"""

from __future__ import annotations

import argparse
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import structlog

from kaito.catalog.catalog import Catalog
from kaito.cli.parser import CommandError
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.webhook import (
    CONFIGURATION,
    PATH,
    WorkspaceWebhook,
    configuration,
)
from kaito.runtime import (
    Address,
    Certificate,
    Client,
    ClusterConfig,
    Key,
    Manager,
    NotFound,
    RuntimeFailure,
    Site,
    Webhooks,
)
from kaito.runtime.certificate import ServedCertificate
from kaito.runtime.errors import describe
from kaito.runtime.webhooks import PORT

log = structlog.get_logger("kaito.cli.webhook")


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
    webhooks = Webhooks(metrics=manager.metrics, clock=manager.clock)
    WorkspaceWebhook(manager.client, catalog, settings).serve(webhooks)
    address = _address(arguments)
    if arguments.webhook_certificate:
        certificate = Certificate(
            arguments.webhook_certificate / "tls.crt", arguments.webhook_certificate / "tls.key"
        )
        served = resources.enter_context(
            ServedCertificate(certificate, clock=manager.clock, metrics=manager.metrics)
        )
        site = Site(address=address, routes=webhooks.routes(), tls=served.context)
        manager.serve("webhook", site)
        return
    # Late: a tenth of a second that other daemons need not spend.
    from kaito.runtime.authority import VALIDATING, Authority

    url = arguments.webhook_url
    if url:
        wanted = configuration({"url": url.rstrip("/") + PATH}, failure_policy="Ignore")
        await manager.client.apply(VALIDATING, wanted)
        resources.push_async_callback(_withdraw, manager.client)
        names = [urlsplit(url).hostname or ""]
    else:
        names = [f"{arguments.webhook_service}.{config.namespace}.svc"]
    authority = Authority(manager.client, names, [(VALIDATING, CONFIGURATION)], clock=manager.clock)
    manager.serve(
        "webhook",
        Site(address=address, routes=webhooks.routes(), tls=authority.context),
        beside=authority.run,
        ready=authority.unready,
    )


async def _withdraw(client: Client) -> None:
    from kaito.runtime.authority import VALIDATING

    try:
        await client.delete(VALIDATING, Key("", CONFIGURATION))
    except NotFound:
        return
    except RuntimeFailure as error:
        # It lets everything pass, and how this process ends is for others to say.
        log.warning(
            "webhook left behind",
            **describe(error),
            hint=f"kubectl delete {VALIDATING.plural} {CONFIGURATION}",
        )


def _address(arguments: argparse.Namespace) -> Address:
    if arguments.webhook_address is not None:
        try:
            given = Address.parse(arguments.webhook_address)
        except ValueError as error:
            raise CommandError(f"--webhook-address: {error}") from None
        if given is None:
            raise CommandError("--webhook-address cannot be 0; --no-webhook turns it off.")
        return given
    if not arguments.webhook_url:
        return Address("", PORT)
    where = urlsplit(arguments.webhook_url)
    if where.scheme != "https" or not where.hostname or where.path.strip("/"):
        raise CommandError(
            f"--webhook-url is {arguments.webhook_url}: write https://HOST:PORT, where the API "
            "server reaches this machine."
        )
    address = Address(where.hostname, where.port or 443)
    return address if address.is_loopback else Address("", address.port)
