"""How much a pod has written into volumes that are limited."""

from __future__ import annotations

import os
from pathlib import Path

from kaito.local.apiserver.quantity import value
from kaito.runtime import Object

LOOK_SECONDS = 1.0  # between two looks; a kubelet takes ten


def limits(pod: Object) -> dict[str, str]:
    """The sizes that emptyDir volumes may have, by volume."""
    return {
        volume["name"]: str(volume["emptyDir"]["sizeLimit"])
        for volume in pod["spec"].get("volumes") or ()
        if (volume.get("emptyDir") or {}).get("sizeLimit")
    }


def exceeded(pod: Object, volumes: Path) -> str:
    """Why a pod has to be evicted, in the words of a kubelet; "" while it need not."""
    for name, limit in limits(pod).items():
        if _size(volumes / name) > value(limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    return ""


def _size(directory: Path) -> int:
    """The bytes of all files below; what goes meanwhile counts as gone, links as nothing."""
    total = 0
    for top, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_size
            except OSError:
                continue
    return total
