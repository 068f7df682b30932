"""Exit codes of a process around a manager."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """How a process ended, for whoever starts it again. Numbers of sysexits.h where one fits.

    A process that was told twice to stop ends with 128 and the number of the signal.
    """

    STOPPED = 0
    """Told to stop, and did so in order."""
    CRASHED = 1
    """A defect: an informer, a controller or a task died. The log says of what."""
    UNAVAILABLE = 69
    """The API server could not be reached or refused us, or caches did not fill."""
    STUCK = 70
    """Reconciles would not end: within the grace period, or after the lease was lost."""
    LEASE_LOST = 75
    """Another copy may lead now. Start this one again, to stand by."""
    MISCONFIGURED = 78
    """Starting it again is useless before somebody changes its configuration."""
