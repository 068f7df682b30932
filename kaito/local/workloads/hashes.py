"""The hashes in the names of what is made from a template, as the real controllers compute them.

A ReplicaSet is named after the text of its template's Go struct, a ControllerRevision after the
JSON that it keeps; both with the number of collisions so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaito.local.apiserver.gojson import by_key, text
from kaito.local.workloads.godump import dump

# The letters of generated names: no vowels, so that no word can come out by chance.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def template_hash(template: Mapping[str, Any], collisions: int | None = None) -> str:
    """The value of the label `pod-template-hash`; a Deployment without a collision has no count."""
    salt = b"" if collisions is None else collisions.to_bytes(8, "little")
    return safe_name(fnv32a(dump(template).encode() + salt))


def revision_hash(data: Mapping[str, Any], collisions: int) -> str:
    """The value of the label `controller.kubernetes.io/hash` of a ControllerRevision."""
    return safe_name(fnv32(f"{text(by_key(data))}{collisions}".encode()))


def safe_name(number: int) -> str:
    """A number as Kubernetes writes it into names: each digit a letter that spells nothing."""
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(number))


def fnv32a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    number = _OFFSET
    for byte in data:
        number = ((number ^ byte) * _PRIME) & _MASK
    return number


def fnv32(data: bytes) -> int:
    """The 32-bit FNV-1 hash."""
    number = _OFFSET
    for byte in data:
        number = (number * _PRIME & _MASK) ^ byte
    return number
