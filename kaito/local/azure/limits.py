"""How much one AKS cluster takes, and how many requests Azure answers in a while.

Source: learn.microsoft.com, "Quotas, virtual machine size restrictions, and region availability in
Azure Kubernetes Service" and "Understand how Azure Resource Manager throttles requests", 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

POOLS = 100
NODES_PER_POOL = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A token bucket: `size` requests at once, `refill` more each second."""

    size: int
    refill: float


SUBSCRIPTION: Mapping[str, Budget] = {
    "reads": Budget(size=250, refill=25),
    "writes": Budget(size=200, refill=10),
    "deletes": Budget(size=200, refill=10),
}
"""Of Resource Manager, for one principal and subscription in a region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the cloud enforces; the defaults are those of a real cluster."""

    pools: int = POOLS
    nodes_per_pool: int = NODES_PER_POOL
    throttling: float = 0.0
    """How many times faster than Azure's the request budgets refill; 0 enforces none of them.
    Local operations take seconds where Azure's take minutes, so that Azure's own speed (1) would
    throttle clients that poll as fast as things happen here."""
    subscription: Mapping[str, Budget] = field(default_factory=lambda: SUBSCRIPTION)
    """Resource Manager's budgets of reads, writes and deletes."""

    @property
    def raised(self) -> tuple[str, ...]:
        """What exceeds a real cluster, in words; empty when nothing does."""
        words = []
        if self.pools > POOLS:
            words.append(f"{self.pools} agent pools (AKS allows {POOLS})")
        if self.nodes_per_pool > NODES_PER_POOL:
            words.append(f"{self.nodes_per_pool} nodes a pool (AKS allows {NODES_PER_POOL})")
        return tuple(words)


PUT_POOL = Budget(size=20, refill=1 / 60)
"""Of AKS, for each agent pool."""
GET_CLUSTER = Budget(size=60, refill=1)
GET_OPERATION = Budget(size=200, refill=2)
"""Of AKS, for the subscription; operation states."""
OTHER = Budget(size=60, refill=1)
"""Of AKS, for the subscription; every other request."""


@dataclass(slots=True)
class Bucket:
    """What is left of a budget. Times are seconds of any clock that does not go back."""

    budget: Budget
    speed: float
    left: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.budget.size

    def take(self, now: float) -> float:
        """Take one token. Seconds until there would be one: 0 when it was had."""
        rate = self.budget.refill * self.speed
        self.left = min(self.budget.size, self.left + max(0.0, now - self.at) * rate)
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) / rate

    def is_full(self, now: float) -> bool:
        """Whether it is as good as new."""
        rate = self.budget.refill * self.speed
        return self.left + (now - self.at) * rate >= self.budget.size
