"""How fast Azure is asked: slower while little is left of a budget, not at all while it says wait.

Every answer of Resource Manager tells what is left of its budgets, so that requests are spread
before one is spent. AKS behind it tells nothing until it refuses with 429; what it refuses stays
back for as long as it says, and comes one by one after that. One Pacer serves a whole process: it
delays requests for moments, tells those that would have to wait for longer when to come again, and
repeats nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from kaito.provisioner.aks.errors import Answer, Detail, classify
from kaito.provisioner.failure import CloudError, Failure
from kaito.runtime import Clock

RESERVE = 0.2  # the share of a budget below which requests are spread
LONGEST_TURN = 5.0  # seconds that a request waits for its turn
LONGEST_GAP = 8.0  # seconds between two requests, however little is left
LONGEST_PAUSE = 900.0  # seconds: a header that says more is a mistake
PAUSE = 10.0  # seconds after a 429 that says nothing
POOLS = 1000  # whose refusals are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One budget as far as it is known, and when requests may use it. Pure; times are monotonic."""

    size: float
    refill: float
    """Requests a second."""
    left: float | None = None
    """As the last answer told."""
    caution: float = 0.0
    """Seconds between requests since a refusal; halved by each answer that is none."""
    opens: float = 0.0
    """Nothing passes before."""
    turn: float = 0.0
    """When the next request may pass, as those before it have taken their turns."""

    @property
    def gap(self) -> float:
        """Seconds between two requests."""
        reserve = self.size * RESERVE
        if self.left is None or self.left >= reserve:
            return min(self.caution, LONGEST_GAP)
        # As fast as it fills up at the brim of the reserve, ever slower towards its ground.
        spread = reserve / ((self.left + 1) * self.refill)
        return min(max(self.caution, spread), LONGEST_GAP)

    def wait(self, now: float) -> float:
        """Seconds until a request may pass."""
        return max(0.0, self.opens - now, self.turn - now)

    def taken(self, at: float) -> Gate:
        """After a request has taken the turn at this time."""
        return replace(self, turn=at + self.gap)

    def answered(self, left: float | None) -> Gate:
        """After an answer that was no refusal."""
        caution = self.caution / 2 if self.caution * self.refill > 0.1 else 0.0
        return replace(self, left=self.left if left is None else left, caution=caution)

    def refused(self, now: float, pause: float) -> Gate:
        """After a 429 that says for how long to stay away."""
        caution = min(max(2 * self.caution, 1 / self.refill), LONGEST_GAP)
        return replace(self, caution=caution, opens=max(self.opens, now + pause))


# Of Resource Manager, for one identity and subscription in a region, and of AKS, for the
# subscription and for each agent pool: learn.microsoft.com, "Understand how Azure Resource Manager
# throttles requests" and "Quotas, virtual machine size restrictions, and region availability in
# AKS", 2026-11.
READS = Gate(size=250, refill=25)
WRITES = Gate(size=200, refill=10)
DELETES = Gate(size=200, refill=10)
AKS = Gate(size=60, refill=1)
PUTS = Gate(size=20, refill=1 / 60)

_POOL = re.compile(r"/agentPools/([^/?]+)$", re.IGNORECASE)
_LEFT = "x-ms-ratelimit-remaining-subscription-"


@dataclass(frozen=True, slots=True)
class Passage:
    """The two budgets that a request counts in: Resource Manager's and that of AKS."""

    arm: str
    aks: str

    @staticmethod
    def of(method: str, path: str) -> Passage:
        """Of a request."""
        arm = {"GET": "reads", "DELETE": "deletes"}.get(method, "writes")
        pool = _POOL.search(path) if method == "PUT" else None
        return Passage(arm, f"put/{pool[1].lower()}" if pool else "aks")


class Pacer:
    """The turns of all requests to one subscription."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._gates = {"reads": READS, "writes": WRITES, "deletes": DELETES, "aks": AKS}
        prefix = "kaito_provisioner_azure"
        self._left = Gauge(
            f"{prefix}_requests_left",
            "What Azure said is left of a request budget.",
            ["budget"],
            registry=registry,
        )
        self._requests = Counter(
            f"{prefix}_requests_total",
            "Requests to Azure by answer.",
            ["method", "code"],
            registry=registry,
        )
        self._waited = Counter(
            f"{prefix}_pacing_seconds_total",
            "Seconds that requests waited for their turn.",
            ["budget"],
            registry=registry,
        )
        self._held = Counter(
            f"{prefix}_pacing_held_back_total",
            "Requests that were not sent, as their turn was too far away.",
            ["budget"],
            registry=registry,
        )

    async def turn(self, passage: Passage) -> None:
        """Return when the request may be sent. CloudError when that is not soon."""
        while True:
            now = self._clock.monotonic()
            waits = {name: self._gate(name).wait(now) for name in (passage.arm, passage.aks)}
            name = max(waits, key=lambda each: waits[each])
            wait = waits[name]
            if wait > LONGEST_TURN:
                self._held.labels(_label(name)).inc()
                raise CloudError(_held_back(wait))
            for each in waits:
                self._set(each, self._gate(each).taken(now + wait))
            if not wait:
                return
            self._waited.labels(_label(name)).inc(wait)
            await self._clock.sleep(wait)
            # While this one waited another one may have been told to stay away.
            if all(self._gate(each).opens <= self._clock.monotonic() for each in waits):
                return

    def note(self, passage: Passage, method: str, status: int, headers: Mapping[str, str]) -> None:
        """What an answer tells. The names of `headers` are in lower case."""
        self._requests.labels(method, str(status)).inc()
        left = remaining(headers, passage.arm)
        if left is not None:
            self._left.labels(passage.arm).set(left)
        if status != 429:
            self._set(passage.arm, self._gate(passage.arm).answered(left))
            self._set(passage.aks, self._gate(passage.aks).answered(None))
            return
        pause = retry_after(headers, self._clock.now())
        refuser = passage.arm if _of_resource_manager(headers, left) else passage.aks
        now = self._clock.monotonic()
        gate = self._gate(refuser).refused(now, PAUSE if pause is None else pause)
        self._set(refuser, gate)

    def _gate(self, name: str) -> Gate:
        return self._gates.get(name, PUTS)

    def _set(self, name: str, gate: Gate) -> None:
        if name not in self._gates:
            if gate.opens <= self._clock.monotonic():
                return  # A pool is created once: only refusals are worth remembering.
            if len(self._gates) > POOLS:
                self._gates = {n: g for n, g in self._gates.items() if not n.startswith("put/")}
        self._gates[name] = gate


def remaining(headers: Mapping[str, str], budget: str) -> float | None:
    """What is left of one of Resource Manager's budgets, None when it is not told.

    There is one for the identity and one for all identities of the subscription: the smaller.
    """
    told = (headers.get(f"{_LEFT}{scope}{budget}", "") for scope in ("", "global-"))
    counts = [float(text) for text in told if text.isascii() and text.isdigit()]
    return min(counts, default=None)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to stay away, None when the answer does not say; `now` is since the epoch."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name, ""))
        if milliseconds is not None:
            return min(milliseconds / 1000, LONGEST_PAUSE)
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text.strip()) else None


def _of_resource_manager(headers: Mapping[str, str], left: float | None) -> bool:
    """Whether a 429 is Resource Manager's own, and so about more than one kind of AKS request."""
    code = headers.get("x-ms-error-code", "")
    return (
        left == 0
        or headers.get("x-ms-failure-cause", "").lower() == "gateway"
        or code.startswith(("Subscription", "Tenant"))
    )


def _held_back(wait: float) -> Failure:
    said = "Azure was not asked, as little is left of its request budget or it said to wait"
    return classify(Answer(429, Detail(message=said), wait))


def _label(name: str) -> str:
    return name.partition("/")[0]
