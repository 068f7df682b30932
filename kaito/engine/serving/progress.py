"""How far the start is: told by what loads, asked by probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Progress:
    """Written by the thread that loads, read by those that answer."""

    stage: str = "starting"
    current: int = 0
    total: int = 0

    def told(self, event: Mapping[str, Any]) -> None:
        """What the loader of transformers says."""
        self.stage = event.get("stage", self.stage)
        progress = event.get("progress") or {}
        self.current, self.total = progress.get("current") or 0, progress.get("total") or 0

    @property
    def ratio(self) -> float:
        """0 to 1, as far as it is known."""
        return min(self.current / self.total, 1.0) if self.total else 0.0

    @property
    def body(self) -> dict[str, object]:
        """What /health says meanwhile."""
        return {
            "status": "Loading",
            "stage": self.stage,
            "progress": {"current": self.current, "total": self.total or None},
        }
