"""What is left over is told within 80 columns, with its price and with what becomes of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kaito.cli.ledger import entry_json, lines
from kaito.cli.sweep_report import Report, as_json, spell, text
from kaito.controllers.machine.findings import Finding, Identity, Kind
from kaito.controllers.machine.ledger import LONGEST, Entry, Outcome

NOW = 1_767_225_600.0
LEAKED = Finding(
    identity=Identity(Kind.POOL, "ws0a1b2c3d4", "2026"),
    why="no claim asks for it",
    proof=f"labels kaito.sh/workspace={'x' * 63}, kaito.sh/cluster=4f1c",
    what="agent pool",
    instance_type="Standard_NC24ads_A100_v4",
    born=NOW - 7200.0,
)
UNPROVEN = replace(
    LEAKED,
    identity=Identity(Kind.POOL, "mine", ""),
    missing="its labels do not prove that KAITO made it",
    nodes=3,
)
UNKNOWN = replace(LEAKED, identity=Identity(Kind.POOL, "odd", ""), instance_type="Odd", born=None)
NODE = replace(
    LEAKED,
    identity=Identity(Kind.NODE, f"aks-{'n' * 58}", "uid"),
    what="Node",
    nodes=0,
    why="it has neither claim nor instance",
)


def report(*findings: Finding, limit: int = 9, leaked: dict[str, int] | None = None) -> Report:
    return Report(
        findings=findings,
        price={"Standard_NC24ads_A100_v4": 3.673}.get,
        own=10,
        limit=limit,
        delay=300.0,
        leaked=leaked or {},
        now=NOW,
    )


@pytest.mark.parametrize("limit", [1, 9])
def test_the_table_keeps_to_80_columns(limit: int) -> None:
    said = text(report(LEAKED, UNPROVEN, UNKNOWN, NODE, limit=limit))
    long = [line for line in said.splitlines() if len(line) > 80]
    assert [line.strip() for line in long if "x" * 63 not in line] == []


def test_prices_are_summed_by_machine_and_what_has_none_is_said() -> None:
    said = text(report(LEAKED, UNPROVEN, UNKNOWN, NODE))
    assert "4 findings: $14.69 an hour and what has no known price." in said
    assert report(LEAKED, UNPROVEN).total == pytest.approx(4 * 3.673)


def test_nothing_left_over_is_said_in_a_line() -> None:
    assert text(report()) == "Nothing is left over; 10 agent pools of this cluster.\n"


@pytest.mark.parametrize(
    ("shown", "fate"),
    [
        (report(LEAKED), "deleted in 5m"),
        (report(LEAKED, leaked={"ws0a1b2c3d4": int(NOW) - 270}), "deleted in 30s"),
        (report(LEAKED, leaked={"ws0a1b2c3d4": int(NOW) - 900}), "deleted soon"),
        (report(LEAKED, UNKNOWN, limit=1), "kept: too many"),
        (report(UNPROVEN), "kept: not proven"),
    ],
)
def test_what_becomes_of_it_is_foretold(shown: Report, fate: str) -> None:
    assert shown.fate(shown.findings[0]) == fate


def test_too_many_are_told_with_the_way_out() -> None:
    said = text(report(LEAKED, UNKNOWN, limit=1))
    assert "The provisioner deletes nothing: 2 are left over at once" in said
    assert "--delete NAME" in said


def test_scripts_get_all_of_it() -> None:
    found = json.loads(as_json(report(LEAKED, UNPROVEN)))
    assert [each["proven"] for each in found["findings"]] == [True, False]
    assert found["findings"][0]["ageSeconds"] == 7200
    assert found["findings"][1]["usdPerHour"] == pytest.approx(3 * 3.673)
    assert (found["limit"], found["blocked"], found["delaySeconds"]) == (9, False, 300.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h00m"), (200_000, "2d7h")],
)
def test_times_are_spelt_by_their_largest_unit(seconds: float, words: str) -> None:
    assert spell(seconds) == words


def test_the_ledger_keeps_to_80_columns() -> None:
    entries = [
        Entry(
            pool="ws0a1b2c3d4",
            size="x" * LONGEST,
            asked=int(NOW) - 30 * 86400,
            outcome=Outcome.REFUSED,
            cause="OverconstrainedZonalAllocationFailure",
            attempts=12,
            changed=1,
        ),
        Entry(
            pool="ws0a1b2c3d5",
            size="Standard_ND96amsr_A100_v4",
            asked=int(NOW) - 30 * 86400,
            outcome=Outcome.SWEPT,
            ready_after=300,
            ended=int(NOW) - 29 * 86400,
            changed=7200,
        ),
    ]
    printed = list(lines(entries, NOW))
    assert [line for line in printed if len(line) > 80] == []
    assert printed[-1] == "2 requests, 0 pools still there"
    assert entry_json(entries[1])["lifetimeSeconds"] == 86400


def test_words_of_strangers_move_no_cursor() -> None:
    told = Entry(
        pool="\x1b[2Jws1",
        size="a\nb",
        asked=1,
        outcome=Outcome.REFUSED,
        cause="\x1b]0;title\x07",
        changed=1,
    )
    assert all(line.isprintable() for line in lines([told], NOW))
