"""What `kaito plan` has to say of one Workspace: the quote, and what a cluster adds to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kaito.controllers.workspace.changes import Change
from kaito.controllers.workspace.needs import Needed
from kaito.controllers.workspace.quote import Quote
from kaito.runtime import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The plan of one Workspace."""

    key: Key
    quote: Quote
    changes: Sequence[Change] | None = None
    """Against a cluster; None without one."""
    tokens: int | None = None
    """How many a training learns from, in all its epochs; None where nobody says."""
    found: Mapping[Needed, bool | None] = field(default_factory=dict)
    """Whether what it needs is there; None for what nobody may look at."""

    @property
    def verdict(self) -> str:
        """All in a line."""
        quote = self.quote
        if quote.problems:
            return "refused: nothing is brought up"
        if not quote.foreseen:
            return "applied, but nobody can tell what it takes: name a size of `kaito skus`"
        if quote.hindrance is not None:
            what = "the engine will not start" if quote.tuned is None else "it will not train"
            return f"applied, but {what}: {quote.hindrance}"
        if self.waits:
            return "applied, and then it waits"
        if quote.plan is not None and quote.plan.model is None:
            return "goes; what its template runs is not looked into"
        if quote.runs:
            return "goes"
        what = "the engine starts" if quote.tuned is None else "there is memory to train"
        return f"applied; whether {what} is not known"

    @property
    def waits(self) -> tuple[str, ...]:
        """What stays missing although all goes well, a sentence each."""
        missing = [self._missing(each) for each in self.quote.needs if self.there(each) is False]
        return (*filter(None, (self.quote.waits,)), *missing)

    def there(self, needed: Needed) -> bool | None:
        """Whether what it needs is there; None where nobody knows."""
        return self.found.get(needed)

    @property
    def ready(self) -> bool:
        """Whether it answers already and stays as it is."""
        now = self.quote.now
        kept = self.changes is not None and all(each.verb == "keep" for each in self.changes)
        return self.quote.possible and kept and now is not None and now["status"] == "True"

    def _missing(self, needed: Needed) -> str:
        holding = f" with the key {needed.key}" if needed.key else ""
        return (
            f"{needed.kind} {needed.object.name} is not in the namespace "
            f"{needed.object.namespace}, and "
            f"Pods wait for it: create it{holding}."
        )
