"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no failure.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
