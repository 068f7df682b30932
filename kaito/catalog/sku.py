"""GPUs: those of a node size that a cloud offers, those that a node says it has, a slice of one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeAlias

from kaito.api import labels

Vendor: TypeAlias = Literal["nvidia", "amd", "aws"]

MIB_PER_GIB = 1024
BFLOAT16_SINCE = 8.0  # NVIDIA compute capability

# The share of a GPU's memory that the engine may take. A10 leaves less to others' contexts.
MEMORY_SHARE = 0.84
A10_MEMORY_SHARE = 0.82

SLICE = re.compile(r"\d+g\.(?P<memory>\d+(\.\d+)?)gb", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """The accelerators of one node, all alike."""

    product: str
    """What their maker calls them, such as NVIDIA A100."""
    count: int
    memory_gib: float
    """Of all of them together."""
    vendor: Vendor = "nvidia"
    compute_capability: float | None = None

    @property
    def each_gib(self) -> float:
        """Memory of one of them, GiB."""
        return self.memory_gib / self.count

    @property
    def memory_share(self) -> float:
        """The share of its memory that the engine may take."""
        return A10_MEMORY_SHARE if self.product == "NVIDIA A10" else MEMORY_SHARE

    @property
    def bfloat16(self) -> bool:
        """Whether they compute in bfloat16; assumed where the capability is not known."""
        return self.compute_capability is None or self.compute_capability >= BFLOAT16_SINCE

    def __str__(self) -> str:
        return f"{self.count} x {self.product} ({self.memory_gib:g} GiB)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sku:
    """A node size that a cloud offers."""

    name: str
    cloud: str
    gpus: Gpus
    nvme: bool = False
    retired: date | None = None
    """The day from which the cloud offers it no more; None while it does."""


def gpus_of_node(node: Mapping[str, str]) -> Gpus | None:
    """The GPUs that a node's labels tell of (NVIDIA feature discovery); None when they do not."""
    try:
        count = int(node[labels.GPU_COUNT])
        memory = int(node[labels.GPU_MEMORY])
    except (KeyError, ValueError):
        return None
    if count < 1 or memory < 1:
        return None
    major, minor = (
        node.get("nvidia.com/cuda.compute.major"),
        node.get("nvidia.com/cuda.compute.minor"),
    )
    known = major is not None and minor is not None and (major + minor).isdecimal()
    return Gpus(
        product=node.get(labels.GPU_PRODUCT, "NVIDIA GPU"),
        count=count,
        # The label gives MiB of one GPU, a little less than what is printed on the box.
        memory_gib=count * round(memory / MIB_PER_GIB),
        compute_capability=float(f"{major}.{minor}") if known else None,
    )


def slice_of(profile: str, gpus: Gpus) -> Gpus | None:
    """One MIG slice of a GPU as a GPU of its own; None for what is no profile such as 3g.40gb."""
    match = SLICE.fullmatch(profile)
    if match is None:
        return None
    return Gpus(
        product=f"{gpus.product} slice {profile}",
        count=1,
        memory_gib=float(match["memory"]),
        compute_capability=gpus.compute_capability,
    )
