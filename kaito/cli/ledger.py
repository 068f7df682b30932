"""`kaito provisioner ledger`: the pools that were asked for, and what became of them."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator, Sequence

from kaito.cli.facts import UNKNOWN, Json, count
from kaito.cli.parser import CommandError
from kaito.cli.sweep_report import spell
from kaito.cli.table import WIDTH, headed
from kaito.controllers.machine.archive import read_ledger
from kaito.controllers.machine.ledger import Entry, Outcome
from kaito.provisioner.failure import one_line
from kaito.runtime import Client, ExitCode, RuntimeFailure, SystemClock, load, rfc3339


def run(arguments: argparse.Namespace) -> int:
    """Print it, the latest request last."""
    try:
        entries = asyncio.run(_read(arguments.kubeconfig))
    except RuntimeFailure as error:
        raise CommandError(str(error), code=ExitCode.UNAVAILABLE) from error
    if arguments.output == "json":
        print(json.dumps([entry_json(each) for each in entries], indent=2))
    else:
        print("\n".join(lines(entries, SystemClock().now())))
    return 0


async def _read(kubeconfig: str | None) -> Sequence[Entry]:
    config = await load(kubeconfig)
    async with Client(config.transport("kaito")) as client:
        return (await read_ledger(client)).entries()


def lines(entries: Sequence[Entry], now: float) -> Iterator[str]:
    """A table of 80 columns."""
    if not entries:
        yield "No pool has been asked for, or the ledger has not been written yet."
        return
    header = ("POOL", "SIZE", "ASKED", "LIFETIME", "OUTCOME")
    rows = [
        (
            one_line(each.pool, 12),
            one_line(each.size, 25),
            f"{spell(max(0.0, now - each.asked))} ago",
            UNKNOWN if each.lifetime is None else spell(each.lifetime),
            outcome(each),
        )
        for each in entries
    ]
    heading, *table = headed(header, rows, right=("LIFETIME",), width=WIDTH)
    yield heading
    for each, line in zip(entries, table, strict=True):
        yield line
        if each.cause:
            yield f"  {one_line(each.cause, WIDTH - 2)}"
    there = sum(not each.over for each in entries)
    yield f"{count(len(entries), 'request')}, {count(there, 'pool')} still there"


def outcome(entry: Entry) -> str:
    """What became of it last, after how long, and how often."""
    if entry.outcome is Outcome.READY:
        return f"ready after {spell(entry.ready_after or 0)}"
    return f"{entry.outcome}, {entry.attempts} times" if entry.attempts > 1 else str(entry.outcome)


def entry_json(entry: Entry) -> dict[str, Json]:
    """With times as RFC 3339 has them."""
    return {
        "pool": entry.pool,
        "instanceType": entry.size,
        "asked": rfc3339(entry.asked),
        "outcome": entry.outcome,
        "cause": entry.cause or None,
        "readyAfterSeconds": entry.ready_after,
        "leaked": None if entry.leaked is None else rfc3339(entry.leaked),
        "ended": None if entry.ended is None else rfc3339(entry.ended),
        "lifetimeSeconds": entry.lifetime,
        "attempts": entry.attempts,
        "changed": rfc3339(entry.changed),
    }
