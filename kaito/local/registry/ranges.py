"""Parts of contents: which one a request asks for, and whether a chunk continues an upload."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kaito.local.registry.errors import Code, RegistryError

# No content has more bytes than eighteen digits count.
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d{1,18})-(\d{1,18})(?:/\S*)?")


def asked_range(header: str, size: int) -> tuple[int, int]:
    """Where to begin, and how many bytes. RegistryError RANGE_INVALID when there are none such; a
    header that is none, or asks for several ranges, asks for everything (RFC 9110)."""
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return 0, size
    if not match[1]:
        length = min(int(match[2]), size)
        start, end = size - length, size - 1
    else:
        start, end = int(match[1]), min(int(match[2] or size), size - 1)
    if start >= size or (match[2] and match[1] and int(match[2]) < start) or end < start:
        headers = {"content-range": f"bytes */{size}"}
        raise RegistryError(Code.RANGE_INVALID, {"range": header[:64]}, headers=headers)
    return start, end - start + 1


def check_chunk(headers: Mapping[str, str], size: int, state: Mapping[str, str]) -> None:
    """RegistryError RANGE_INVALID when a chunk does not begin where its upload of `size` bytes
    ends; `state` are the headers that tell the client how far it is."""
    header = headers.get("content-range", "")
    if not header:
        return
    match = _CONTENT_RANGE.fullmatch(header.strip())
    length = headers.get("content-length", "")
    if match is not None:
        start, end = int(match[1]), int(match[2])
        fits = not length.isdigit() or end - start + 1 == int(length)
        if start == size and end >= start and fits:
            return
    detail = {"content-range": header[:64], "size": size}
    raise RegistryError(Code.RANGE_INVALID, detail, headers=state)
