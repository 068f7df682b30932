"""Serves Machines: a node for each, from the cloud, and nothing left over.

    observation -> decide -> writes, with one question to the cloud at a time between (book.py)

decide.py is the specification and is pure; reconciler.py runs it; sweep.py finds what a crash has
left behind; build.py puts them into a manager.
"""

from __future__ import annotations

from kaito.controllers.machine.build import build

__all__ = ["build"]
