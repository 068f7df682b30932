"""Which reconcile a line of a log belongs to.

Bound with structlog's context variables: every line that is logged during a reconcile, by this
library, by the reconcile or by a task that it starts, carries `controller`, `key` and
`reconcile_id`, wherever structlog.contextvars.merge_contextvars is among the processors (it is by
default).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from structlog.contextvars import bind_contextvars, get_contextvars


class ReconcileIds:
    """Names for the reconciles of one controller: a random part and a number, `3f9ab02c-17`.

    Unique for all practical purposes among the processes of one log, and cheap.
    """

    def __init__(
        self, controller: str, draw: Callable[[], str] = lambda: secrets.token_hex(4)
    ) -> None:
        self._controller = controller
        self._prefix = draw()
        self._number = 0

    def begin(self, key: str) -> None:
        """From here on, lines logged in this task belong to a new reconcile of `key`."""
        self._number += 1
        bind_contextvars(
            controller=self._controller, key=key, reconcile_id=f"{self._prefix}-{self._number}"
        )


def reconcile_id() -> str:
    """The id of the reconcile that is running in this task, "" outside of one.

    Send it along where another system keeps logs of its own.
    """
    found: str = get_contextvars().get("reconcile_id", "")
    return found
