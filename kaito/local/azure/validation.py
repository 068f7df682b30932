"""What a PUT of an agent pool must look like, and which defaults AKS fills in.

It checks what our clients send; it does not know every property of the real service, and keeps
what it does not know as it came.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kaito.local.azure.errors import ArmError, refuse
from kaito.local.azure.sizes import VmSize, VmSizes

# AKS: Linux pools have 1 to 12 lower-case letters and digits and begin with a letter.
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_TAINT = re.compile(r"[^=:]+(=[^=:]*)?:(NoSchedule|PreferNoSchedule|NoExecute)")
_IMMUTABLE = ("vmSize", "osDiskSizeGB", "osType", "type")
# What a client sends and the service owns; it is ignored in a PUT, as ARM does.
_READ_ONLY = (
    "provisioningState",
    "currentOrchestratorVersion",
    "nodeImageVersion",
    "eTag",
    "status",
)
_MAX_COUNT = 1000
KUBERNETES_VERSION = "1.36.0"


def check_name(name: str) -> None:
    """ArmError 400 when no pool can be called so."""
    if not _NAME.fullmatch(name):
        raise _invalid(
            "agentPoolProfile.name",
            f"{name!r} is not 1 to 12 lower-case letters and digits beginning with a letter",
        )


def size_of(properties: Mapping[str, Any], sizes: VmSizes, location: str) -> VmSize:
    """The VM size of a pool that is asked for; ArmError 400 when it is missing or unknown.

    Sizes that Azure has retired are sold here, so that the oldest tutorials run; a fault
    (faults.py) rehearses what a retirement looks like.
    """
    name = properties.get("vmSize")
    if not isinstance(name, str) or not name:
        raise _invalid("agentPoolProfile.vmSize", "it is required")
    size = sizes.find(name)
    if size is None:
        raise refuse(
            400,
            "BadRequest",
            f"The VM size of {name} is not allowed in your subscription in location '{location}'.",
        )
    return size


def desired_properties(body: Any, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The properties a PUT asks for, defaults filled in; `before` is the pool as it stands.

    ArmError 400 when the body is malformed or changes what cannot change.
    """
    sent = body.get("properties") if isinstance(body, dict) else None
    if not isinstance(sent, dict):
        raise refuse(400, "InvalidRequestContent", "The body must be an object with properties.")
    wanted = {key: value for key, value in sent.items() if key not in _READ_ONLY}
    defaults = before or {
        "count": 1,
        "osDiskSizeGB": 128,
        "osType": "Linux",
        "osSKU": "Ubuntu",
        "type": "VirtualMachineScaleSets",
        "mode": "User",
        "maxPods": 110,
        "nodeLabels": {},
        "nodeTaints": [],
    }
    properties = {**defaults, **wanted}
    # 0 stands for the service's choice.
    properties["osDiskSizeGB"] = properties["osDiskSizeGB"] or 128
    _check_values(properties)
    for name in _IMMUTABLE if before else ():
        if before and properties.get(name) != before.get(name):
            raise refuse(
                400,
                "PropertyChangeNotAllowed",
                f"Changing property 'properties.{name}' is not allowed: delete the node pool "
                "and create it again.",
            )
    return properties


def _check_values(properties: Mapping[str, Any]) -> None:
    count = properties["count"]
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MAX_COUNT:
        raise _invalid("agentPoolProfile.count", f"{count!r} is not between 0 and {_MAX_COUNT}")
    disk = properties["osDiskSizeGB"]
    if not isinstance(disk, int) or isinstance(disk, bool) or not 30 <= disk <= 2048:
        raise _invalid("agentPoolProfile.osDiskSizeGB", f"{disk!r} is not between 30 and 2048")
    labels = properties["nodeLabels"]
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise _invalid("agentPoolProfile.nodeLabels", "it is not a map of strings")
    taints = properties["nodeTaints"]
    if not isinstance(taints, list):
        raise _invalid("agentPoolProfile.nodeTaints", "it is not a list")
    for taint in taints:
        if not isinstance(taint, str) or not _TAINT.fullmatch(taint):
            raise _invalid("agentPoolProfile.nodeTaints", f"{taint!r} is not key=value:effect")


def _invalid(parameter: str, reason: str) -> ArmError:
    return refuse(
        400, "InvalidParameter", f"The value of parameter {parameter} is invalid: {reason}."
    )
