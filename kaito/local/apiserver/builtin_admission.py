"""The admission plugins that a server starts with."""

from __future__ import annotations

from kaito.local.apiserver.admission import Plugin
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.handlers import Handlers


def plugins(core: Core, handlers: Handlers) -> list[Plugin]:
    """The chain, in the order in which plugins run."""
    return []
