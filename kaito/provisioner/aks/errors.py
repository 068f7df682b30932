"""What Azure's errors mean: one table from codes and words to a classified Failure.

Azure wraps: the outer code is often generic and the true one sits in `details`, or inside the
message as `Code="..."`. The table is asked from the inside out, so that the most precise entry
decides. A cause decides the way; nothing here waits or repeats.

Codes: the AKS and Compute error references, and the lists that azure-sdk-for-go-extensions and
karpenter-provider-azure match on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from kaito.provisioner.aks.quota import read_quota
from kaito.provisioner.failure import Cause, Failure, Way, one_line

MAX_WORDS = 400  # characters of Azure's own words: they share a condition with our advice
MAX_CODE = 80
MAX_POLICY = 100

QUOTAS = frozenset(
    {Cause.FAMILY_QUOTA, Cause.REGIONAL_QUOTA, Cause.SPOT_QUOTA, Cause.SUBSCRIPTION_QUOTA}
)


@dataclass(frozen=True, slots=True)
class Detail:
    """One error of Azure's: code, words, and the errors that it wraps."""

    code: str = ""
    message: str = ""
    details: tuple[Detail, ...] = ()
    policy: str = ""
    """The name of the policy that its additional information speaks of."""

    @staticmethod
    def of(wire: Mapping[str, Any]) -> Detail:
        """From JSON, wrapped in `error` or not."""
        inside = wire.get("error")
        error = inside if isinstance(inside, Mapping) else wire
        return Detail(
            code=str(error.get("code") or ""),
            message=str(error.get("message") or ""),
            details=tuple(Detail.of(inner) for inner in _mappings(error.get("details"))),
            policy=policy_in(entry.get("info") for entry in _mappings(error.get("additionalInfo"))),
        )

    @property
    def any_policy(self) -> str:
        """The policy that this error, or one that it wraps, speaks of."""
        return next((entry.policy for entry in self.inside_out() if entry.policy), "")

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


# Of the portal, with a form filled in: cut short they lead nowhere, and whole they fill a screen.
_LONG_LINK = re.compile(r"https?://\S{80,}")
_POLICIES = (
    re.compile(r"""policyAssignment["']?\s*:\s*\{\s*["']name["']\s*:\s*["']([^"']{1,200})"""),
    re.compile(r"""policyDefinition["']?\s*:\s*\{\s*["']name["']\s*:\s*["']([^"']{1,200})"""),
)
_EMBEDDED = re.compile(r"""\bcode["']?\s*[=:]\s*["']?([A-Za-z]\w{5,})""", re.IGNORECASE)


def _rule(cause: Cause, codes: str, words: str = "") -> _Rule:
    return _Rule(cause, frozenset(codes.lower().split()), words)


# The first rule that fits decides: rules with words stand before those on the same code.
_QUOTA_CODES = (
    "OperationNotAllowed BadRequest QuotaExceeded InsufficientVCPUQuota CoreQuotaExceeded "
    "ErrCode_InsufficientVCPUQuota"
)
_RULES = (
    _rule(Cause.SPOT_QUOTA, _QUOTA_CODES, "lowprioritycores"),
    _rule(Cause.SPOT_QUOTA, _QUOTA_CODES, "low priority cores"),
    _rule(Cause.REGIONAL_QUOTA, _QUOTA_CODES, "total regional"),
    _rule(Cause.REGIONAL_QUOTA, _QUOTA_CODES, "regional vcpu quota"),
    _rule(Cause.REGIONAL_QUOTA, _QUOTA_CODES, "quota limits of core"),
    _rule(Cause.FAMILY_QUOTA, _QUOTA_CODES, "family cores quota"),
    _rule(Cause.FAMILY_QUOTA, _QUOTA_CODES, "family vcpus quota"),
    _rule(Cause.FAMILY_QUOTA, _QUOTA_CODES, "for family"),
    _rule(Cause.POOL_LIMIT, _QUOTA_CODES, "number of agent pools"),
    _rule(Cause.POOL_LIMIT, _QUOTA_CODES, "agent pool count"),
    _rule(Cause.POOL_LIMIT, _QUOTA_CODES, "number of node pools"),
    # Before the next one: AKS has a link to a page about quotas in these words.
    _rule(Cause.SKU, "BadRequest InvalidParameter", "vm size"),
    _rule(Cause.SKU, "BadRequest InvalidParameter", "virtual machine size"),
    _rule(Cause.SUBSCRIPTION_QUOTA, "OperationNotAllowed BadRequest", "quota"),
    _rule(Cause.SUBSCRIPTION_QUOTA, "QuotaExceeded InsufficientVCPUQuota CoreQuotaExceeded"),
    _rule(Cause.SUBSCRIPTION_QUOTA, "ErrCode_InsufficientVCPUQuota SubscriptionQuotaReached"),
    _rule(Cause.REGIONAL_QUOTA, "RegionalQuotaReached"),
    _rule(Cause.BUSY, "OperationNotAllowed", "in progress"),
    _rule(Cause.BUSY, "OperationNotAllowed", "another operation"),
    _rule(Cause.BUSY, "AnotherOperationInProgress OperationPreempted ConcurrentOperation"),
    _rule(Cause.BUSY, "NicReservedForAnotherVm EtagMismatch PreconditionFailed"),
    _rule(Cause.BUSY, "ManagedClusterIsBeingUpdated CreateOrUpdateAgentPoolInProgress"),
    _rule(Cause.ZONAL_ALLOCATION, "ZonalAllocationFailed"),
    _rule(Cause.ALLOCATION, "AllocationFailed SpotAllocationFailed"),
    _rule(Cause.ALLOCATION, "InsufficientCapacity CapacityNotAvailable"),
    _rule(Cause.OVERCONSTRAINED_ZONAL, "OverconstrainedZonalAllocationRequest"),
    _rule(Cause.OVERCONSTRAINED, "OverconstrainedAllocationRequest"),
    _rule(Cause.SKU, "SkuNotAvailable VMSizeNotSupported VMSizeDoesntSupport InvalidVMSize"),
    _rule(Cause.SKU, "VMSizeNotAvailable NotAvailableForSubscription SkuNotAvailableInZone"),
    _rule(Cause.POOL_LIMIT, "MaxAgentPoolCountReached AgentPoolCountLimitReached"),
    _rule(Cause.SUBNET, "SubnetIsFull InsufficientSubnetSize"),
    _rule(Cause.AUTHENTICATION, "ExpiredAuthenticationToken InvalidAuthenticationTokenTenant"),
    _rule(Cause.AUTHENTICATION, "InvalidAuthenticationToken AuthenticationFailed"),
    _rule(Cause.AUTHENTICATION, "InvalidClient Unauthorized"),
    _rule(Cause.AUTHORIZATION, "AuthorizationFailed LinkedAuthorizationFailed Forbidden"),
    _rule(Cause.POLICY, "RequestDisallowedByPolicy RequestDisallowedByAzure"),
    _rule(Cause.LOCK, "ScopeLocked"),
    _rule(Cause.SUBSCRIPTION, "SubscriptionNotFound ReadOnlyDisabledSubscription"),
    _rule(Cause.SUBSCRIPTION, "SubscriptionDisabled InvalidSubscriptionId"),
    _rule(Cause.GROUP, "ResourceGroupNotFound ResourceGroupBeingDeleted"),
    _rule(Cause.CLUSTER, "ResourceNotFound ParentResourceNotFound"),
    _rule(Cause.REGISTRATION, "MissingSubscriptionRegistration"),
    _rule(Cause.THROTTLED, "TooManyRequests Throttled SubscriptionRequestsThrottled"),
    _rule(Cause.THROTTLED, "ThrottlingError OperationThrottled ResourceRequestsThrottled"),
    _rule(Cause.SERVER, "InternalServerError InternalOperationError ServiceUnavailable"),
    _rule(Cause.SERVER, "GatewayTimeout ServerTimeout InternalExecutionError"),
    _rule(Cause.SERVER, "VMExtensionProvisioningError VMExtensionProvisioningTimeout"),
    _rule(Cause.SERVER, "OSProvisioningTimedOut NetworkingInternalOperationError"),
    # What AKS says when it has no other word, of clusters and versions that change, too.
    _rule(Cause.UNKNOWN, "BadRequest"),
    _rule(Cause.INVALID, "InvalidParameter InvalidTemplate InvalidRequestFormat"),
    _rule(Cause.INVALID, "PropertyChangeNotAllowed InvalidRequestContent OSSKUNotSupported"),
)

_RETRIED = frozenset({Cause.BUSY, Cause.THROTTLED, Cause.SERVER, Cause.NETWORK})

# Causes of codes that also wrap other ones.
_GENERIC = frozenset({Cause.INVALID, Cause.SERVER, Cause.UNKNOWN})

_BY_STATUS: Mapping[int, Cause] = {
    401: Cause.AUTHENTICATION,
    403: Cause.AUTHORIZATION,
    404: Cause.CLUSTER,
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
    found = Detail(entry.code or answer.error.code, said, policy=answer.error.any_policy)
    return _failure(cause, found, answer.retry_after)


def pool_failure(name: str, error: Detail | None) -> Failure:
    """What it means that Azure accepted a pool and then failed to make it."""
    if error is None:
        said = f"Azure failed to make agent pool {name} and gave no reason"
        return _failure(Cause.SERVER, Detail(message=said))
    cause, entry = _recognise(error)
    found = Detail(entry.code, entry.message or error.message, policy=error.any_policy)
    # An unknown failure on the way is worth another attempt: nothing said that we asked wrongly. A
    # few, that is, for each may have cost money.
    return _failure(Cause.SERVER if cause in {None, Cause.UNKNOWN} else cause, found)


def unreachable(reason: str) -> Failure:
    """No usable answer came: a broken connection, a timeout, a proxy."""
    return _failure(Cause.NETWORK, Detail(message=f"Azure could not be reached: {reason}"))


def unauthenticated(reason: str) -> Failure:
    """No token could be had."""
    said = f"no token for Azure could be had: {reason}"
    return _failure(Cause.AUTHENTICATION, Detail(message=said))


def vanished(pool: str) -> Failure:
    """A pool was in the way of a creation, and gone when we looked."""
    return _failure(Cause.BUSY, Detail(message=f"agent pool {pool} was being deleted"))


def invalid(reason: str) -> Failure:
    """AKS has no such pools, and was not asked; `reason` says what to mend."""
    return replace(_failure(Cause.INVALID, Detail(message=reason)), asked=False)


def policy_in(information: Iterable[object]) -> str:
    """The policy that additional information of an error names, "" when it names none."""
    for info in information:
        if not isinstance(info, Mapping):
            continue
        for key in ("policyAssignmentDisplayName", "policyAssignmentName", "policyDefinitionName"):
            if info.get(key):
                return str(info[key])
    return ""


def pool_is_missing(answer: Answer, pool: str) -> bool:
    """Whether a 404 denies this very pool, and not the cluster or the group around it.

    A cluster that cannot be found is a wrong setting far more often than a deleted cluster;
    taking it for "pool gone" would forget machines that still cost money.
    """
    if answer.status != 404:
        return False
    code, message = answer.error.code.lower(), answer.error.message.lower()
    return code in {"notfound", "agentpoolnotfound"} or f"agentpools/{pool}" in message


def _mappings(wire: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; what is neither is left out."""
    return (entry for entry in (wire if isinstance(wire, list) else ()) if isinstance(entry, dict))


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


def _failure(cause: Cause, found: Detail, retry_after: float | None = None) -> Failure:
    policy = found.policy or _named_policy(found.message)
    return Failure(
        way=_way(cause),
        cause=cause,
        code=one_line(found.code, MAX_CODE),
        message=one_line(_LONG_LINK.sub("...", found.message), MAX_WORDS),
        advice="",
        retry_after=retry_after,
        quota=read_quota(found.message) if cause in QUOTAS else None,
        policy=one_line(policy, MAX_POLICY) if cause is Cause.POLICY else "",
    )


def _way(cause: Cause) -> Way:
    if cause.unavailable:
        return Way.ANOTHER
    if cause in _RETRIED:
        return Way.RETRY
    return Way.HOPELESS if cause is Cause.INVALID else Way.USER


def _named_policy(words: str) -> str:
    """The assignment, or else the definition, that the words name."""
    found = (pattern.search(words) for pattern in _POLICIES)
    return next((match[1] for match in found if match), "")
