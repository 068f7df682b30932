"""How many requests may be under way: as many as the engine answers at once, and as many waiting.

What comes beyond is refused at once, which tells a client more than a place at the end of a queue
does. Pure: it counts, and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

UNLIMITED = "KAITO_DISABLE_RATE_LIMIT"  # a variable: nothing is refused where it is set


@dataclass(slots=True)
class Gate:
    """Counts requests. Not for several threads."""

    limit: int
    """The most that may be under way, 0 for any number."""
    inside: int = 0

    def enter(self) -> bool:
        """Whether one more may come in; who may must leave."""
        if self.limit and self.inside >= self.limit:
            return False
        self.inside += 1
        return True

    def leave(self) -> None:
        """One is answered, or its client has gone."""
        self.inside -= 1


def limit(requests: int, copies: int, servers: int) -> int:
    """What one of `servers` processes lets in: of `copies` of the model, each of which answers
    `requests` at once (--max-num-seqs), as many again may wait."""
    return max(1, 2 * requests * copies // max(1, servers))
