"""How long a revision may take to answer once its nodes are ready. Pure."""

from __future__ import annotations

from math import ceil

from kaito.api import labels
from kaito.catalog.timing import Known, Range, time_to_ready, total
from kaito.controllers.workspace.annotations import seconds_of
from kaito.controllers.workspace.engine import start_seconds
from kaito.controllers.workspace.plan import Plan

# On top of the engine's start, for what comes before: image, weights, scheduling. Twice what the
# catalogue knows as slow, because none of that was measured where this model runs.
SLACK = 2.0
LEAST_SECONDS = 1800


def progress_seconds(plan: Plan) -> int:
    """Seconds: what its author says, else by the size of the model."""
    told = seconds_of(plan.workspace.metadata.annotations.get(labels.PROGRESS_DEADLINE, ""))
    if told is not None:
        return told
    expected = start_on_nodes(plan)
    slow = SLACK * expected.high if expected else 0.0
    return start_seconds(plan) + max(LEAST_SECONDS, ceil(slow))


def start_on_nodes(plan: Plan) -> Range | None:
    """Within how many seconds a model answers on nodes that are ready; None for what nobody
    knows, such as a template."""
    return total(time_to_ready(plan.model, Known(node="ready"))) if plan.model else None
