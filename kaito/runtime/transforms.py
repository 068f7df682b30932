"""Leaving out of a cache what nobody reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from kaito.runtime.cache import Transform

Path: TypeAlias = str | Sequence[str]
"""Names from the top of an object down, "status.images", or as a sequence where one has a dot."""

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def dropping(*paths: Path) -> Transform:
    """A transform that drops the members at `paths`; where there are none it changes nothing.

    Only the objects on the way to a member are taken apart. A path does not lead through lists.
    ValueError for an empty path.
    """
    split = [tuple(path.split(".")) if isinstance(path, str) else tuple(path) for path in paths]
    if not all(path and all(path) for path in split):
        raise ValueError(f"dropping{paths!r}: a path needs names, as in 'status.images'.")

    def transform(body: bytes) -> bytes:
        for path in split:
            body = _without(body, path)
        return body

    return transform


def _without(body: bytes, path: tuple[str, ...]) -> bytes:
    if body[:1] != b"{":
        return body
    members = _decode_members(body)
    name, rest = path[0], path[1:]
    if name not in members:
        return body
    if rest:
        within = bytes(members[name])
        left = _without(within, rest)
        if left == within:
            return body
        members[name] = msgspec.Raw(left)
    else:
        del members[name]
    # An exact copy: see wire.py.
    return memoryview(_encode(members)).tobytes()
