"""Agent pools and operations as JSON of Azure Resource Manager."""

from __future__ import annotations

from typing import Any

from kaito.local.azure.account import POOL_TYPE, Account
from kaito.local.azure.pools import Operation, Outcome, Pool, State
from kaito.local.azure.validation import KUBERNETES_VERSION
from kaito.runtime import rfc3339_micro

NODE_IMAGE = "AKSUbuntu-2204gen2containerd-202601.01.0"


def pool_wire(pool: Pool, account: Account) -> dict[str, Any]:
    """An agent pool as every answer shows it."""
    stopped = pool.state in (State.DELETING, State.CANCELED) and not pool.exists
    properties = {
        **pool.properties,
        "eTag": pool.etag,
        "provisioningState": pool.state.value,
        "powerState": {"code": "Stopped" if stopped else "Running"},
        "orchestratorVersion": KUBERNETES_VERSION,
        "currentOrchestratorVersion": KUBERNETES_VERSION,
        "nodeImageVersion": NODE_IMAGE,
    }
    if pool.failure is not None:
        properties["status"] = {"provisioningError": pool.failure.wire()}
    return {
        "id": account.pool_id(pool.name),
        "name": pool.name,
        "type": POOL_TYPE,
        "properties": properties,
    }


def operation_wire(operation: Operation) -> dict[str, Any]:
    """A long operation as its poll shows it."""
    wire: dict[str, Any] = {
        "name": operation.id,
        "status": operation.outcome.value,
        "startTime": rfc3339_micro(operation.started),
    }
    if operation.ended is not None:
        wire["endTime"] = rfc3339_micro(operation.ended)
    if operation.outcome is Outcome.FAILED and operation.failure is not None:
        wire["error"] = operation.failure.wire()
    return wire
