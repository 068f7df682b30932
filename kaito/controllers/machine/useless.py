"""The ledger of pools, and of machines of shared ones, that were paid for and brought no usable
Node, kept on the claim itself.

A restart must not make us forget them: a node that never joins would be bought again and again.
It counts for one generation, and ends when somebody takes the annotation away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from kaito.provisioner import Pool
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import LAUNCHED
from kaito.runtime import Object

ANNOTATION = "kaito.sh/useless-pools"
MAX_WHY = 800  # characters of each pool's failure: Azure's words and the remedy


class _Ledger(msgspec.Struct, frozen=True):
    generation: int
    pools: dict[str, str]


@dataclass(frozen=True, slots=True)
class Useless:
    """Why each useless pool was one, by its mark, in order."""

    pools: Mapping[str, str]

    @property
    def last(self) -> str:
        """Why the last one was useless, "" when there was none."""
        return next(reversed(list(self.pools.values())), "")

    def holds(self, mark: str) -> bool:
        """Whether this very pool or machine has been entered."""
        return mark in self.pools


def mark_of(pool: Pool) -> str:
    """What tells a claim's pools apart: when they were launched."""
    return pool.labels.get(LAUNCHED, "")


def useless(claim: Claim) -> Useless:
    """The ledger; what cannot be read, and what is of another generation, is empty."""
    try:
        ledger = msgspec.json.decode(claim.metadata.annotations.get(ANNOTATION, ""), type=_Ledger)
    except msgspec.DecodeError:
        return Useless({})
    current = ledger.generation == claim.metadata.generation
    return Useless(ledger.pools if current else {})


def entering(claim: Claim, mark: str, why: str) -> Object:
    """The merge patch that enters a pool or machine."""
    pools = {**useless(claim).pools, mark: why[:MAX_WHY]}
    text = msgspec.json.encode(_Ledger(claim.metadata.generation, pools)).decode()
    return {
        "metadata": {
            "resourceVersion": claim.metadata.resource_version,
            "annotations": {ANNOTATION: text},
        }
    }
