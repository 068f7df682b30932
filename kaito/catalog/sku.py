"""GPUs: those of a node size that a cloud offers, those that a node says it has, a slice of one.

A value that nobody could cite is None, and `unknown` says why: see docs/skus.md.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

Vendor: TypeAlias = Literal["nvidia", "amd", "aws"]
Architecture: TypeAlias = Literal["amd64", "arm64"]

MIB_PER_GIB = 1024
BFLOAT16_SINCE = 8.0  # NVIDIA compute capability

# What NVIDIA GPUs compute in, by the compute capability that brought it: half precision arithmetic
# and, from 7.5 on, inputs of tensor cores. CUDA Programming Guide 13.2, appendix Compute
# Capabilities.
DTYPES_SINCE: tuple[tuple[float, str], ...] = (
    (0.0, "float32"),
    (5.3, "float16"),
    (7.5, "int8"),
    (BFLOAT16_SINCE, "bfloat16"),
    (8.9, "fp8"),
    (10.0, "fp4"),
)

# The share of a GPU's memory that the engine may take. A10 leaves less to others' contexts.
MEMORY_SHARE = 0.84
A10_MEMORY_SHARE = 0.82

# The profiles of slices (MIG), by product and GiB of one GPU: the list that upstream accepts, which
# leaves out those with media extensions. NVIDIA Multi-Instance GPU User Guide, Supported MIG
# Profiles.
SLICES: Mapping[tuple[str, int], tuple[str, ...]] = {
    ("NVIDIA A30", 24): ("1g.6gb", "2g.12gb", "4g.24gb"),
    ("NVIDIA A100", 40): ("1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
    ("NVIDIA A100", 80): ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    ("NVIDIA H100", 80): ("1g.10gb", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    ("NVIDIA H100", 94): ("1g.12gb", "1g.24gb", "2g.24gb", "3g.47gb", "4g.47gb", "7g.94gb"),
    ("NVIDIA GH200", 96): ("1g.12gb", "1g.24gb", "2g.24gb", "3g.48gb", "4g.48gb", "7g.96gb"),
    ("NVIDIA H200", 141): ("1g.18gb", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
    ("NVIDIA B200", 180): ("1g.23gb", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"),
}
ROUNDING_GIB = 1  # between what is printed on a GPU and what a cloud or a node says it has
PROFILES = frozenset(profile for profiles in SLICES.values() for profile in profiles)

# What says a node's compute capability: GPU feature discovery, and what upstream reads instead.
_CAPABILITY_LABELS = ("nvidia.com/gpu.compute", "nvidia.com/cuda.compute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """The accelerators of one node, all alike."""

    product: str
    """What their maker calls them, such as NVIDIA A100."""
    count: int
    memory_gib: float
    """Of all of them together; 0 when nobody knows."""
    vendor: Vendor = "nvidia"
    compute_capability: float | None = None
    part: Fraction = Fraction(1)
    """How much of a GPU each of them is, where a cloud cuts GPUs up; `count` and `memory_gib` are
    of the parts."""

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

    @property
    def dtypes(self) -> tuple[str, ...] | None:
        """What they compute in without emulation; None where the capability is not known."""
        capability = self.compute_capability
        if capability is None:
            return None
        return tuple(dtype for since, dtype in DTYPES_SINCE if capability >= since)

    @property
    def slices(self) -> tuple[str, ...]:
        """The MIG profiles that one of them can be cut into; empty where we know of none."""
        for (product, gib), profiles in SLICES.items():
            if product == self.product and abs(gib - self.each_gib) <= ROUNDING_GIB:
                return profiles
        return ()

    def __str__(self) -> str:
        part = "" if self.part == 1 else f"{self.part} "
        memory = f"{self.memory_gib:g} GiB" if self.memory_gib else "memory not known"
        return f"{self.count} x {part}{self.product} ({memory})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a cloud lists for an hour of one node: Linux, paid as it runs, no discount."""

    usd_per_hour: float
    region: str
    date: datetime.date
    """The day the list was read."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sku:
    """A node size that a cloud offers or offered."""

    name: str
    """What the cloud calls it today."""
    aliases: tuple[str, ...] = ()
    """Other names that the cloud gives or gave it."""
    cloud: str
    gpus: Gpus
    vcpus: int
    ram_gib: int
    """Memory of the node."""
    nvme_gib: int = 0
    """Of all its own NVMe disks together; 0 when it has none."""
    architecture: Architecture = "amd64"
    price: Price | None = None
    retired: datetime.date | None = None
    """The day from which the cloud offers it no more; None while it announced none."""
    source: str
    date: datetime.date
    """The day of the source."""
    unknown: str | None = None
    """Why fields are None, where they are."""

    @property
    def nvme(self) -> bool:
        """Whether it has NVMe disks of its own."""
        return self.nvme_gib > 0


def gpus_of_node(node: Mapping[str, str]) -> Gpus | None:
    """The GPUs that a node's labels tell of (NVIDIA feature discovery); None when they do not."""
    # Imported here: it loads pydantic, which nobody needs who reads the tables alone.
    from kaito.api import labels

    try:
        count = int(node[labels.GPU_COUNT])
        memory = int(node[labels.GPU_MEMORY])
    except (KeyError, ValueError):
        return None
    if count < 1 or memory < 1:
        return None
    return Gpus(
        product=node.get(labels.GPU_PRODUCT, "NVIDIA GPU"),
        count=count,
        # The label gives MiB of one GPU, a little less than what is printed on the box.
        memory_gib=count * round(memory / MIB_PER_GIB),
        compute_capability=_capability(node),
    )


def _capability(node: Mapping[str, str]) -> float | None:
    for label in _CAPABILITY_LABELS:
        version = node.get(f"{label}.major", ""), node.get(f"{label}.minor", "")
        if all(number.isascii() and number.isdecimal() for number in version):
            return float(".".join(version))
    return None


def slice_of(profile: str, gpus: Gpus) -> Gpus | None:
    """One MIG slice of a GPU as a GPU of its own; None for what is no profile such as 3g.40gb."""
    if profile not in PROFILES:
        return None
    _, memory = profile.removesuffix("gb").split(".")
    return Gpus(
        product=f"{gpus.product} slice {profile}",
        count=1,
        memory_gib=float(memory),
        vendor=gpus.vendor,
        compute_capability=gpus.compute_capability,
    )
