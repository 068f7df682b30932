"""Whether to ask the cloud for a node now, for which instance type, or what to wait for.

Instance types are tried in the claim's order; one that cannot be had makes room for the next.
Every failure has its pause, so that nothing is asked for in a storm and nothing is given up on
silently; only a request that is wrong in itself is not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.api.launch import UNAVAILABLE, Cause
from kaito.controllers.machine.cloud import Refusal, Trouble
from kaito.controllers.machine.decision import Policy
from kaito.controllers.machine.useless import ANNOTATION, Useless
from kaito.provisioner import Failure, Pool, PoolState, Way
from kaito.provisioner.claim import Claim
from kaito.provisioner.failure import one_line
from kaito.provisioner.ownership import LAUNCHED, time_of
from kaito.runtime import rfc3339

AGAIN = " KAITO tries again "
"""What begins the last sentence of a message that says when: the verdict stands before it."""
MAX_MESSAGE = 1600
"""Characters of a condition's message: room for two sizes with Azure's words and the remedies. The
API server takes 32768; gpu-provisioner's 800 cut the remedy off."""
_JOINING = "joined the cluster within"  # how the useless pools' last words tell that none did
MAX_TYPE = 64  # characters of an instance type in a message; Azure's longest has 31


@dataclass(frozen=True, slots=True)
class Attempt:
    """Ask for this instance type now."""

    instance_type: str
    afresh: bool = False
    """Whether this begins a new round over all instance types."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask for nothing, and say why."""

    cause: Cause
    message: str
    seconds: float | None
    """Until the next attempt; None when only a change of the claim brings one."""
    passing: bool = False
    """Whether what is in the way may pass without anybody doing anything."""


def stopped(claim: Claim, useless: Useless, policy: Policy) -> str | None:
    """Why no further pool is made for the claim; None while another one may be."""
    if len(useless.pools) < policy.most_useless:
        return None
    resource = f"{claim.dialect.plural}.karpenter.sh"
    cure = (
        "Find out what keeps nodes from joining (often the way to the API server, or to the "
        "registry)"
        if _JOINING in useless.last
        else "Mend what that says"
    )
    return (
        f"{len(useless.pools)} agent pools were made for this {claim.kind} and none brought a "
        f"usable Node; of the last: {useless.last.rstrip('.')}. KAITO makes no more of them, for "
        f"each may cost money. {cure}, then `kubectl annotate {resource} {claim.metadata.name} "
        f"{ANNOTATION}-` for another attempt."
    )


def next_attempt(
    name: str,
    instance_types: Sequence[str],
    refusals: Sequence[Refusal],
    now: float,
    policy: Policy,
) -> Attempt | Wait:
    """What to do for a claim that has no pool."""
    if not refusals:
        return Attempt(instance_types[0])
    last = refusals[-1]
    tried = {r.instance_type for r in refusals if r.failure.way is Way.ANOTHER}
    left = [type_ for type_ in instance_types if type_ not in tried]
    if last.failure.way is Way.ANOTHER and left:
        return Attempt(left[0])
    pause = pause_after(last.failure, _in_a_row(refusals), policy)
    cause, message = last.failure.cause, _message(name, refusals, pause, policy)
    if pause is None:
        return Wait(cause, message, None)
    remaining = _remaining(last.at, pause, now)
    if remaining:
        return Wait(cause, message, remaining, passing=last.failure.way is Way.RETRY)
    exhausted = last.failure.way is Way.ANOTHER
    return Attempt(instance_types[0] if exhausted else last.instance_type, afresh=exhausted)


def remaining_pause(trouble: Trouble | None, now: float, policy: Policy) -> float:
    """Seconds for which the cloud is not to be asked again after a failed question; 0 for none."""
    if trouble is None:
        return 0.0
    return _remaining(trouble.at, pause_of(trouble, policy), now)


def pause_of(trouble: Trouble, policy: Policy) -> float:
    """Seconds from a failed question to the next one: there is always one."""
    pause = pause_after(trouble.failure, trouble.times, policy)
    return policy.user_pause if pause is None else pause


def overdue(pool: Pool, since: float, now: float, policy: Policy) -> Failure | None:
    """What it means that a pool has been in its state since then, or launched when its label
    says, without a Node; None while there is nothing to it."""
    launched = time_of(pool.labels, LAUNCHED)
    age = 0.0 if launched is None else now - launched
    making = age if pool.state is PoolState.FAILED else max(now - since, age)
    # One that fails without a word after all that time was called off by us for it.
    silent = pool.failure is None or not pool.failure.code
    match pool.state:
        case PoolState.CREATING | PoolState.FAILED if making >= policy.making_patience and silent:
            cause = Cause.MAKING_TIMEOUT
            said = f"agent pool {pool.name} was not made within {_spoken(policy.making_patience)}"
        case PoolState.READY if (
            max(now - since, age - policy.making_patience) >= policy.joining_patience
        ):
            cause = Cause.JOINING_TIMEOUT
            said = (
                f"no Node of agent pool {pool.name} {_JOINING} {_spoken(policy.joining_patience)}"
            )
        case _:
            return None
    return Failure(way=Way.RETRY, cause=cause, code="", message=said, advice="")


def pause_after(failure: Failure, times: int, policy: Policy) -> float | None:
    """Seconds to wait after a failure that came `times` in a row; None to wait for a change."""
    match failure.way:
        case Way.RETRY:
            # Doubling from one poll; never sooner than the cloud asked for.
            doubled = policy.poll_seconds * 2.0 ** min(times - 1, 16)
            return max(min(doubled, policy.longest_pause), failure.retry_after or 0.0)
        case Way.ANOTHER | Way.USER:
            return max(policy.user_pause, failure.retry_after or 0.0)
        case Way.HOPELESS:
            return None


def _remaining(since: float, pause: float, now: float) -> float:
    """Of a pause; nothing when the clock has been set back since."""
    return max(0.0, since + pause - now) if now >= since else 0.0


def _in_a_row(refusals: Sequence[Refusal]) -> int:
    last = refusals[-1].failure
    count = 0
    for refusal in reversed(refusals):
        if refusal.failure.way is not last.way:
            break
        count += 1
    return count


def _message(name: str, refusals: Sequence[Refusal], pause: float | None, policy: Policy) -> str:
    last = refusals[-1]
    if last.failure.cause.unavailable:
        # The latest word on each type, in the order in which they were tried.
        words = {r.instance_type: r.failure for r in refusals if r.failure.cause.unavailable}
        said = " ".join(
            f"{one_line(type_, MAX_TYPE)}: {failure}" for type_, failure in words.items()
        )
        text = f"{UNAVAILABLE}. {said}"
    elif not last.failure.asked:
        text = str(last.failure)
    else:
        text = f"{policy.cloud} did not make agent pool {name}: {last.failure}"
    return with_end(text, next_try(last.failure, last.at, pause))


def next_try(failure: Failure, at: float, pause: float | None) -> str:
    """The sentence that says when it is tried again after a failure then, with the blank before
    it; "" when it is not."""
    if pause is None:
        return ""
    if failure.way is Way.RETRY:
        return f"{AGAIN}by itself."
    return f"{AGAIN}at {rfc3339(at + pause)}, and then every {_spoken(pause)}."


def looks_again(policy: Policy) -> str:
    """The same of what is looked at again whenever somebody may have acted."""
    return f"{AGAIN}every {_spoken(policy.user_pause)}."


def with_end(text: str, end: str) -> str:
    """At most MAX_MESSAGE characters of both, the end whole."""
    return f"{shortened(text, MAX_MESSAGE - len(end))}{end}"


def shortened(message: str, most: int = MAX_MESSAGE) -> str:
    """At most so many characters."""
    return message if len(message) <= most else f"{message[: most - 3]}..."


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
