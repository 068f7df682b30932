"""What the built-in kinds do beyond the general rules."""

from __future__ import annotations

from kaito.local.apiserver.behaviour import Behaviour

BEHAVIOURS: dict[tuple[str, str], Behaviour] = {}
