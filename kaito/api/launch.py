"""Why a claim has no node: the reasons of a Machine's MachineLaunched and a NodeClaim's Launched.

Whoever asks for nodes reads here whether a size can still be had. The reasons for which a size
cannot be are those of Azure's karpenter provider where it has one, and those of ours for the rest.
The module decides nothing about what to ask for instead.
"""

from __future__ import annotations

from enum import StrEnum

from kaito.api import machine, nodeclaim
from kaito.api.meta import Condition

UNAVAILABLE = "all requested instance types were unavailable during launch"
"""What karpenter's providers say when nothing that was asked for can be had, and what KAITO's
clients look for. Our messages begin with it then."""

INSUFFICIENT_CAPACITY = "InsufficientCapacityError"
"""Reason of the Warning Event by which karpenter says the same. It deletes the claim with it, so
that no condition is left to read."""


STOPPED = "LaunchStopped"
"""Reason of the condition when no further node is paid for, because several were of no use."""


class Cause(StrEnum):
    """What stood in the way; the value is the reason of the condition and of the Event."""

    FAMILY_QUOTA = "SKUFamilyQuotaReached"
    REGIONAL_QUOTA = "RegionalQuotaReached"
    SPOT_QUOTA = "SpotQuotaReached"
    SUBSCRIPTION_QUOTA = "SubscriptionQuotaReached"
    """A quota whose scope the cloud does not tell; karpenter's provider calls all of them so."""
    SKU = "SKUNotAvailable"
    """The cloud does not sell this size here, or not to this subscription."""
    ALLOCATION = "AllocationFailure"
    """The region has no machine of this size left."""
    ZONAL_ALLOCATION = "ZonalAllocationFailure"
    OVERCONSTRAINED = "OverconstrainedAllocationFailure"
    """None that has everything that was asked for together."""
    OVERCONSTRAINED_ZONAL = "OverconstrainedZonalAllocationFailure"

    POLICY = "DisallowedByPolicy"
    LOCK = "ResourceLocked"
    AUTHENTICATION = "AuthenticationFailed"
    """The cloud does not know who we are."""
    AUTHORIZATION = "AuthorizationFailed"
    """It knows, and we may not."""
    CLUSTER = "ClusterNotFound"
    GROUP = "ResourceGroupNotFound"
    SUBSCRIPTION = "SubscriptionUnavailable"
    """There is no such subscription, or it is disabled."""
    REGISTRATION = "ProviderNotRegistered"
    """The subscription has not switched the cloud's service on."""
    SUBNET = "SubnetFull"
    POOL_LIMIT = "PoolLimitReached"
    NAME_TAKEN = "PoolNameTaken"
    """A pool of that name is somebody else's."""
    INVALID = "InvalidRequest"
    """The request itself is wrong."""

    BUSY = "OperationInProgress"
    THROTTLED = "Throttled"
    SERVER = "CloudFailure"
    """The cloud failed for a reason of its own."""
    NETWORK = "CloudUnreachable"
    MAKING_TIMEOUT = "LaunchTimeout"
    """A pool was not made in time."""
    JOINING_TIMEOUT = "RegistrationTimeout"
    """A pool was made and its node did not join in time."""
    UNKNOWN = "LaunchFailed"
    """Anything else; karpenter's own word."""

    @property
    def unavailable(self) -> bool:
        """Whether the size cannot be had now, as opposed to not being asked for rightly."""
        return self in _UNAVAILABLE

    @property
    def passing(self) -> bool:
        """Whether it may pass without anybody doing anything."""
        return self in _PASSING


_REGIONWIDE = frozenset(
    {
        Cause.FAMILY_QUOTA,
        Cause.REGIONAL_QUOTA,
        Cause.SPOT_QUOTA,
        Cause.SUBSCRIPTION_QUOTA,
        Cause.SKU,
    }
)
_UNAVAILABLE = _REGIONWIDE | {
    Cause.ALLOCATION,
    Cause.ZONAL_ALLOCATION,
    Cause.OVERCONSTRAINED,
    Cause.OVERCONSTRAINED_ZONAL,
}
_PASSING = frozenset(
    {
        Cause.ALLOCATION,
        Cause.ZONAL_ALLOCATION,
        Cause.OVERCONSTRAINED,
        Cause.OVERCONSTRAINED_ZONAL,
        Cause.BUSY,
        Cause.THROTTLED,
        Cause.SERVER,
        Cause.NETWORK,
        Cause.MAKING_TIMEOUT,
        Cause.JOINING_TIMEOUT,
        Cause.UNKNOWN,
    }
)
_FINAL = frozenset({STOPPED, *(cause.value for cause in Cause if not cause.passing)})


def needs_somebody(condition: Condition) -> bool:
    """Whether this condition of a claim says that it gets no node until a person has acted. It is
    asked for again all the same, now and then: nobody has to tell us that a quota was raised."""
    return condition.status == "False" and condition.reason in _FINAL


def unavailable(conditions: tuple[Condition, ...]) -> Condition | None:
    """The condition of a Machine or NodeClaim that says that none of the sizes it asks for can be
    had; None while one may still be.

    Its reason is mostly a Cause that is `unavailable`, its message is for people. Karpenter leaves
    Launched Unknown while it tries: a quota or a size that is not sold ends that as well, for no
    other zone helps; a zone without machines does not. Where it gives up, it deletes the claim and
    says INSUFFICIENT_CAPACITY in an Event.
    """
    for condition in conditions:
        if condition.type not in (machine.LAUNCHED, nodeclaim.LAUNCHED):
            continue
        final = condition.status == "False" and condition.reason in _UNAVAILABLE
        regionwide = condition.status != "True" and condition.reason in _REGIONWIDE
        told = condition.status != "True" and UNAVAILABLE in condition.message
        if final or regionwide or told:
            return condition
    return None
