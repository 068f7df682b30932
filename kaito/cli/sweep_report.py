"""What is left over as people read it, at 80 columns, and as scripts do."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kaito.cli.facts import UNKNOWN, Json, count, dollars
from kaito.cli.table import WIDTH, headed
from kaito.controllers.machine.findings import Finding, Kind

INDENT = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that one look has found."""

    findings: tuple[Finding, ...]
    price: Callable[[str], float | None]
    """US dollars an hour of an instance type."""
    own: int
    """Pools that are provably ours."""
    limit: int
    """How many may be left over at once for the daemon to act."""
    delay: float
    """Seconds from the daemon's first sight of a finding until it deletes it."""
    leaked: Mapping[str, int]
    """Since when the daemon knows of pools without a claim, by name."""
    now: float

    @property
    def blocked(self) -> bool:
        """Whether the daemon only reports."""
        return sum(each.proven for each in self.findings) > self.limit

    def cost(self, finding: Finding) -> float | None:
        """US dollars an hour; None where nobody knows, 0 for what costs nothing."""
        if not finding.nodes:
            return 0.0
        price = self.price(finding.instance_type)
        return None if price is None else price * finding.nodes

    @property
    def total(self) -> float:
        """US dollars an hour of all whose price is known."""
        return sum(self.cost(each) or 0.0 for each in self.findings)

    def fate(self, finding: Finding) -> str:
        """What becomes of it, and when, in a few words."""
        if not finding.proven:
            return "kept: not proven"
        if self.blocked:
            return "kept: too many"
        since = self.leaked.get(finding.name) if finding.kind is Kind.POOL else None
        if since is None:
            return f"deleted in {spell(self.delay)}"
        left = since + self.delay - self.now
        return f"deleted in {spell(left)}" if left > 0 else "deleted soon"


def text(report: Report) -> str:
    """A table, and a few lines about each finding."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    if not report.findings:
        yield f"Nothing is left over; {count(report.own, 'agent pool')} of this cluster."
        return
    rows = [_row(report, each) for each in report.findings]
    header = ("NAME", "WHAT", "SIZE", "AGE", "$/HOUR", "WHAT NEXT")
    yield from headed(header, rows, right=("$/HOUR", "AGE"), width=WIDTH)
    yield ""
    for each in report.findings:
        yield from _wrapped(f"{each.name}: {each.why}; {each.proof}.")
        if each.missing:
            yield from _wrapped(f"Not proven: {each.missing}. It is never deleted.", INDENT)
    yield ""
    unknown = any(report.cost(each) is None for each in report.findings)
    more = " and what has no known price" if unknown else ""
    yield f"{count(len(report.findings), 'finding')}: ${dollars(report.total)} an hour{more}."
    if any(each.proven for each in report.findings) and not report.blocked:
        yield from _wrapped(
            "The provisioner deletes what is proven, counted from when it saw it first, if it "
            "runs. --delete NAME deletes it now."
        )
    if report.blocked:
        proven = sum(each.proven for each in report.findings)
        yield from _wrapped(
            f"The provisioner deletes nothing: {proven} are left over at once, and no more than "
            f"{report.limit} of {count(report.own, 'pool')} are believed to be. Look for a common "
            "cause first; --delete NAME deletes one all the same."
        )


def _row(report: Report, each: Finding) -> tuple[str, ...]:
    age = UNKNOWN if each.born is None else spell(max(0.0, report.now - each.born))
    cost = "" if not each.nodes else dollars(report.cost(each))
    size = f"{each.nodes} x {each.instance_type}" if each.nodes > 1 else each.instance_type
    return each.name, each.what, size, age, cost, report.fate(each)


def _wrapped(words: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}{INDENT}",
        break_on_hyphens=False,
    )


def as_json(report: Report) -> str:
    """One document."""
    found: list[Json] = [
        {
            "kind": each.kind,
            "name": each.name,
            "what": each.what,
            "instanceType": each.instance_type or None,
            "nodes": each.nodes,
            "ageSeconds": None if each.born is None else round(report.now - each.born),
            "usdPerHour": report.cost(each),
            "why": each.why,
            "proven": each.proven,
            "proof": each.proof,
            "missing": each.missing or None,
            "fate": report.fate(each),
        }
        for each in report.findings
    ]
    whole: dict[str, Json] = {
        "findings": found,
        "usdPerHour": round(report.total, 4),
        "pools": report.own,
        "limit": report.limit,
        "blocked": report.blocked,
        "delaySeconds": report.delay,
    }
    return json.dumps(whole, indent=2) + "\n"


def spell(seconds: float) -> str:
    """The largest unit of a time, and the next one where it says something: 90 s as 90s, 3h20m."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 120:
        return f"{minutes}m"
    if hours < 48:
        return f"{hours}h{minutes % 60:02}m"
    return f"{days}d{hours % 24}h"
