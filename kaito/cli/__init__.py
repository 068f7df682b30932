"""The `kaito` command.

Only the parser is loaded to print help; each command imports what it needs when it runs, so that
`kaito --help` is instant and each daemon loads only what it uses.
"""

from __future__ import annotations

from kaito.cli.parser import main

__all__ = ["main"]
