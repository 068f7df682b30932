"""Why no Node is left for a pod, in the words of the scheduler of Kubernetes 1.36. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import Enum

from kaito.local.scheduling.fit import Refusal

NO_NODES = "no nodes available to schedule pods"


class Outlook(Enum):
    """What came of driving out pods of lower priority."""

    FOUND = ""
    NONE = "none"
    NEVER = "not eligible due to preemptionPolicy=Never."
    UNDER_WAY = "not eligible due to a terminating pod on the nominated node."


_HELPLESS = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"
# Said of every pod that claims no device.
_NO_CLAIMS = "no new claims to deallocate"


def unavailable(
    total: int, refusals: Mapping[Refusal, int], outlook: Outlook = Outlook.NONE
) -> str:
    """The message for `total` Nodes, of which so many refused the pod in each way."""
    if not total:
        return NO_NODES
    reasons: Counter[str] = Counter()
    hopes: Counter[str] = Counter()
    for refusal, nodes in refusals.items():
        for reason in refusal.reasons:
            reasons[reason] += nodes
        hopes[_HELPLESS if refusal.helpless else _NO_VICTIMS] += nodes
    told = _told(total, reasons)
    if outlook is Outlook.FOUND:
        return told
    tried = _told(total, hopes) if outlook is Outlook.NONE else outlook.value
    return f"{told} {_NO_CLAIMS}, preemption: {tried}"


def _told(total: int, counts: Counter[str]) -> str:
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))
    return f"0/{total} nodes are available: {listed}."
