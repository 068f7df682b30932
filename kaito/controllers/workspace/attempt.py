"""Which size of nodes a Workspace asks for now: its first, or an alternative once that is lost.

All of it follows from the orders that are there, which carry what was tried before them, so that
it survives everybody's restart. A size is given up only where the provisioner says that it cannot
be had, and only as a whole: nodes of two sizes never serve one Workspace. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kaito.api import labels, nodepool
from kaito.api.launch import UNAVAILABLE, unavailable
from kaito.api.words import one_line
from kaito.controllers.workspace.alternatives import sizes_of
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import Failed, Order, noted
from kaito.runtime import parse_rfc3339, rfc3339

PAUSE = 600.0  # seconds after the last of them, as long as KAITO's provisioner waits
# Karpenter gives a node 5 minutes to launch and 15 to join, and then deletes its claim without a
# word on the pool.
POOL_PATIENCE = 1200.0
WHY_LENGTH = 250  # characters of a reason; ten of them fit into a condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The size that is asked for, and what was tried before."""

    sizes: tuple[str, ...] = ()
    """Those that may be asked for, in order; none where nodes are brought."""
    size: str = ""
    attempt: int = 0
    before: tuple[Failed, ...] = ()
    """What was tried when this attempt began."""
    left: Failed | None = None
    """The size that has just been given up for this one."""
    lost: Mapping[str, str] | None = None
    """Orders of this attempt that cannot be had, by name, and why; where there are any, nothing
    more is asked for at present."""
    until: float | None = None
    """When the next attempt begins; None where something else is waited for."""

    @property
    def resting(self) -> bool:
        """Whether this size has been given up and the next is not asked for yet."""
        return self.lost is not None

    @property
    def failed(self) -> tuple[Failed, ...]:
        """Every size that could not be had, the last of each round only."""
        now = [Failed(self.size, next(iter(self.lost.values())))] if self.lost else []
        found = {each.size.lower(): each for each in (*self.before, *now)}
        return tuple(found.values())

    @property
    def following(self) -> str:
        """The size that comes next."""
        return self.sizes[(_place(self.sizes, self.size) + 1) % len(self.sizes)]


def choose(observation: Observation) -> Choice:
    """The size to ask for now."""
    sizes = sizes_of(observation.workspace)
    own = [order for order in observation.orders if not order.pool]
    if not sizes or not own:
        return Choice(sizes=sizes, size=sizes[0] if sizes else "")
    attempt = max(order.attempt for order in own)
    current = [order for order in own if order.attempt == attempt]
    size = _size(sizes, current)
    live = [order for order in current if not order.deleting]
    running = any(_there(order, observation) for order in live)
    listed_still = any(size.lower() == each.lower() for each in sizes)
    if not listed_still and not (attempt and running):
        # The annotation has changed, or somebody else's order carries our labels.
        return Choice(sizes=sizes, size=sizes[0], attempt=attempt + 1 if attempt else 0)
    base = Choice(sizes=sizes, size=size, attempt=attempt, before=current[0].failed)
    lost = dict(_lost(current, observation))
    kept = running and any(order.settled for order in live)
    if not lost or kept or sizes == (size,):
        return base
    rest = replace(base, lost={name: why for name, (why, _) in lost.items()})
    # What costs money goes before anything else is asked for, and so does what may yet come.
    if any(order.name not in lost or _there(order, observation) for order in current):
        return rest
    if _place(sizes, size) == len(sizes) - 1:
        until = max(since for _, since in lost.values()) + PAUSE
        if observation.now < until:
            return replace(rest, until=until)
    return Choice(
        sizes=sizes,
        size=rest.following,
        attempt=attempt + 1,
        before=rest.failed,
        left=rest.failed[-1],
    )


def notes(choice: Choice) -> dict[str, str]:
    """What an order of this attempt carries, so that it is known whatever else is lost."""
    if not choice.attempt:
        return {}
    return {labels.ATTEMPT: str(choice.attempt), labels.FAILED_SIZES: noted(choice.before)}


def told(choice: Choice) -> str:
    """Where the attempts stand, sentences to follow another; "" where there is but one size."""
    if len(choice.sizes) < 2 and not choice.attempt:
        return ""
    return " ".join(_told(choice))


def _told(choice: Choice) -> Iterator[str]:
    total, place = len(choice.sizes), _place(choice.sizes, choice.size)
    order = f" (in this order: {', '.join(choice.sizes)})"
    if not any(choice.size.lower() == each.lower() for each in choice.sizes):
        yield f"{choice.size} is not among the sizes that are listed now{order}."
    elif choice.until is not None:
        yield (
            f"None of the {total} sizes can be had{order}: {choice.sizes[0]} is asked for again at "
            f"{rfc3339(choice.until)}."
        )
    elif choice.resting:
        yield (
            f"{choice.size} cannot be had, size {place + 1} of {total}{order}: "
            f"{choice.following} follows when the nodes made so far have gone."
        )
    else:
        yield f"{choice.size} is size {place + 1} of {total}{order}."
    for each in choice.failed:
        if choice.resting or each.size.lower() != choice.size.lower():
            yield f"{each.size}: {each.sentence}"


def _size(sizes: Sequence[str], current: Sequence[Order]) -> str:
    """The size that these orders ask for, as the Workspace spells it where it names it."""
    asked = [size for order in current for size in order.sizes]
    named = {size.lower(): size for size in sizes}
    return next(
        (named[each.lower()] for each in asked if each.lower() in named),
        asked[0] if asked else sizes[0],
    )


def _place(sizes: Sequence[str], size: str) -> int:
    """Where a size stands in the order; the last place for one that is not listed."""
    found = (place for place, each in enumerate(sizes) if each.lower() == size.lower())
    return next(found, len(sizes) - 1)


def _there(order: Order, observation: Observation) -> bool:
    """Whether something was made for an order that costs money."""
    if order.kind != nodepool.KIND:
        return order.launched
    return any(each.pool == order.name for each in observation.orders)


def _lost(
    current: Sequence[Order], observation: Observation
) -> Iterator[tuple[str, tuple[str, float]]]:
    """The orders that cannot be had: why, and since when."""
    for order in current:
        if order.kind == nodepool.KIND and not order.deleting:
            found = _lost_pool(order, observation)
        elif order.deleting:
            # Karpenter deletes what it gives up. Of ours only we and people delete.
            gone = order.foreign and not order.launched
            why = "its provisioner deleted the request before it had a node"
            found = (why, observation.now) if gone else None
        else:
            found = _verdict(order)
        if found is not None:
            why, since = found
            yield order.name, (_brief(why, order.sizes), since)


def _brief(why: str, sizes: Sequence[str]) -> str:
    """A verdict without what is told beside it anyway, which size and that it cannot be had, and
    without half a word at its end."""
    brief = one_line(why, len(why)).removeprefix(UNAVAILABLE).lstrip(".: ")
    for size in sizes:
        brief = brief.removeprefix(f"{size}: ")
    if len(brief) <= WHY_LENGTH:
        return brief or UNAVAILABLE
    return f"{brief[: WHY_LENGTH - 3].rpartition(' ')[0].rstrip('.,;:( ')}..."


def _verdict(order: Order) -> tuple[str, float] | None:
    said = unavailable(order.status.conditions)
    if said is None:
        return None
    return said.message or said.reason, _moment(said.last_transition_time)


def _lost_pool(pool: Order, observation: Observation) -> tuple[str, float] | None:
    given_up = pool.metadata.annotations.get(labels.GIVEN_UP, "")
    when, _, why = given_up.partition(" ")
    if given_up:
        return why, _moment(when)
    claims = [each for each in observation.orders if each.pool == pool.name]
    said = next((v for each in claims if (v := _verdict(each))), None)
    if said is not None:
        return said[0], observation.now
    born = pool.metadata.creation_timestamp
    overdue = bool(born) and observation.now >= _moment(born) + POOL_PATIENCE
    there = sum(each.launched and not each.deleting for each in claims)
    if not overdue or there >= pool.nodes or pool.settled:
        return None
    minutes = round(POOL_PATIENCE / 60)
    return f"{there} of {pool.nodes} nodes were made within {minutes} minutes", observation.now


def until(choice: Choice, observation: Observation) -> float | None:
    """Seconds until another size has to be asked for though nothing has changed; None where that
    follows from changes alone."""
    if choice.until is not None:
        return max(0.0, choice.until - observation.now)
    if len(choice.sizes) < 2:
        return None
    ends = (
        _moment(order.metadata.creation_timestamp) + POOL_PATIENCE - observation.now
        for order in observation.orders
        if order.kind == nodepool.KIND and not order.settled and not order.deleting
    )
    return min((each for each in ends if each > 0), default=None)


def _moment(text: str) -> float:
    """Seconds since the epoch; 0 for what is no time, which anybody may have written."""
    try:
        return parse_rfc3339(text)
    except ValueError:
        return 0.0
