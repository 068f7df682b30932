"""Names that fit."""

from __future__ import annotations

import hashlib

LABEL_LENGTH = 63  # of a label value and of a DNS label: Services, hosts, Jobs through their pods
DIGITS = 8  # of the hash; two of a million names collide with a probability of one in ten thousand


def fitting_name(name: str, *, limit: int = LABEL_LENGTH) -> str:
    """`name` itself where it fits into `limit` characters, else its beginning and a hash of it.

    Always the same for the same name, and another for another. ValueError for a limit that leaves
    no room for a beginning.
    """
    if limit < DIGITS + 2:
        raise ValueError(f"A limit of {limit} characters leaves no room; take {DIGITS + 2} or more")
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:DIGITS]
    # A part of a name may not end in a sign.
    return f"{name[: limit - DIGITS - 1].rstrip('-._')}-{digest}"
