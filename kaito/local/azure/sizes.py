"""Which virtual machines the cloud sells, and what a Node of each one has.

Sizes with GPUs come from the catalog. Of others the cores stand in the name, and memory follows
from the family.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kaito.catalog.catalog import Catalog

# What device plugins call the GPUs of each maker.
GPU_RESOURCES = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSize:
    """What a machine has. Memory in GiB; `gpu_resource` is "" when it has no GPUs."""

    name: str
    cores: int
    memory: int
    gpus: int = 0
    gpu_resource: str = ""


# GiB of memory a core, by the letter of the family; size tables of Azure's documentation.
_MEMORY_PER_CORE = {"E": 8, "F": 2}
_USUAL_MEMORY_PER_CORE = 4
_GENERAL_PURPOSE = re.compile(r"Standard_(?P<family>[BDEF])[A-Z]*(?P<cores>\d+)[a-z]*(_v\d+)?")


@dataclass(frozen=True, slots=True)
class VmSizes:
    """The price list without prices."""

    catalog: Catalog

    def __iter__(self) -> Iterator[VmSize]:
        """The sizes that the catalog knows and Azure has not retired, by name."""
        skus = self.catalog.skus.values()
        names = (sku.name for sku in skus if sku.cloud == "azure" and not sku.retired)
        found = (self.find(name) for name in sorted(names))
        return (size for size in found if size is not None)

    def find(self, name: str) -> VmSize | None:
        """The size of that name, None when there is none."""
        sku = self.catalog.find_sku(name, cloud="azure")
        if sku is not None:
            return VmSize(
                name=sku.name,
                cores=sku.vcpus,
                memory=sku.ram_gib,
                gpus=sku.gpus.count,
                gpu_resource=GPU_RESOURCES[sku.gpus.vendor],
            )
        match = _GENERAL_PURPOSE.fullmatch(name)
        if match is None or not (cores := int(match["cores"])):
            return None
        per_core = _MEMORY_PER_CORE.get(match["family"], _USUAL_MEMORY_PER_CORE)
        return VmSize(name=name, cores=cores, memory=cores * per_core)
