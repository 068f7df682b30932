"""What Azure's errors mean: one table from codes and words to a classified Failure.

Azure wraps: the outer code is often generic and the true one sits in `details`, or inside the
message as `Code="..."`. The table is asked from the inside out, so that the most precise entry
decides. A cause decides the way; nothing here waits or repeats.

Codes: the AKS and Compute error references, and the lists that azure-sdk-for-go-extensions and
karpenter-provider-azure match on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kaito.provisioner.failure import Cause, Failure, Way

MAX_WORDS = 400  # characters of Azure's own words: they share a condition's 800 with our advice


@dataclass(frozen=True, slots=True)
class Detail:
    """One error of Azure's: code, words, and the errors that it wraps."""

    code: str = ""
    message: str = ""
    details: tuple[Detail, ...] = ()

    @staticmethod
    def of(wire: Mapping[str, Any]) -> Detail:
        """From JSON, wrapped in `error` or not."""
        error = wire.get("error") or wire
        return Detail(
            code=str(error.get("code") or ""),
            message=str(error.get("message") or ""),
            details=tuple(Detail.of(inner) for inner in error.get("details") or ()),
        )

    def inside_out(self) -> Iterator[Detail]:
        """The innermost first, this one last."""
        for inner in self.details:
            yield from inner.inside_out()
        for code in _EMBEDDED.findall(self.message):
            yield Detail(code, self.message)
        yield self


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of Azure Resource Manager that is an error."""

    status: int
    error: Detail
    retry_after: float | None = None


class _Rule(NamedTuple):
    cause: Cause
    codes: frozenset[str]
    words: str = ""
    """Lower case; where given, the message must contain it too."""


_EMBEDDED = re.compile(r"""\bcode["']?\s*[=:]\s*["']?([A-Za-z]\w{5,})""", re.IGNORECASE)


def _rule(cause: Cause, codes: str, words: str = "") -> _Rule:
    return _Rule(cause, frozenset(codes.lower().split()), words)


# The first rule that fits decides: rules with words stand before those on the same code.
_RULES = (
    _rule(Cause.QUOTA, "OperationNotAllowed BadRequest", "quota"),
    _rule(Cause.QUOTA, "OperationNotAllowed BadRequest", "lowprioritycores"),
    _rule(Cause.QUOTA, "QuotaExceeded InsufficientVCPUQuota ErrCode_InsufficientVCPUQuota"),
    _rule(Cause.QUOTA, "SubscriptionQuotaReached RegionalQuotaReached CoreQuotaExceeded"),
    _rule(Cause.BUSY, "OperationNotAllowed", "in progress"),
    _rule(Cause.BUSY, "OperationNotAllowed", "another operation"),
    _rule(Cause.BUSY, "AnotherOperationInProgress OperationPreempted ConcurrentOperation"),
    _rule(Cause.BUSY, "NicReservedForAnotherVm EtagMismatch PreconditionFailed"),
    _rule(Cause.BUSY, "ManagedClusterIsBeingUpdated CreateOrUpdateAgentPoolInProgress"),
    _rule(Cause.CAPACITY, "AllocationFailed ZonalAllocationFailed"),
    _rule(Cause.CAPACITY, "OverconstrainedAllocationRequest OverconstrainedZonalAllocationRequest"),
    _rule(Cause.CAPACITY, "SpotAllocationFailed InsufficientCapacity CapacityNotAvailable"),
    _rule(Cause.SKU, "SkuNotAvailable VMSizeNotSupported VMSizeDoesntSupport InvalidVMSize"),
    _rule(Cause.SKU, "VMSizeNotAvailable NotAvailableForSubscription SkuNotAvailableInZone"),
    _rule(Cause.SKU, "BadRequest InvalidParameter", "vm size"),
    _rule(Cause.LIMIT, "MaxAgentPoolCountReached AgentPoolCountLimitReached"),
    _rule(Cause.LIMIT, "SubnetIsFull InsufficientSubnetSize PublicIPCountLimitReached"),
    _rule(Cause.ACCESS, "AuthorizationFailed LinkedAuthorizationFailed InvalidAuthenticationToken"),
    _rule(Cause.ACCESS, "ExpiredAuthenticationToken InvalidAuthenticationTokenTenant"),
    _rule(Cause.ACCESS, "AuthenticationFailed InvalidClient Unauthorized Forbidden"),
    _rule(Cause.POLICY, "RequestDisallowedByPolicy RequestDisallowedByAzure ScopeLocked"),
    _rule(Cause.SCOPE, "SubscriptionNotFound ReadOnlyDisabledSubscription SubscriptionDisabled"),
    _rule(Cause.SCOPE, "ResourceGroupNotFound ResourceNotFound ParentResourceNotFound"),
    _rule(Cause.SCOPE, "MissingSubscriptionRegistration ResourceGroupBeingDeleted"),
    _rule(Cause.THROTTLED, "TooManyRequests Throttled SubscriptionRequestsThrottled"),
    _rule(Cause.THROTTLED, "ThrottlingError OperationThrottled ResourceRequestsThrottled"),
    _rule(Cause.SERVER, "InternalServerError InternalOperationError ServiceUnavailable"),
    _rule(Cause.SERVER, "GatewayTimeout ServerTimeout InternalExecutionError"),
    _rule(Cause.SERVER, "VMExtensionProvisioningError VMExtensionProvisioningTimeout"),
    _rule(Cause.SERVER, "OSProvisioningTimedOut NetworkingInternalOperationError"),
    _rule(Cause.INVALID, "InvalidParameter InvalidTemplate InvalidRequestFormat BadRequest"),
    _rule(Cause.INVALID, "PropertyChangeNotAllowed InvalidRequestContent OSSKUNotSupported"),
)

_WAYS: Mapping[Cause, tuple[Way, str]] = {
    Cause.CAPACITY: (
        Way.ANOTHER,
        "choose another instance type or region, or wait until Azure has machines of this size",
    ),
    Cause.QUOTA: (
        Way.ANOTHER,
        "ask Azure for more quota (portal: Quotas > Compute) or choose a smaller instance type",
    ),
    Cause.SKU: (
        Way.ANOTHER,
        "choose an instance type that `az vm list-skus` shows for this region and subscription",
    ),
    Cause.ACCESS: (
        Way.USER,
        (
            "give the provisioner's identity the Contributor role on the managed cluster, "
            "and check AZURE_TENANT_ID and AZURE_CLIENT_ID"
        ),
    ),
    Cause.POLICY: (
        Way.USER,
        "ask whoever owns the Azure policy or lock to exempt this cluster's node pools",
    ),
    Cause.SCOPE: (
        Way.USER,
        (
            "check ARM_SUBSCRIPTION_ID, ARM_RESOURCE_GROUP and AZURE_CLUSTER_NAME, "
            "and that they still exist"
        ),
    ),
    Cause.LIMIT: (
        Way.USER,
        "delete node pools that nobody needs, or enlarge the cluster's network",
    ),
    Cause.BUSY: (Way.RETRY, ""),
    Cause.THROTTLED: (Way.RETRY, ""),
    Cause.SERVER: (Way.RETRY, ""),
    Cause.NETWORK: (Way.RETRY, ""),
    Cause.INVALID: (Way.HOPELESS, "correct the Machine, or delete it and create another one"),
    Cause.UNKNOWN: (Way.USER, "look the code up in Azure's documentation"),
}

# Causes of codes that also wrap other ones.
_GENERIC = frozenset({Cause.INVALID, Cause.SERVER})

_BY_STATUS: Mapping[int, Cause] = {
    400: Cause.INVALID,
    401: Cause.ACCESS,
    403: Cause.ACCESS,
    404: Cause.SCOPE,
    408: Cause.SERVER,
    409: Cause.BUSY,
    412: Cause.BUSY,
    429: Cause.THROTTLED,
}


def classify(answer: Answer) -> Failure:
    """What an error answer means. Total: a code that nobody has seen is left to the user."""
    cause, entry = _recognise(answer.error)
    if cause is None:
        unknown = Cause.SERVER if answer.status >= 500 else Cause.UNKNOWN
        cause = _BY_STATUS.get(answer.status, unknown)
    said = entry.message or answer.error.message or f"Azure answered {answer.status}"
    return _failure(cause, entry.code or answer.error.code, said, answer.retry_after)


def pool_failure(name: str, error: Detail | None) -> Failure:
    """What it means that Azure accepted a pool and then failed to make it."""
    if error is None:
        said = f"Azure failed to make agent pool {name} and gave no reason"
        return _failure(Cause.SERVER, "", said, None)
    cause, entry = _recognise(error)
    # An unknown failure on the way is worth another attempt: nothing said that we asked wrongly.
    return _failure(cause or Cause.SERVER, entry.code, entry.message or error.message, None)


def unreachable(reason: str) -> Failure:
    """No usable answer came: a broken connection, a timeout, a proxy."""
    return _failure(Cause.NETWORK, "", f"Azure could not be reached: {reason}", None)


def unauthenticated(reason: str) -> Failure:
    """No token could be had."""
    return _failure(Cause.ACCESS, "", f"no token for Azure could be had: {reason}", None)


def vanished(pool: str) -> Failure:
    """A pool was in the way of a creation, and gone when we looked."""
    return _failure(Cause.BUSY, "", f"agent pool {pool} was being deleted", None)


def invalid(reason: str) -> Failure:
    """AKS has no such pools; `reason` says what to mend."""
    return Failure(way=Way.HOPELESS, cause=Cause.INVALID, code="", message=reason, advice="")


def pool_is_missing(answer: Answer, pool: str) -> bool:
    """Whether a 404 denies this very pool, and not the cluster or the group around it.

    A cluster that cannot be found is a wrong setting far more often than a deleted cluster;
    taking it for "pool gone" would forget machines that still cost money.
    """
    if answer.status != 404:
        return False
    code, message = answer.error.code.lower(), answer.error.message.lower()
    return code in {"notfound", "agentpoolnotfound"} or f"agentpools/{pool}" in message


def _recognise(error: Detail) -> tuple[Cause | None, Detail]:
    """The innermost entry that the table knows, one with a precise cause before a generic one.

    The outermost, without a cause, when it knows none.
    """
    generic: tuple[Cause | None, Detail] = (None, error)
    for entry in error.inside_out():
        cause = _cause(entry)
        if cause is not None and cause not in _GENERIC:
            return cause, entry
        if cause is not None and generic[0] is None:
            generic = cause, entry
    return generic


def _cause(entry: Detail) -> Cause | None:
    code, words = entry.code.lower(), entry.message.lower()
    fitting = (rule.cause for rule in _RULES if code in rule.codes and rule.words in words)
    return next(fitting, None)


def _failure(cause: Cause, code: str, said: str, retry_after: float | None) -> Failure:
    way, advice = _WAYS[cause]
    message = " ".join(said.split())
    if len(message) > MAX_WORDS:
        message = f"{message[: MAX_WORDS - 3]}..."
    return Failure(
        way=way, cause=cause, code=code, message=message, advice=advice, retry_after=retry_after
    )
