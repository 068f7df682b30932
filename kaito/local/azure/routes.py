"""Which request means what: URL paths of Azure Resource Manager, letters in any case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from kaito.local.azure.account import Account
from kaito.local.azure.errors import refuse


@dataclass(frozen=True, slots=True)
class ClusterList:
    """The managed clusters of the resource group."""


@dataclass(frozen=True, slots=True)
class OneCluster:
    """The managed cluster; `action` is what stands behind its name, "" for itself."""

    action: str = ""


@dataclass(frozen=True, slots=True)
class PoolList:
    """The agent pools of the cluster."""


@dataclass(frozen=True, slots=True)
class OnePool:
    """An agent pool; `action` is the last segment of a POST, "" otherwise."""

    name: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines of an agent pool, or one of them; `name` is "" for all."""

    pool: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class OneOperation:
    """A long operation; `results` when only its end is asked for (the Location header)."""

    id: str
    results: bool


@dataclass(frozen=True, slots=True)
class SkuList:
    """What Microsoft.Compute sells to this subscription."""


Route: TypeAlias = ClusterList | OneCluster | PoolList | OnePool | Machines | OneOperation | SkuList


def route(path: str, account: Account) -> Route:
    """What a path names; ArmError 404 for anything that this account does not have."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match [part.lower() for part in parts]:
        case [
            "subscriptions",
            subscription,
            "resourcegroups",
            group,
            "providers",
            "microsoft.containerservice",
            "managedclusters",
            *rest,
        ] if len(rest) <= 5:
            _check_subscription(subscription, account)
            _check_group(parts[3], group, account)
            if not rest:
                return ClusterList()
            _check_cluster(parts[3], parts[7], rest[0], account)
            found = _in_cluster(parts[8:])
        case [
            "subscriptions",
            subscription,
            "providers",
            "microsoft.containerservice",
            "locations",
            location,
            ("operations" | "operationresults") as leaf,
            operation,
        ] if location == account.location.lower():
            _check_subscription(subscription, account)
            return OneOperation(operation, leaf == "operationresults")
        case ["subscriptions", subscription, "providers", "microsoft.compute", "skus"]:
            _check_subscription(subscription, account)
            return SkuList()
        case _:
            found = None
    if found is None:
        raise refuse(404, "InvalidResourceType", f"The path '{path}' is not served here.")
    return found


def _in_cluster(parts: list[str]) -> Route | None:
    match parts:
        case []:
            return OneCluster()
        case [kind] if kind.lower() == "agentpools":
            return PoolList()
        case [action]:
            return OneCluster(action)
        case [kind, name] if kind.lower() == "agentpools":
            return OnePool(name)
        case [kind, name, leaf, *rest] if kind.lower() == "agentpools":
            if leaf.lower() == "machines":
                return Machines(name, *rest)
            return None if rest else OnePool(name, leaf)
        case _:
            return None


def _check_subscription(subscription: str, account: Account) -> None:
    if subscription != account.subscription.lower():
        raise refuse(
            404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found."
        )


def _check_group(group_as_sent: str, group: str, account: Account) -> None:
    if group != account.resource_group.lower():
        raise refuse(
            404, "ResourceGroupNotFound", f"Resource group '{group_as_sent}' could not be found."
        )


def _check_cluster(
    group_as_sent: str, cluster_as_sent: str, cluster: str, account: Account
) -> None:
    if cluster != account.cluster.lower():
        raise refuse(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.ContainerService/managedClusters/{cluster_as_sent}' under "
            f"resource group '{group_as_sent}' was not found. For more details please go to "
            "https://aka.ms/ARMResourceNotFoundFix",
        )
