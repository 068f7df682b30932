"""The way out of each of Azure's refusals, with the numbers and names of this very cluster.

An advice is one clause: what to change, and the command that shows or mends it, ready for a shell.
Every value in a command is quoted, whoever it comes from. Links are those that Azure's own messages
and documentation give.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kaito.provisioner.failure import Cause, Failure, Quota, one_line
from kaito.provisioner.settings import CloudSettings, CredentialKind

MAX_VALUE = 100  # characters of one value in a command; Azure's own names have at most 90

FAMILY_GUIDE = "https://learn.microsoft.com/azure/quotas/per-vm-quota-requests"
REGIONAL_GUIDE = "https://learn.microsoft.com/azure/quotas/regional-quota-requests"
ALLOCATION_GUIDE = "https://aka.ms/allocation-guidance"
SKU_GUIDE = "https://aka.ms/azureskunotavailable"
SUBNET_GUIDE = "https://aka.ms/aks/insufficientsubnetsize"
SUBSCRIPTION_GUIDE = (
    "https://learn.microsoft.com/azure/cost-management-billing/manage/subscription-disabled"
)


def advised(failure: Failure, settings: CloudSettings, instance_type: str = "") -> Failure:
    """The failure with what a person can do about it. One that mends itself is left as it is, and
    so is one whose words are our own and say it already."""
    remedy = _REMEDIES.get(failure.cause) if failure.asked else None
    if remedy is None:
        return failure
    return replace(failure, advice=remedy(_Case(failure, settings, instance_type)))


def relabelling(settings: CloudSettings, pool: str, labels: Mapping[str, str]) -> str:
    """The command that gives a pool these labels and no others: Azure takes them as a whole."""
    options = {
        "subscription": settings.subscription,
        "resource-group": settings.resource_group,
        "cluster-name": settings.cluster,
        "name": pool,
    }
    flags = [f"--{name} {_quoted(value)}" for name, value in options.items()]
    said = [_quoted(f"{name}={value}") for name, value in sorted(labels.items())]
    return f"`{' '.join(('az aks nodepool update', *flags, '--labels', *said))}`"


def unstuck(name: str, settings: CloudSettings) -> str:
    """What to do about a pool that is being deleted and does not go."""
    abort = _az(
        settings,
        "aks nodepool operation-abort",
        output="",
        resource_group=settings.resource_group,
        cluster_name=settings.cluster,
        nodepool_name=name,
    )
    return f"have the deletion stopped with {abort}, and KAITO begins it again"


def _az(settings: CloudSettings, words: str, *, output: str, **options: str) -> str:
    """A command in backquotes. Options without a value are left out."""
    chosen = {"subscription": settings.subscription, **options, "output": output}
    flags = (
        f"--{name.replace('_', '-')} {_quoted(value)}" for name, value in chosen.items() if value
    )
    return f"`{' '.join(('az', words, *flags))}`"


@dataclass(frozen=True, slots=True)
class _Case:
    """What a remedy is made from."""

    failure: Failure
    settings: CloudSettings
    instance_type: str

    @property
    def quota(self) -> Quota:
        return self.failure.quota or Quota()

    @property
    def location(self) -> str:
        return self.quota.location or self.settings.location

    def az(self, words: str, *, output: str = "table", **options: str) -> str:
        """A command in backquotes. Options without a value are left out."""
        return _az(self.settings, words, output=output, **options)

    @property
    def of_cluster(self) -> dict[str, str]:
        return {
            "resource_group": self.settings.resource_group,
            "cluster_name": self.settings.cluster,
        }

    @property
    def cluster_id(self) -> str:
        where = self.settings
        return (
            f"/subscriptions/{where.subscription}/resourceGroups/{where.resource_group}"
            f"/providers/Microsoft.ContainerService/managedClusters/{where.cluster}"
        )


def _quoted(value: str) -> str:
    """As one word of a shell, on one line, and without what would end the backquotes."""
    return shlex.quote(one_line(value.replace("`", "'"), 4 * MAX_VALUE))


def _quota(case: _Case) -> str:
    quota = case.quota
    region = "" if case.location else " of the region"
    which = {
        Cause.FAMILY_QUOTA: f"the quota of {quota.name}" if quota.name else "the family's quota",
        Cause.REGIONAL_QUOTA: f"the quota of all vCPUs{region}",
        Cause.SPOT_QUOTA: "the quota of spot vCPUs",
    }.get(case.failure.cause, "the quota that the message names")
    guide = FAMILY_GUIDE if case.failure.cause is Cause.FAMILY_QUOTA else REGIONAL_GUIDE
    usage = case.az("vm list-usage", location=case.location)
    return (
        f"have {which}{_place(case)} raised{_by_how_much(quota)} ({guide}), or choose another "
        f"instance type; {usage} shows what is used"
    )


def _place(case: _Case) -> str:
    return f" in {one_line(case.location, MAX_VALUE)}" if case.location else ""


def _by_how_much(quota: Quota) -> str:
    if quota.raise_to is not None:
        return f" to {quota.raise_to} at least"
    if quota.needed is not None:
        return f" by {max(1, quota.needed - (quota.left or 0))} at least"
    return ""


def _sku(case: _Case) -> str:
    skus = case.az("vm list-skus --all", location=case.location, size=case.instance_type)
    return (
        f"choose another instance type: {skus} shows where this one is sold and who is kept from "
        f"it ({SKU_GUIDE})"
    )


def _allocation(case: _Case) -> str:
    return (
        f"choose another instance type or region, or wait until Azure has machines of this size"
        f"{_place(case)} ({ALLOCATION_GUIDE})"
    )


def _zonal(case: _Case) -> str:
    return (
        "allow other zones (topology.kubernetes.io/zone), choose another instance type, or wait "
        f"until Azure has machines of this size there ({ALLOCATION_GUIDE})"
    )


def _overconstrained(case: _Case) -> str:
    return (
        "ask for less at once: any zone, on-demand instead of spot, or another instance type "
        f"({ALLOCATION_GUIDE})"
    )


def _policy(case: _Case) -> str:
    named = f" {case.failure.policy!r}" if case.failure.policy else ""
    # --disable-scope-strict-match: assignments above the group count, too.
    assigned = case.az(
        "policy assignment list --disable-scope-strict-match",
        resource_group=case.settings.resource_group,
    )
    return (
        f"ask whoever owns the Azure policy{named} to allow it or to exempt this cluster; "
        f"{assigned} shows all that apply"
    )


def _lock(case: _Case) -> str:
    locks = case.az("lock list", resource_group=case.settings.resource_group)
    return f"have the lock removed that the message names; {locks} shows them"


def _authentication(case: _Case) -> str:
    match case.settings.credential:
        case CredentialKind.WORKLOAD_IDENTITY:
            return (
                "check AZURE_TENANT_ID and AZURE_CLIENT_ID, and that the identity's federated "
                "credential names the provisioner's ServiceAccount and this cluster's issuer (`az "
                "identity federated-credential list`)"
            )
        case CredentialKind.DEFAULT:
            return (
                "mend the one of these identities that is meant to be used (AZURE_CLIENT_ID names "
                "a user-assigned one), log in with `az login`, or set AZURE_CREDENTIAL to "
                "workload-identity"
            )
        case CredentialKind.TOKEN_FILE:
            file = one_line(case.settings.token_file, MAX_VALUE)
            return (
                f"see to whoever writes the token into AZURE_TOKEN_FILE ({file}): it has to be "
                f"readable, current, and for {one_line(case.settings.audience, MAX_VALUE)}"
            )


def _authorization(case: _Case) -> str:
    granted = case.az(
        "role assignment create",
        output="",
        role="Contributor",
        assignee=case.settings.client or "CLIENT_ID",
        scope=case.cluster_id,
    )
    return f"give the provisioner's identity its role: {granted}"


def _cluster(case: _Case) -> str:
    shown = case.az("aks list", resource_group=case.settings.resource_group)
    return f"check AZURE_CLUSTER_NAME and ARM_RESOURCE_GROUP: {shown} shows the clusters there are"


def _group(case: _Case) -> str:
    return f"check ARM_RESOURCE_GROUP: {case.az('group list')} shows the groups there are"


def _subscription(case: _Case) -> str:
    shown = case.az("account show", output="")
    return (
        f"check ARM_SUBSCRIPTION_ID, and have the subscription enabled again if {shown} does not "
        f"say Enabled ({SUBSCRIPTION_GUIDE})"
    )


def _registration(case: _Case) -> str:
    command = case.az("provider register --namespace Microsoft.ContainerService", output="")
    return f"have the resource provider registered that the message names, mostly with {command}"


def _subnet(case: _Case) -> str:
    pools = case.az("aks nodepool list", **case.of_cluster)
    return (
        f"enlarge the nodes' subnet ({SUBNET_GUIDE}), or delete node pools that nobody needs: "
        f"{pools} shows them"
    )


def _pool_limit(case: _Case) -> str:
    pools = case.az("aks nodepool list", **case.of_cluster)
    return f"delete node pools that nobody needs: {pools} shows them"


def _invalid(case: _Case) -> str:
    return "correct the claim, or delete it and create another one"


def _unknown(case: _Case) -> str:
    log = case.az(
        "monitor activity-log list --status Failed", resource_group=case.settings.resource_group
    )
    return f"look the code up in Azure's documentation; {log} tells more"


_REMEDIES: Mapping[Cause, Callable[[_Case], str]] = {
    Cause.FAMILY_QUOTA: _quota,
    Cause.REGIONAL_QUOTA: _quota,
    Cause.SPOT_QUOTA: _quota,
    Cause.SUBSCRIPTION_QUOTA: _quota,
    Cause.SKU: _sku,
    Cause.ALLOCATION: _allocation,
    Cause.ZONAL_ALLOCATION: _zonal,
    Cause.OVERCONSTRAINED: _overconstrained,
    Cause.OVERCONSTRAINED_ZONAL: _overconstrained,
    Cause.POLICY: _policy,
    Cause.LOCK: _lock,
    Cause.AUTHENTICATION: _authentication,
    Cause.AUTHORIZATION: _authorization,
    Cause.CLUSTER: _cluster,
    Cause.GROUP: _group,
    Cause.SUBSCRIPTION: _subscription,
    Cause.REGISTRATION: _registration,
    Cause.SUBNET: _subnet,
    Cause.POOL_LIMIT: _pool_limit,
    Cause.INVALID: _invalid,
    Cause.UNKNOWN: _unknown,
}
