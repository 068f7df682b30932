"""The workspace controller: one small resource becomes a running model on nodes of its own."""

from kaito.controllers.workspace.controller import build
from kaito.controllers.workspace.settings import Settings

__all__ = ["Settings", "build"]
