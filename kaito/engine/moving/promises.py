"""What is said of a file's digest before it arrives, and whether that is kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

CHUNK = 1024 * 1024  # bytes read at once
# What RFC 9530 and RFC 3230 call them, and hashlib. Weaker ones of these fields are not heeded.
ALGORITHMS = {"sha-256": ("sha256", 64), "sha-512": ("sha512", 128)}  # and hex digits
MD5_DIGITS = 32
FIELD = re.compile(r"([a-z0-9-]+)=:?([A-Za-z0-9+/]+={0,2}):?")
FRAGMENT = re.compile(r"sha256[=:]([0-9a-f]{64})")
HUB_LINKED = re.compile(r'"?([0-9a-f]{64})"?')


def of_fragment(url: str) -> dict[str, str]:
    """The digest that a URL asks for itself: #sha256=HEX. ValueError for a fragment that begins so
    and is none."""
    fragment = urlsplit(url).fragment.lower()
    if not fragment.startswith(("sha256=", "sha256:")):
        return {}
    found = FRAGMENT.fullmatch(fragment)
    if found is None:
        raise ValueError(fragment)
    return {"sha256": found[1]}


def of_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Digests of the whole file that an answer names, by algorithm, in hex.

    Repr-Digest (RFC 9530), Digest (RFC 3230), Content-MD5 of an answer with the whole file, and
    X-Linked-Etag, which Hugging Face's redirects have.
    """
    found: dict[str, str] = {}
    for name in ("Digest", "Repr-Digest"):
        for algorithm, value in FIELD.findall(headers.get(name, "").replace("SHA", "sha")):
            ours, digits = ALGORITHMS.get(algorithm, ("", 0))
            if ours and len(_hex(value)) == digits:
                found[ours] = _hex(value)
    linked = HUB_LINKED.fullmatch(headers.get("X-Linked-Etag", ""))
    if linked:
        found["sha256"] = linked[1]
    md5 = _hex(headers.get("Content-MD5", ""))
    if "Content-Range" not in headers and len(md5) == MD5_DIGITS:
        found["md5"] = md5
    return found


def broken(path: Path, promised: Mapping[str, str]) -> str:
    """The first algorithm whose digest of a file is another one, "" where all are kept."""
    for algorithm, wanted in promised.items():
        if digest(path, algorithm) != wanted:
            return algorithm
    return ""


def digest(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file, in hex."""

    # One of them is md5, which finds what was damaged on the way and nothing else.
    def new() -> hashlib._Hash:
        return hashlib.new(algorithm, usedforsecurity=False)

    with path.open("rb") as file:
        return hashlib.file_digest(file, new).hexdigest()


def _hex(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""
