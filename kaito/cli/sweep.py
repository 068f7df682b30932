"""`kaito provisioner sweep`: what is left over of pools, claims and Nodes, and its removal by name.

It reads everything anew and remembers nothing; deleting by itself is the daemon's, which waits
before it does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from kaito.catalog.catalog import load as load_catalog
from kaito.cli.cloud import cluster_uid, settings_of
from kaito.cli.facts import Json
from kaito.cli.logging import configure
from kaito.cli.parser import CommandError
from kaito.cli.sweep_report import Report, as_json, text
from kaito.controllers.machine import served_kinds
from kaito.controllers.machine.archive import read_ledger
from kaito.controllers.machine.broom import Broom
from kaito.controllers.machine.findings import Finding, judge, most_at_once
from kaito.controllers.machine.ledger import Ledger
from kaito.controllers.machine.sweep import DELAY
from kaito.provisioner import CloudError, aks
from kaito.runtime import (
    Client,
    ConfigError,
    ExitCode,
    Forbidden,
    NotFound,
    RuntimeFailure,
    SystemClock,
    load,
)

FOUND = 1
"""Exit code when something is left over, or was named and could not be deleted."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How things are reached."""

    client: Client
    broom: Broom
    cloud: str
    poll_seconds: float
    cluster: str


def run(arguments: argparse.Namespace) -> int:
    """Report, or delete what is named."""
    configure("warning", None)
    try:
        code, said = asyncio.run(answer(arguments))
    except ConfigError as error:
        raise CommandError(str(error), code=ExitCode.MISCONFIGURED) from error
    except NotFound as error:
        raise CommandError(
            f"{error} Nothing can be judged without the definitions of claims.",
            code=ExitCode.UNAVAILABLE,
        ) from error
    except Forbidden as error:
        raise CommandError(
            f"Forbidden: {error} The account of the kubeconfig needs the provisioner's rights: "
            "have config/rbac applied and its role bound to it, or name another account with "
            "--kubeconfig.",
            code=ExitCode.UNAVAILABLE,
        ) from error
    except (RuntimeFailure, CloudError) as error:
        raise CommandError(str(error), code=ExitCode.UNAVAILABLE) from error
    print(said, end="")
    return code


async def answer(arguments: argparse.Namespace) -> tuple[int, str]:
    """The exit code, and what to print. Raises what the cluster and the cloud refuse."""
    async with _reached(arguments.kubeconfig) as way:
        report = await _report(way)
        names: Sequence[str] = arguments.delete or ()
        as_data = arguments.output == "json"
        if not names:
            said = as_json(report) if as_data else text(report)
            return FOUND if report.findings else 0, said
        chosen = _named(report.findings, list(dict.fromkeys(names)))
        outcomes = [await _delete(way, each, dry_run=arguments.dry_run) for each in chosen]
        code = 0 if all(done for done, _ in outcomes) else FOUND
        told = [each for _, each in outcomes]
        if as_data:
            return code, json.dumps(told, indent=2) + "\n"
        return code, "".join(f"{each['what']} {each['name']}: {each['said']}\n" for each in told)


@asynccontextmanager
async def _reached(kubeconfig: str | None) -> AsyncIterator[_Way]:
    config = await load(kubeconfig)
    name = "kaito-provisioner"
    async with Client(config.transport(name), field_manager=name) as client:
        settings = await settings_of(client, os.environ)
        cluster = await cluster_uid(client)
        async with aks.connect(settings) as source:
            broom = Broom(client, source, await served_kinds(client), cluster)
            yield _Way(client, broom, source.cloud, settings.poll_seconds, cluster)


async def _report(way: _Way) -> Report:
    seen = await way.broom.take_stock()
    catalog = load_catalog()

    def price(instance_type: str) -> float | None:
        sku = catalog.find_sku(instance_type, cloud=way.cloud)
        return sku.price.usd_per_hour if sku and sku.price else None

    own = seen.own(way.cluster)
    return Report(
        findings=judge(seen, way.broom.place),
        price=price,
        own=own,
        limit=most_at_once(own),
        delay=DELAY * way.poll_seconds,
        leaked=await _leaked(way.client),
        now=SystemClock().now(),
    )


async def _leaked(client: Client) -> dict[str, int]:
    """Since when the daemon knows of pools without a claim; what may not be read is not known."""
    try:
        ledger = await read_ledger(client)
    except RuntimeFailure:
        ledger = Ledger()
    return {entry.pool: entry.leaked for entry in ledger.open() if entry.leaked is not None}


def _named(findings: Sequence[Finding], names: Sequence[str]) -> list[Finding]:
    """What the names stand for, each for one thing. CommandError tells of all that do not."""
    found = {
        name: [each for each in findings if name in (each.name, f"{each.kind}/{each.name}")]
        for name in names
    }
    unknown = [name for name, those in found.items() if not those]
    if unknown:
        raise CommandError(
            f"{', '.join(unknown)} {'are' if len(unknown) > 1 else 'is'} not left over; `kaito "
            "provisioner sweep` lists what is. Nothing was deleted"
        )
    for name, those in found.items():
        if len(those) > 1:
            either = " or ".join(f"{each.kind}/{each.name}" for each in those)
            raise CommandError(f"{name} is several things: write {either}.", code=2)
    return [only for those in found.values() for only in those]


async def _delete(way: _Way, finding: Finding, *, dry_run: bool) -> tuple[bool, dict[str, Json]]:
    """Whether all is well with it, and what to say."""

    def told(said: str, *, deleted: bool = False) -> dict[str, Json]:
        named: dict[str, Json] = {"what": finding.what, "name": finding.name}
        return {**named, "deleted": deleted, "proof": finding.proof, "said": said}

    if not finding.proven:
        return False, told(f"left alone: {finding.missing}; delete it with the cloud's own tools")
    if dry_run:
        return True, told(f"would be deleted ({finding.proof})")
    try:
        done = await way.broom.remove(finding)
    except CloudError as error:
        return False, told(f"not deleted: {error}")
    if not done.deleted:
        return False, told(f"left alone: {done.said}")
    return True, told(f"{done.said} ({finding.proof})", deleted=True)
