"""What each fault does: the answer of the real service, or what becomes of the operation.

Codes and words are those that AKS, Compute and Resource Manager are known to answer with: from
Microsoft's error references and from what users of AKS quote in public issues. `DESCRIPTIONS` is
the table of docs/local.md and of `kaito local fault list --kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kaito.local.azure.account import POOL_TYPE, Account
from kaito.local.azure.errors import ArmError, Failure, refuse, refuse_flatly
from kaito.local.azure.faults import Ask, FaultKind, PoolFault
from kaito.local.azure.throttle import provider_throttled, subscription_throttled

RETRY_AFTER_SECONDS = 1

DESCRIPTIONS: Mapping[FaultKind, str] = {
    FaultKind.QUOTA: "400 ErrCode_InsufficientVCPUQuota, of the size's family",
    FaultKind.QUOTA_REGION: "400 ErrCode_InsufficientVCPUQuota, of the region",
    FaultKind.RETIRED: "400 BadRequest: the size is not allowed in this subscription",
    FaultKind.POLICY: "403 RequestDisallowedByPolicy with the policy in additionalInfo",
    FaultKind.UNAUTHORIZED: "403 AuthorizationFailed: the identity may not do this",
    FaultKind.UNAUTHENTICATED: "401 ExpiredAuthenticationToken",
    FaultKind.LOCKED: "409 ScopeLocked: a lock on the resource group",
    FaultKind.CLUSTER_GONE: "404 ResourceNotFound: the managed cluster was deleted",
    FaultKind.GROUP_GONE: "404 ResourceGroupNotFound: its resource group was deleted",
    FaultKind.DISABLED: "409 ReadOnlyDisabledSubscription: nothing can be changed",
    FaultKind.FORGOTTEN: "404 NotFound for the state of a long operation (on poll)",
    FaultKind.BUSY: "409 OperationNotAllowed: an operation on the cluster is in progress",
    FaultKind.THROTTLED: "429 Throttled of AKS, with Retry-After",
    FaultKind.SUBSCRIPTION_THROTTLED: "429 SubscriptionRequestsThrottled, with Retry-After",
    FaultKind.SERVER_ERROR: "500 InternalServerError",
    FaultKind.UNAVAILABLE: "503 ServiceUnavailable",
    FaultKind.GATEWAY_TIMEOUT: "504 GatewayTimeout of Resource Manager; nothing was done",
    FaultKind.RESET: "the connection breaks; nothing was done",
    FaultKind.LOST: "it is done, and the connection breaks before the answer",
    FaultKind.QUOTA_LATE: "the operation fails: the family's quota, hidden in the details",
    FaultKind.SPOT_QUOTA_LATE: "the operation fails: OperationNotAllowed, the quota of spot cores",
    FaultKind.SKU: "the operation fails: SkuNotAvailable",
    FaultKind.ALLOCATION: "the operation fails: AllocationFailed, no capacity in the region",
    FaultKind.ZONE: "the operation fails: ZonalAllocationFailed, no capacity in the zone",
    FaultKind.OVERCONSTRAINED: "the operation fails: OverconstrainedAllocationRequest",
    FaultKind.OVERCONSTRAINED_ZONE: "the operation fails: OverconstrainedZonalAllocationRequest",
    FaultKind.SUBNET_FULL: "the operation fails: SubnetIsFull",
    FaultKind.FAILED: "the operation fails: InternalOperationError, which says nothing useful",
    FaultKind.CANCELED: "the operation ends Canceled, without an error",
    FaultKind.SLOW: "the operation takes 30 s longer, or as long as is said",
    FaultKind.STUCK: "the operation never ends",
    FaultKind.NO_NODE: "the pool succeeds; its machines never join the cluster",
    FaultKind.NEVER_READY: "the machines join; their Nodes never become Ready",
    FaultKind.NO_GPU: "the Nodes become Ready; no device plugin ever reports their GPUs",
    FaultKind.OTHER: "whatever status, code and message are asked for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a request is about. `cores` is how many all machines that it wants have together."""

    account: Account
    ask: Ask
    pool: str = ""
    vm_size: str = ""
    cores: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What becomes of a request. All defaults: nothing out of the ordinary."""

    refusal: ArmError | None = None
    """Answered instead; nothing is done."""
    cut: Literal["", "before", "after"] = ""
    """When the connection breaks: before anything is done, or before the answer."""
    failure: Failure | None = None
    """How the operation ends that it starts."""
    canceled: bool = False
    """Whether that ends Canceled."""
    delay: float | None = 0.0
    """How many seconds longer it takes; None: for ever."""
    machines: FaultKind | None = None
    """What is wrong with the machines that come of it."""


NOTHING = Effect()


def effect(fault: PoolFault | None, about: Circumstances) -> Effect:
    """What a fault does to a request."""
    if fault is None:
        return NOTHING
    kind = fault.kind
    refusal = _refusal(fault, about)
    if refusal is not None:
        return Effect(refusal=refusal)
    failure = _failure(fault, about)
    if failure is not None:
        return Effect(failure=failure)
    match kind:
        case FaultKind.RESET:
            return Effect(cut="before")
        case FaultKind.LOST:
            return Effect(cut="after")
        case FaultKind.CANCELED:
            return Effect(canceled=True)
        case FaultKind.SLOW:
            return Effect(delay=fault.seconds)
        case FaultKind.STUCK:
            return Effect(delay=None)
        case _:
            return Effect(machines=kind)


def _refusal(fault: PoolFault, about: Circumstances) -> ArmError | None:
    account, location = about.account, about.account.location
    match fault.kind:
        case FaultKind.QUOTA:
            return refuse_flatly(
                "ErrCode_InsufficientVCPUQuota",
                f"Insufficient vcpu quota requested {about.cores}, remaining 0 for family "
                f"{family(about.vm_size)} for region {location}.",
            )
        case FaultKind.QUOTA_REGION:
            return refuse_flatly(
                "ErrCode_InsufficientVCPUQuota",
                f"Insufficient regional vcpu quota left for location {location}. left regional "
                f"vcpu quota 0, requested quota {about.cores}.",
            )
        case FaultKind.RETIRED:
            return size_not_allowed(about.vm_size, location)
        case FaultKind.POLICY:
            return ArmError(403, _policy(about))
        case FaultKind.UNAUTHORIZED:
            return refuse(
                403,
                "AuthorizationFailed",
                f"The client '{account.client}' with object id '{account.client}' does not have "
                f"authorization to perform action '{_action(about.ask)}' over scope "
                f"'{account.pools_path}/{about.pool}' or the scope is invalid. If access was "
                "recently granted, please refresh your credentials.",
            )
        case FaultKind.UNAUTHENTICATED:
            failure = Failure(
                code="ExpiredAuthenticationToken",
                message="The access token has expired. Acquire a new one and try again.",
            )
            return ArmError(401, failure, headers={"www-authenticate": "Bearer"})
        case FaultKind.LOCKED:
            scope = f"/subscriptions/{account.subscription}/resourceGroups/{account.resource_group}"
            verb = "delete" if about.ask is Ask.DELETE else "write"
            return refuse(
                409,
                "ScopeLocked",
                f"The scope '{account.pools_path}/{about.pool}' cannot perform {verb} operation "
                f"because following scope(s) are locked: '{scope}'. Please remove the lock and "
                "try again.",
            )
        case FaultKind.CLUSTER_GONE:
            return refuse(
                404,
                "ResourceNotFound",
                f"The Resource 'Microsoft.ContainerService/managedClusters/{account.cluster}' "
                f"under resource group '{account.resource_group}' was not found. For more details "
                "please go to https://aka.ms/ARMResourceNotFoundFix",
            )
        case FaultKind.GROUP_GONE:
            return refuse(
                404,
                "ResourceGroupNotFound",
                f"Resource group '{account.resource_group}' could not be found.",
            )
        case FaultKind.DISABLED:
            return refuse(
                409,
                "ReadOnlyDisabledSubscription",
                f"The subscription '{account.subscription}' is disabled and therefore marked as "
                "read only. You cannot perform any write actions on this subscription until it is "
                "re-enabled.",
            )
        case FaultKind.FORGOTTEN:
            return refuse(404, "NotFound", "The entity was not found.")
        case FaultKind.BUSY:
            return refuse(
                409,
                "OperationNotAllowed",
                "Operation is not allowed: Another operation (Updating) is in progress, please "
                "wait for it to finish before starting a new operation. See "
                "https://aka.ms/aks-pending-operation for more details",
            )
        case FaultKind.THROTTLED:
            handler = f"{about.ask.value.title().replace('-', '')}AgentPoolHandler"
            return provider_throttled(account.subscription, handler, RETRY_AFTER_SECONDS)
        case FaultKind.SUBSCRIPTION_THROTTLED:
            return subscription_throttled(
                account.subscription, account.client, "write", RETRY_AFTER_SECONDS, {}
            )
        case FaultKind.SERVER_ERROR:
            return refuse(500, "InternalServerError", "Encountered an internal server error.")
        case FaultKind.UNAVAILABLE:
            return refuse(503, "ServiceUnavailable", "The service is temporarily unavailable.")
        case FaultKind.GATEWAY_TIMEOUT:
            return refuse(
                504,
                "GatewayTimeout",
                "The gateway did not receive a response from 'Microsoft.ContainerService' within "
                "the specified time period.",
            )
        case FaultKind.OTHER if fault.status:
            return refuse(fault.status, fault.code, fault.message)
        case _:
            return None


def _failure(fault: PoolFault, about: Circumstances) -> Failure | None:
    location, size = about.account.location, about.vm_size
    match fault.kind:
        case FaultKind.QUOTA_LATE:
            return Failure(
                code="ReconcileVMSSAgentPoolFailed",
                message="The agent pool could not be reconciled; see the details.",
                details=(_quota(f"{family(size)} Cores", about),),
            )
        case FaultKind.SPOT_QUOTA_LATE:
            return _quota("LowPriorityCores", about)
        case FaultKind.SKU:
            return Failure(
                code="SkuNotAvailable",
                message="The requested VM size for resource 'Following SKUs have failed for "
                f"Capacity Restrictions: {size}' is currently not available in location "
                f"'{location}'. Please try another size or deploy to a different location or "
                "different zone. See https://aka.ms/azureskunotavailable for details.",
            )
        case FaultKind.ALLOCATION:
            return Failure(
                code="AllocationFailed",
                message="Allocation failed. We do not have sufficient capacity for the requested "
                "VM size in this region. Read more about improving likelihood of allocation "
                "success at http://aka.ms/allocation-guidance",
            )
        case FaultKind.ZONE:
            return Failure(
                code="ZonalAllocationFailed",
                message="Allocation failed. We do not have sufficient capacity for the requested "
                "VM size in this zone. Read more about improving likelihood of allocation success "
                "at http://aka.ms/allocation-guidance",
            )
        case FaultKind.OVERCONSTRAINED:
            return _overconstrained("OverconstrainedAllocationRequest", "")
        case FaultKind.OVERCONSTRAINED_ZONE:
            return _overconstrained(
                "OverconstrainedZonalAllocationRequest", "  - Availability Zone\n"
            )
        case FaultKind.SUBNET_FULL:
            return Failure(
                code="SubnetIsFull",
                message="Subnet aks-subnet with address prefix 10.224.0.0/16 does not have enough "
                f"capacity for the IP addresses of agent pool {about.pool}.",
            )
        case FaultKind.FAILED:
            return Failure(
                code="InternalOperationError",
                message="Internal server error while creating the agent pool.",
            )
        case FaultKind.OTHER:
            return Failure(code=fault.code, message=fault.message)
        case _:
            return None


def _quota(what: str, about: Circumstances) -> Failure:
    return Failure(
        code="OperationNotAllowed",
        message=f"Operation could not be completed as it results in exceeding approved {what} "
        "quota. Additional details - Deployment Model: Resource Manager, Location: "
        f"{about.account.location}, Current Limit: 0, Current Usage: 0, Additional Required: "
        f"{about.cores}, (Minimum) New Limit Required: {about.cores}. Submit a request for Quota "
        "increase in the portal.",
    )


def _overconstrained(code: str, more: str) -> Failure:
    message = (
        "Allocation failed. VM(s) with the following constraints cannot be allocated, because "
        "the condition is too restrictive. Please remove some constraints and try again. "
        f"Constraints applied are:\n{more}  - Networking Constraints (such as Accelerated "
        "Networking or IPv6)\n  - VM Size\n"
    )
    return Failure(code=code, message=message, target="0")


def _policy(about: Circumstances) -> Failure:
    root = f"/subscriptions/{about.account.subscription}/providers/Microsoft.Authorization"
    information = {
        "policyDefinitionDisplayName": "Allowed virtual machine size SKUs",
        "policyDefinitionId": f"{root}/policyDefinitions/allowed-sizes",
        "policyDefinitionName": "allowed-sizes",
        "policyDefinitionEffect": "deny",
        "policyAssignmentDisplayName": "Allowed virtual machine size SKUs",
        "policyAssignmentId": f"{root}/policyAssignments/allowed-sizes",
        "policyAssignmentName": "allowed-sizes",
        "policyAssignmentScope": f"/subscriptions/{about.account.subscription}",
        "evaluationDetails": {
            "evaluatedExpressions": [
                {
                    "result": "True",
                    "expressionKind": "Field",
                    "expression": "type",
                    "path": "type",
                    "expressionValue": POOL_TYPE,
                    "targetValue": POOL_TYPE,
                    "operator": "Equals",
                }
            ]
        },
    }
    return Failure(
        code="RequestDisallowedByPolicy",
        target=about.pool,
        message=f"Resource '{about.pool}' was disallowed by policy. Reasons: 'The selected virtual "
        "machine size is not allowed.'. See error details for policy resource IDs.",
        information=({"type": "PolicyViolation", "info": information},),
    )


def _action(ask: Ask) -> str:
    match ask:
        case Ask.CREATE | Ask.UPDATE:
            leaf = "write"
        case Ask.GET | Ask.LIST | Ask.POLL:
            leaf = "read"
        case Ask.DELETE:
            leaf = "delete"
        case Ask.ABORT:
            leaf = "abort/action"
        case Ask.DELETE_MACHINES:
            leaf = "deleteMachines/action"
    return f"{POOL_TYPE}/{leaf}"


def size_not_allowed(vm_size: str, location: str) -> ArmError:
    """400 for a size that the subscription cannot have, or that there is not."""
    return refuse_flatly(
        "BadRequest",
        f"The VM size of {vm_size} is not allowed in your subscription in location '{location}'. "
        "For more details, please visit https://aka.ms/cpu-quota",
    )


def family(vm_size: str) -> str:
    """The quota family of a VM size, as Azure names it: Standard_NC24ads_A100_v4 counts as
    standardNCADSA100v4Family."""
    parts = vm_size.removeprefix("Standard_").split("_")
    letters = "".join(char for char in parts[0] if not char.isdigit()).upper()
    return f"standard{letters}{''.join(parts[1:])}Family"
