"""Which request means what: URL paths of Azure Resource Manager, letters in any case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from kaito.local.azure.account import Account
from kaito.local.azure.errors import refuse


@dataclass(frozen=True, slots=True)
class PoolList:
    """The agent pools of the cluster."""


@dataclass(frozen=True, slots=True)
class OnePool:
    """An agent pool; `action` is the last segment of a POST, "" otherwise."""

    name: str
    action: str = ""


@dataclass(frozen=True, slots=True)
class OneOperation:
    """A long operation; `results` when only its end is asked for (the Location header)."""

    id: str
    results: bool


Route: TypeAlias = PoolList | OnePool | OneOperation


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
            cluster,
            "agentpools",
            *rest,
        ] if len(rest) <= 2:
            _check_subscription(subscription, account)
            _check_cluster(parts[3], group, parts[7], cluster, account)
            if not rest:
                return PoolList()
            return OnePool(parts[9], rest[1] if len(rest) == 2 else "")
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
        case _:
            raise refuse(404, "InvalidResourceType", f"The path '{path}' is not served here.")


def _check_subscription(subscription: str, account: Account) -> None:
    if subscription != account.subscription.lower():
        raise refuse(
            404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found."
        )


def _check_cluster(
    group_as_sent: str, group: str, cluster_as_sent: str, cluster: str, account: Account
) -> None:
    if group != account.resource_group.lower():
        raise refuse(
            404, "ResourceGroupNotFound", f"Resource group '{group_as_sent}' could not be found."
        )
    if cluster != account.cluster.lower():
        raise refuse(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.ContainerService/managedClusters/{cluster_as_sent}' under "
            f"resource group '{group_as_sent}' was not found.",
        )
