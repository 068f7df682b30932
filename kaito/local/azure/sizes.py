"""Which virtual machines the cloud sells, and what a Node of each one has.

GPUs come from the catalog. Cores stand in the name of a size; memory follows from its family.
"""

from __future__ import annotations

import re
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


# GiB of memory a core, from the size tables of Azure's documentation, by the part of the name
# that decides it. The first match counts.
_MEMORY_PER_CORE: tuple[tuple[str, float], ...] = (
    (r"ND96asr_A100", 900 / 96),
    (r"ND96isr_H200", 1850 / 96),
    (r"ND96", 1900 / 96),
    (r"NCC?\d+ad[is]+_H100", 320 / 40),
    (r"NC\d+ads_A100", 220 / 24),
    (r"NC\d+as_T4", 7),
    (r"NC\d+s_v3", 112 / 6),
    (r"NV\d+ads_A10", 440 / 36),
    (r"E\d+", 8),
    (r"F\d+", 2),
    (r"", 4),
)
_GENERAL_PURPOSE = re.compile(r"Standard_[BDEF][A-Z]*\d+[a-z]*(_v\d+)?")


@dataclass(frozen=True, slots=True)
class VmSizes:
    """The price list without prices."""

    catalog: Catalog

    def find(self, name: str) -> VmSize | None:
        """The size of that name, None when there is none."""
        sku = self.catalog.find_sku(name, cloud="azure")
        if sku is None and not _GENERAL_PURPOSE.fullmatch(name):
            return None
        name = sku.name if sku is not None else name
        digits = re.search(r"\d+", name)
        if digits is None or not (cores := int(digits[0])):
            return None
        family = name.removeprefix("Standard_")
        ratio = next(ratio for pattern, ratio in _MEMORY_PER_CORE if re.match(pattern, family))
        return VmSize(
            name=name,
            cores=cores,
            memory=round(cores * ratio),
            gpus=sku.gpus.count if sku is not None else 0,
            gpu_resource=GPU_RESOURCES.get(sku.gpus.vendor, "") if sku is not None else "",
        )
