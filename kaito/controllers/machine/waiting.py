"""When to ask the cloud about a pool again, and what to show until then. Pure."""

from __future__ import annotations

from dataclasses import replace

from kaito.api.machine import FINALIZER
from kaito.controllers.machine.cloud import Confirm, Look
from kaito.controllers.machine.conditions import Progress, refused, report
from kaito.controllers.machine.decision import Decision, Observation, Policy
from kaito.controllers.machine.launch import next_try, pause_of, remaining_pause, with_end
from kaito.provisioner import Cause, Way
from kaito.provisioner.claim import Claim

# A look is due a little early: a timer may fire a moment before the clock says so.
NEARLY = 0.9
# What a pool may have gone with.
_GONE = frozenset({Cause.CLUSTER, Cause.GROUP})


def watch(
    claim: Claim,
    progress: Progress,
    seen: Observation,
    policy: Policy,
    *,
    slow: bool = False,
    confirm: bool = False,
) -> Decision:
    """Ask about the pool when it is time to; until then show how far the claim is."""
    wait = policy.user_pause if slow else _pace(claim, seen.now, policy)
    pause = remaining_pause(seen.cloud.trouble, seen.now, policy)
    unconfirmed = confirm and not seen.cloud.confirmed
    if not pause and (unconfirmed or due(seen, wait)):
        return Decision(ask=Confirm() if confirm else Look())
    progress = _troubled(claim, progress, seen, policy)
    writes = report(claim, progress, None, seen.now, policy)
    left = seen.cloud.at + wait - seen.now
    return Decision(writes=tuple(writes), again=pause or (left if left > 0 else wait))


def due(seen: Observation, wait: float) -> bool:
    """Whether the last question about the pool is `wait` seconds old, and of an earlier run: an
    answer that took longer than that would otherwise be asked for over and over."""
    if seen.asked & {Look, Confirm}:
        return False
    # A clock that was set back must not make an answer last for ever.
    return not 0 <= seen.now - seen.cloud.at < NEARLY * wait


def _pace(claim: Claim, now: float, policy: Policy) -> float:
    """A tenth of the time waited so far, within bounds.

    Success is told by the Node's arrival; looks are for failures, which a tenth late is soon
    enough for, and thousands of claims that wait together do not ask at once for ever.
    """
    since = claim.dying_since or claim.born
    return min(max((now - since) / 10, policy.poll_seconds), policy.longest_pause)


def _troubled(claim: Claim, progress: Progress, seen: Observation, policy: Policy) -> Progress:
    """With what keeps us from knowing more, once it has lasted or when it will not pass."""
    trouble = seen.cloud.trouble
    if trouble is None or (trouble.times < 2 and trouble.failure.way is Way.RETRY):
        return progress
    cause = trouble.failure.cause
    refusal = "did not delete" if trouble.deleting else "does not let us see to"
    what = "a machine of agent pool" if trouble.deleting and seen.shared else "agent pool"
    said = f"{policy.cloud} {refusal} {what} {seen.pool}: {trouble.failure}"
    if progress.terminating is not None and cause in _GONE:
        said += (
            " If the cluster is gone for good, so are its machines: take the finalizer "
            f"{FINALIZER} off the {claim.kind} (`kubectl edit {claim.dialect.plural}.karpenter.sh "
            f"{claim.metadata.name}`)."
        )
    message = with_end(said, next_try(trouble.failure, trouble.at, pause_of(trouble, policy)))
    if progress.terminating is not None:
        step = replace(progress.terminating, message=message, verdict=cause.value)
        return replace(progress, terminating=step)
    if progress.launched.truth == "True":
        step = replace(progress.registered, message=message, verdict=cause.value)
        return replace(progress, registered=step)
    failed = refused(cause, message, passing=True)
    return progress if progress.launched.truth == "False" else replace(progress, launched=failed)
