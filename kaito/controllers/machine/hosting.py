"""Whether a claim is to share another one's pool, and whose. Pure.

Only near the limit of pools that the cloud allows: a pool of its own is simpler for everybody. The
choice is stored on the claim before the cloud is asked for anything.
"""

from __future__ import annotations

from kaito.controllers.machine.decision import (
    Decision,
    Host,
    ListHosts,
    Observation,
    PatchClaim,
    Policy,
)
from kaito.provisioner import Cause, NodeRequest, PoolState
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import SHAPE, belongs_to
from kaito.provisioner.sharing import POOL, shape_of

# One that failed serves those who have their Node, and may grow the next time.
TO_BE_SHARED = {PoolState.CREATING, PoolState.READY, PoolState.UPDATING, PoolState.FAILED}


def host_for(
    claim: Claim, request: NodeRequest, seen: Observation, policy: Policy
) -> Decision | None:
    """Towards a pool that is there already; None when the claim is to have one of its own."""
    if not _crowded(seen, policy):
        return None
    if seen.hosts is None:
        return Decision(ask=ListHosts())
    shape = shape_of(request)
    fit = [host for host in seen.hosts if _fits(host, claim, shape)]
    if not fit:
        return None
    best = min(fit, key=_preference)
    return Decision(writes=(PatchClaim(_moving(claim, best.pool.name)),))


def moving_out(claim: Claim) -> Decision:
    """Back to a pool of its own."""
    return Decision(writes=(PatchClaim(_moving(claim, None)),))


def _moving(claim: Claim, pool: str | None) -> dict[str, object]:
    version = claim.metadata.resource_version
    return {"metadata": {"resourceVersion": version, "annotations": {POOL: pool}}}


def _crowded(seen: Observation, policy: Policy) -> bool:
    last = seen.cloud.refusals[-1:]
    full = any(refusal.failure.cause is Cause.POOL_LIMIT for refusal in last)
    return full or seen.cloud.crowd >= policy.share_from


def _preference(host: Host) -> tuple[bool, int, str]:
    """Those that work first, and among them those with the fewest claims: many grow at once."""
    return host.pool.state is PoolState.FAILED, host.living, host.pool.name


def _fits(host: Host, claim: Claim, shape: str) -> bool:
    """A pool without a living claim is about to go."""
    pool = host.pool
    return (
        host.living > 0
        and pool.name != claim.metadata.name
        and pool.state in TO_BE_SHARED
        and pool.labels.get(SHAPE) == shape
        and belongs_to(pool.labels, claim)
    )
