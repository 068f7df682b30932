"""How much memory the engine takes: of GPUs where nobody said it, and of the container. Pure."""

from __future__ import annotations

import math

GIB = 1024**3
# Upstream's figures (kaito.md 5.1): what is left to others on a GPU, the most that is taken of one,
# and what is taken of one that cannot be asked.
LEFT = 600 * 1024**2
MOST = 0.95
UNKNOWN = 0.84


def share(free: int, total: int) -> float:
    """The share of a GPU's memory that the engine may use, of these bytes; two decimals, rounded
    down. 0 where next to nothing is free."""
    if total <= 0:
        return UNKNOWN
    return max(0.0, min(MOST, math.floor((free - LEFT) / total * 100) / 100))


def least(gpus: list[tuple[int, int]]) -> float:
    """The share for all of these GPUs (free and total bytes of each): that of the fullest."""
    return min((share(free, total) for free, total in gpus), default=UNKNOWN)


def container_bytes(limit: str, meminfo: str) -> int:
    """The memory that the container may use: what its control group says (memory.max), or that of
    the machine (/proc/meminfo) where the group has no limit. 0 when neither tells."""
    machine = 0
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            machine = int(line.split()[1]) * 1024
    group = int(limit) if limit.strip().isdigit() else 0
    return min(group, machine) if group and machine else group or machine


def offload_gib(portion: float, available: int) -> float:
    """GiB for parts of the KV cache in the container's memory: this portion of it."""
    return math.floor(portion * available / GIB * 10) / 10
