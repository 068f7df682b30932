"""Which engine serves a Workspace: what its annotation says, else what its adapters need."""

from __future__ import annotations

from typing import Literal, TypeAlias

from kaito.api import labels
from kaito.api.workspace import Workspace

Runtime: TypeAlias = Literal["vllm", "transformers"]

RUNTIMES: tuple[Runtime, ...] = ("vllm", "transformers")
OWN_RUNTIME = RUNTIMES[0]


def runtime_of(workspace: Workspace) -> Runtime:
    """The engine; the default where the annotation says what is no engine.

    vLLM applies adapters at full strength only, so any other strength takes transformers.
    """
    asked = workspace.metadata.annotations.get(labels.RUNTIME, "").lower()
    for runtime in RUNTIMES:
        if asked == runtime:
            return runtime
    adapters = workspace.inference.adapters if workspace.inference else ()
    return OWN_RUNTIME if all(_full(each.strength) for each in adapters) else "transformers"


def _full(strength: str) -> bool:
    try:
        return float(strength or "1") == 1.0
    except ValueError:  # the rules tell of it
        return True
