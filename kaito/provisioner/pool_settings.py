"""What an administrator decides for every pool that is made: tags, subnet, disk and driver.

They come with the other settings (settings.py) and hold where a claim says nothing of its own.
Nothing here is a proof of whose a pool is: anybody may set tags, and labels prove that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kaito.api.wishes import DISK_TYPES, GPU_DRIVERS

# Of Resource Manager: "Use tags to organize your Azure resources", limitations.
TAGS, TAG_NAME_LENGTH, TAG_VALUE_LENGTH = 50, 512, 256
_NOT_IN_TAG_NAMES = frozenset("<>%&\\?/")
# Azure's own, in any case.
_RESERVED_TAG_NAMES = ("microsoft", "azure", "windows")
_SUBNET = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network"
    r"/virtualNetworks/[^/]+/subnets/[^/]+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """Of all pools. The defaults leave everything to Azure."""

    tags: Mapping[str, str] = field(default_factory=dict)
    subnet: str = ""
    """The resource ID of the subnet of the nodes, "" for that of the cluster's other pools."""
    disk_type: str = ""
    """A key of DISK_TYPES, "" for Azure's choice."""
    gpu_driver: str = ""
    """A key of GPU_DRIVERS, "" for Azure's choice, which is to install it."""
    starting_taints: bool = False
    """Whether the API takes taints that only new nodes have, so that no Pod comes before its
    time. Only preview versions of it do."""


def pool_settings(found: Mapping[str, str]) -> PoolSettings:
    """From settings without problems."""
    return PoolSettings(
        tags=dict(_pairs(found.get("AZURE_TAGS", ""))),
        subnet=found.get("AZURE_VNET_SUBNET_ID", ""),
        disk_type=found.get("AZURE_OS_DISK_TYPE", "").lower(),
        gpu_driver=found.get("AZURE_GPU_DRIVER", "").lower(),
        starting_taints=found.get("AZURE_API_VERSION", "").endswith("-preview"),
    )


def pool_problems(found: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each thing to mend."""
    for key, known in (("AZURE_OS_DISK_TYPE", DISK_TYPES), ("AZURE_GPU_DRIVER", GPU_DRIVERS)):
        value = found.get(key, "")
        if value and value.lower() not in known:
            yield f"{key} is {value!r}: set it to {' or '.join(known)}, or leave it out."
    subnet = found.get("AZURE_VNET_SUBNET_ID", "")
    if subnet and not _SUBNET.fullmatch(subnet):
        yield (
            f"AZURE_VNET_SUBNET_ID is {subnet!r}: set it to a resource ID as "
            "`az network vnet subnet show --query id` prints it, or leave it out."
        )
    for fault in _tag_faults(found.get("AZURE_TAGS", "")):
        yield f"AZURE_TAGS {fault}."


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The tags in `text`, whitespace around names and values left out."""
    for pair in filter(str.strip, text.split(",")):
        name, _, value = pair.partition("=")
        yield name.strip(), value.strip()


def _tag_faults(text: str) -> Iterator[str]:
    for pair in filter(str.strip, text.split(",")):
        if "=" not in pair or not pair.partition("=")[0].strip():
            yield f"has {pair.strip()!r}: write tags as NAME=VALUE,NAME=VALUE"
    names = [name.lower() for name, _ in _pairs(text)]
    if len(names) > TAGS:
        yield f"has {len(names)} tags: Azure takes at most {TAGS}"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"has the tag {name!r} twice: Azure does not tell upper case from lower case"
    for name, value in _pairs(text):
        if len(name) > TAG_NAME_LENGTH or len(value) > TAG_VALUE_LENGTH:
            yield (
                f"has the tag {name[:20]!r}, which is too long: names have at most "
                f"{TAG_NAME_LENGTH} characters and values {TAG_VALUE_LENGTH}"
            )
        if wrong := sorted(_NOT_IN_TAG_NAMES.intersection(name)):
            yield f"has the tag {name[:20]!r}: leave {' '.join(wrong)} out of its name"
        if name.lower().startswith(_RESERVED_TAG_NAMES):
            yield (
                f"has the tag {name[:20]!r}: names that begin with "
                f"{', '.join(_RESERVED_TAG_NAMES)} are Azure's own"
            )
