"""Serves Machines and NodeClaims: a node for each, from the cloud, and nothing left over.

    observation -> decide -> writes, with one question at a time between (book.py, tenants.py)

decide.py is the specification and is pure, with making.py, readiness.py, disruption.py and
dismantle.py for the parts of a life; reconciler.py runs it; sweep.py finds what a crash has left
behind; build.py puts them into a manager.
"""

from __future__ import annotations

from kaito.controllers.machine.build import Options, build
from kaito.controllers.machine.discovery import served_kinds

__all__ = ["Options", "build", "served_kinds"]
