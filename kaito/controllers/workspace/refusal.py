"""What there is to say to the author of a Workspace: that it cannot be, or what to know about it.

A refusal is final until somebody changes the Workspace, so it names the field, its value and what
is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It cannot be: one sentence for the author."""

    path: str
    reason: str
    message: str
    open: bool = False
    """Whether the controller may yet find that it can be; the webhook lets it pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """It can be, but its author should know."""

    reason: str
    message: str
