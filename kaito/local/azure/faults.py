"""Failures on demand: which pools fail, in which of the real service's ways.

A fault is asked for in two ways: by a `PoolFault` of the profile (by VM size, by pool name), or
by the label `local.kaito.sh/fault` on the pool, which reaches it from the labels of a Machine and
so from the label selector of a Workspace. This module only says what the service would answer;
it fails nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from kaito.local.azure.errors import ArmError, Failure

FAULT_LABEL = "local.kaito.sh/fault"


class FaultKind(StrEnum):
    """The ways in which bringing up a pool can go wrong."""

    QUOTA = "quota"
    """Refused at once: the subscription may not use so many cores."""
    QUOTA_LATE = "quota-late"
    """The operation fails; the quota error is hidden in the details."""
    SKU = "sku-not-available"
    """The operation fails: this region does not offer the size to this subscription."""
    ZONE = "zonal-allocation-failed"
    """The operation fails: no capacity in the zone now."""
    FAILED = "failed"
    """The operation fails with an error that says nothing useful."""
    THROTTLED = "throttled"
    """429 with Retry-After, for the first requests."""
    STUCK = "stuck"
    """The operation never ends."""
    NO_NODE = "no-node"
    """The pool succeeds and its machine never joins the cluster."""
    NEVER_READY = "never-ready"
    """The machine joins and its Node never becomes Ready."""
    NO_GPU = "no-gpu"
    """The Node becomes Ready and no device plugin ever reports its GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFault:
    """Make pools fail. `vm_size` and `pool` are shell patterns; both must match.

    `times` is how many attempts of one pool fail before it works; 0 means every one.
    """

    kind: FaultKind
    vm_size: str = "*"
    pool: str = "*"
    times: int = 0

    def hits(self, pool: str, vm_size: str) -> bool:
        return fnmatchcase(pool, self.pool) and fnmatchcase(vm_size, self.vm_size)


# A throttled client must get through in the end, or there is nothing to see.
_THROTTLED_TIMES = 2
RETRY_AFTER_SECONDS = 1


def fault_of(
    faults: Iterable[PoolFault], pool: str, vm_size: str, labels: Mapping[str, str]
) -> PoolFault | None:
    """The fault that applies to this pool; its label wins over the profile.

    A label with an unknown value is no fault: users may label pools as they like.
    """
    wanted = labels.get(FAULT_LABEL)
    if wanted in tuple(FaultKind):
        kind = FaultKind(wanted)
        times = _THROTTLED_TIMES if kind is FaultKind.THROTTLED else 0
        return PoolFault(kind=kind, pool=pool, times=times)
    return next((fault for fault in faults if fault.hits(pool, vm_size)), None)


def refusal(kind: FaultKind, vm_size: str, cores: int, location: str) -> ArmError | None:
    """The answer to a PUT that fails at once, None when the fault shows later."""
    match kind:
        case FaultKind.QUOTA:
            return ArmError(
                400,
                Failure(
                    code="ErrCode_InsufficientVCPUQuota",
                    message=f"Insufficient vcpu quota requested {cores}, remaining 0 for family "
                    f"{family(vm_size)} for region {location}.",
                ),
                flat=True,
            )
        case FaultKind.THROTTLED:
            return ArmError(
                429,
                Failure(
                    code="TooManyRequests",
                    message="The request is being throttled as the limit has been reached for "
                    "operation type - PutAgentPool.",
                ),
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        case _:
            return None


def late_failure(kind: FaultKind, vm_size: str, cores: int, location: str) -> Failure | None:
    """How the create operation ends when it does not succeed, None when it does."""
    match kind:
        case FaultKind.QUOTA_LATE:
            inner = Failure(
                code="OperationNotAllowed",
                message="Operation could not be completed as it results in exceeding approved "
                f"{family(vm_size)} Cores quota. Additional details - Deployment Model: Resource "
                f"Manager, Location: {location}, Current Limit: 0, Current Usage: 0, Additional "
                f"Required: {cores}, (Minimum) New Limit Required: {cores}. Submit a request for "
                "Quota increase in the portal.",
            )
            return Failure(
                code="ReconcileVMSSAgentPoolFailed",
                message="The agent pool could not be reconciled; see the details.",
                details=(inner,),
            )
        case FaultKind.SKU:
            return Failure(
                code="SkuNotAvailable",
                message="The requested VM size for resource 'Following SKUs have failed for "
                f"Capacity Restrictions: {vm_size}' is currently not available in location "
                f"'{location}'. Please try another size or deploy to a different location or "
                "different zone.",
            )
        case FaultKind.ZONE:
            return Failure(
                code="ZonalAllocationFailed",
                message="Allocation failed. We do not have sufficient capacity for the requested "
                "VM size in this zone.",
            )
        case FaultKind.FAILED:
            return Failure(
                code="InternalOperationError",
                message="Internal server error while creating the agent pool.",
            )
        case _:
            return None


def family(vm_size: str) -> str:
    """The quota family of a VM size, as Azure names it: Standard_NC24ads_A100_v4 counts as
    standardNCADSA100v4Family."""
    parts = vm_size.removeprefix("Standard_").split("_")
    letters = "".join(char for char in parts[0] if not char.isdigit()).upper()
    return f"standard{letters}{''.join(parts[1:])}Family"
