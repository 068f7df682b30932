"""Why no Node is left, as people read it."""

from __future__ import annotations

import pytest

from kaito.local.scheduling.fit import NO_MATCH, TAINTED, Refusal
from kaito.local.scheduling.refusals import Outlook, unavailable

BUSY = Refusal(("Insufficient nvidia.com/gpu",), helpless=False)


def test_the_reasons_are_counted_and_so_is_what_preemption_could_do() -> None:
    assert unavailable(3, {BUSY: 1, TAINTED: 2}) == (
        "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, "
        "2 node(s) had untolerated taint(s). no new claims to deallocate, preemption: "
        "0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_a_node_that_lacks_two_things_counts_for_both() -> None:
    lacking = Refusal(("Insufficient cpu", "Insufficient memory"))
    told = unavailable(1, {lacking: 1, NO_MATCH: 0}, Outlook.FOUND)
    assert told == "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."


@pytest.mark.parametrize("outlook", [Outlook.NEVER, Outlook.UNDER_WAY])
def test_who_may_not_preempt_is_told_why(outlook: Outlook) -> None:
    assert unavailable(1, {BUSY: 1}, outlook).endswith(f"preemption: {outlook.value}")


def test_without_nodes_nothing_else_is_said() -> None:
    assert unavailable(0, {}) == "no nodes available to schedule pods"
