"""What repositories, tags and contents may be called. Nothing else reaches the disk or the index.

Grammar: OCI distribution specification 1.1, "Pulling manifests", and OCI image specification,
"Digests". Of the algorithms for digests sha256 alone is taken.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from kaito.local.registry.errors import Code, RegistryError

Repository = NewType("Repository", str)
Tag = NewType("Tag", str)
Digest = NewType("Digest", str)

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
# Of the name alone; clients count the registry's host in as well.
NAME_LENGTH = 255


def repository(text: str) -> Repository:
    """RegistryError NAME_INVALID when no repository can be called so."""
    # The length comes first: the grammar can be matched in more ways than one.
    if len(text) > NAME_LENGTH or not _REPOSITORY.fullmatch(text):
        raise RegistryError(Code.NAME_INVALID, {"name": text[:NAME_LENGTH]})
    return Repository(text)


def tag(text: str) -> Tag:
    """RegistryError TAG_INVALID when no tag can be called so."""
    if not _TAG.fullmatch(text):
        raise RegistryError(Code.TAG_INVALID, {"tag": text[:NAME_LENGTH]})
    return Tag(text)


def digest(text: object) -> Digest:
    """RegistryError DIGEST_INVALID for what is no sha256 digest."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        detail = {"digest": str(text)[:NAME_LENGTH], "reason": "want sha256: and 64 hex digits"}
        raise RegistryError(Code.DIGEST_INVALID, detail)
    return Digest(text)


def reference(text: str) -> Tag | Digest:
    """A tag or a digest: no tag has a colon."""
    return digest(text) if ":" in text else tag(text)


def content_digest(content: bytes) -> Digest:
    """The digest of a small content."""
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")


def is_digest(name: Tag | Digest) -> bool:
    """Which of both a reference is."""
    return ":" in name
