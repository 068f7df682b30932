"""What every one of our contenders does first."""

from __future__ import annotations

import logging
import sys

import structlog


def quiet(level: int = logging.WARNING) -> None:
    """Warnings alone, and off the lines that are read by whoever started us: as kopf has it."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
