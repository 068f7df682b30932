"""What a PUT of an agent pool must mean, and which defaults AKS fills in.

Shapes and types have been checked (schema.py). These are the rules that our clients can run into;
the real service has more, about networks, images, versions and features of a subscription.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kaito.local.azure.effects import size_not_allowed
from kaito.local.azure.errors import ArmError, Failure, invalid, refuse_flatly
from kaito.local.azure.limits import Limits
from kaito.local.azure.sizes import VmSize, VmSizes

# AKS: Linux pools have 1 to 12 lower-case letters and digits and begin with a letter.
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
_WINDOWS_NAME_LENGTH = 6
_TAINT = re.compile(r"([^=:]+)(=([^=:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)")
# Of Kubernetes, because AKS puts them on Nodes.
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_RESERVED_PREFIX = "kubernetes.azure.com"
_IMMUTABLE = (
    *("vmSize", "osDiskSizeGB", "osDiskType", "osType", "type", "maxPods", "availabilityZones"),
    *("vnetSubnetID", "podSubnetID", "scaleSetPriority", "scaleSetEvictionPolicy"),
    "spotMaxPrice",
    *("enableNodePublicIP", "proximityPlacementGroupID", "gpuInstanceProfile"),
)
# What a client sends and the service owns; it is ignored in a PUT, as ARM does.
_READ_ONLY = (
    *("provisioningState", "orchestratorVersion", "currentOrchestratorVersion"),
    *("nodeImageVersion", "eTag", "status", "virtualMachineNodesStatus"),
)
_DISK_GIB = range(30, 2049)
_EPHEMERAL_GIB = 2040
_MAX_PODS = range(10, 251)
_ZONES = ("1", "2", "3")
# Of Resource Manager.
_TAGS, _TAG_NAME_LENGTH, _TAG_VALUE_LENGTH = 50, 512, 256
_TAG_NAME = re.compile(r"(?!microsoft|azure|windows)[^<>%&\\?/]+", re.IGNORECASE)
_SUBNET = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network"
    r"/virtualNetworks/[^/]+/subnets/[^/]+",
    re.IGNORECASE,
)
_PRICE_DECIMALS = 5
KUBERNETES_VERSION = "1.36.0"


def check_name(name: str) -> None:
    """ArmError 400 when no pool can be called so."""
    if not _NAME.fullmatch(name):
        raise invalid(
            "agentPoolProfile.name",
            f"{name!r} is not 1 to 12 lower-case letters and digits beginning with a letter. "
            "Please see https://aka.ms/aks-naming-rules for more details",
        )


def size_of(properties: Mapping[str, Any], sizes: VmSizes, location: str) -> VmSize:
    """The VM size of a pool that is asked for; ArmError 400 when it is missing or unknown.

    Sizes that Azure has retired are sold here, so that the oldest tutorials run; a fault
    (faults.py) rehearses what a retirement looks like.
    """
    name = properties.get("vmSize")
    if not name:
        raise refuse_flatly(
            "InvalidParameter", "Required parameter agentPoolProfile.vmSize is missing (null)."
        )
    size = sizes.find(name)
    if size is None:
        raise size_not_allowed(name, location)
    return size


def desired_properties(
    name: str, sent: Mapping[str, Any], before: Mapping[str, Any] | None, limits: Limits
) -> dict[str, Any]:
    """The properties a PUT asks for, defaults filled in; `before` is the pool as it stands.

    ArmError 400 when they make no pool, or change what cannot change.
    """
    wanted = {key: value for key, value in sent.items() if key not in _READ_ONLY}
    defaults = before or {
        "count": 1,
        "osDiskSizeGB": 128,
        # AKS takes Ephemeral where the size has room for it; sizes here have no caches.
        "osDiskType": "Managed",
        "osType": "Linux",
        "osSKU": "Ubuntu",
        "type": "VirtualMachineScaleSets",
        "mode": "User",
        "maxPods": 110,
        "powerState": {"code": "Running"},
        "nodeLabels": {},
        "nodeTaints": [],
    }
    if before is None and wanted.get("scaleSetPriority") == "Spot":
        defaults = {**defaults, "scaleSetEvictionPolicy": "Delete", "spotMaxPrice": -1}
    properties = {**defaults, **wanted}
    # 0 stands for the service's choice.
    properties["osDiskSizeGB"] = properties["osDiskSizeGB"] or 128
    for parameter, reason in _faults(name, properties, limits):
        raise invalid(f"agentPoolProfile.{parameter}", reason)
    if before is not None:
        _check_immutable(properties, before)
    return properties


def _check_immutable(properties: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    for name in _IMMUTABLE:
        if properties.get(name) != before.get(name):
            target = f"properties.{name}"
            failure = Failure(
                code="PropertyChangeNotAllowed",
                message=f"Changing property '{target}' is not allowed.",
                target=target,
            )
            raise ArmError(400, failure, flat=True)


def _faults(name: str, properties: Mapping[str, Any], limits: Limits) -> Iterator[tuple[str, str]]:
    """What is wrong: parameters and reasons."""
    yield from _scale(properties, limits)
    yield from _kind(name, properties)
    for parameter, allowed in (("osDiskSizeGB", _DISK_GIB), ("maxPods", _MAX_PODS)):
        if properties[parameter] not in allowed:
            yield (
                parameter,
                f"{properties[parameter]} is not between {allowed[0]} and {allowed[-1]}",
            )
    if properties["osDiskType"] == "Ephemeral" and properties["osDiskSizeGB"] > _EPHEMERAL_GIB:
        yield "osDiskSizeGB", f"an ephemeral OS disk has at most {_EPHEMERAL_GIB} GiB"
    subnet = properties.get("vnetSubnetID")
    if subnet and not _SUBNET.fullmatch(subnet):
        yield "vnetSubnetID", f"{subnet!r} is not the ID of a subnet"
    for zone in properties.get("availabilityZones") or ():
        if zone not in _ZONES:
            yield "availabilityZones", f"{zone!r} is not one of the zones {', '.join(_ZONES)}"
    for key, value in properties["nodeLabels"].items():
        yield from _label(key, value)
    for parameter in ("nodeTaints", "nodeInitializationTaints"):
        for taint in properties.get(parameter) or ():
            if not _is_taint(taint):
                yield parameter, f"{taint!r} is not key=value:effect"
    yield from _tag_faults(properties.get("tags") or {})


def _tag_faults(tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if len(tags) > _TAGS:
        yield "tags", f"{len(tags)} tags are more than {_TAGS}"
    for key, value in tags.items():
        if len(key) > _TAG_NAME_LENGTH or len(value) > _TAG_VALUE_LENGTH:
            yield "tags", f"the tag {key[:20]!r} is longer than names and values of tags can be"
        if not _TAG_NAME.fullmatch(key):
            yield "tags", f"{key[:20]!r} is no name of a tag"
    if len({key.lower() for key in tags}) < len(tags):
        yield "tags", "two tags have names that differ in case alone"


def _scale(properties: Mapping[str, Any], limits: Limits) -> Iterator[tuple[str, str]]:
    count, most = properties["count"], limits.nodes_per_pool
    least = 1 if properties["mode"] == "System" else 0
    if not least <= count <= most:
        yield "count", f"{count} is not between {least} and {most}"
    low, high = properties.get("minCount"), properties.get("maxCount")
    if properties.get("enableAutoScaling"):
        if low is None or high is None or not 0 <= low <= high <= most:
            yield "minCount", f"{low} to {high} is no range between 0 and {most}"
    elif low is not None or high is not None:
        yield "minCount", "minCount and maxCount go with enableAutoScaling alone"


def _kind(name: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    windows = properties["osType"] == "Windows"
    if windows and len(name) > _WINDOWS_NAME_LENGTH:
        yield "name", f"{name!r} is longer than {_WINDOWS_NAME_LENGTH}, the most for Windows"
    if windows != properties["osSKU"].startswith("Windows"):
        yield "osSKU", f"{properties['osSKU']} does not run on {properties['osType']}"
    spot = properties.get("scaleSetPriority") == "Spot"
    if properties["mode"] == "System" and (windows or spot):
        yield "mode", "a system pool has regular Linux machines"
    for parameter in ("scaleSetEvictionPolicy", "spotMaxPrice"):
        if not spot and properties.get(parameter) is not None:
            yield parameter, "it goes with the scaleSetPriority Spot alone"
    price = properties.get("spotMaxPrice")
    if price is not None and price != -1 and price <= 0:
        yield "spotMaxPrice", f"{price} is neither -1 nor a price"
    elif price is not None and round(price, _PRICE_DECIMALS) != price:
        yield "spotMaxPrice", f"{price} has more than {_PRICE_DECIMALS} decimals"


def _label(key: str, value: str) -> Iterator[tuple[str, str]]:
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _LABEL_PREFIX.fullmatch(prefix)):
        yield "nodeLabels", f"{key!r} is no name of a label"
    elif prefix == _RESERVED_PREFIX:
        yield "nodeLabels", f"the prefix {_RESERVED_PREFIX} of {key!r} is reserved"
    if value and not _LABEL_NAME.fullmatch(value):
        yield "nodeLabels", f"{value!r} is no value of a label"


def _is_taint(text: str) -> bool:
    match = _TAINT.fullmatch(text)
    if match is None:
        return False
    return not list(_label(match[1], match[3] or "")) or match[1].startswith(_RESERVED_PREFIX)
