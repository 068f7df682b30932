"""How the daemons log: one event a line, JSON for machines, colours for a terminal."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str, form: str | None) -> None:
    """Set up structlog for this process; logs go to standard error."""
    terminal = sys.stderr.isatty()
    console = form == "console" or (form is None and terminal)
    # Whoever asks for the console's form in a file wants to read and search it.
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer(colors=terminal)
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
