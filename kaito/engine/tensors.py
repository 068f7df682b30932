"""Files of weights: whether one is whole, as far as its beginning tells."""

from __future__ import annotations

import json
import struct
from pathlib import Path

LONGEST_HEADER = 100 * 1024**2  # bytes; safetensors' own bound


def torn(weights: Path) -> str:
    """Why a file is not whole, as the end of a sentence; "" where it is."""
    size = weights.stat().st_size
    if weights.suffix != ".safetensors":
        return "" if size else f"has an empty {weights.name}"
    with weights.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(LONGEST_HEADER, size - 8):
            return f"has an {weights.name} that is cut off"
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = max(int(each["data_offsets"][1]) for each in header.values())
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return f"has an {weights.name} that is damaged or empty"
    return "" if end + 8 + length == size else f"has an {weights.name} that is cut off"
