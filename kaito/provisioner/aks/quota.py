"""Numbers out of Azure's words about a quota: limit, usage, what is missing, of what and where.

Resource Manager, Compute and AKS each have their own wording, and none of them is documented as
an interface: whatever is not recognised stays unknown, and nothing is guessed.
"""

from __future__ import annotations

import re

from kaito.provisioner.failure import Quota, one_line

# At most nine digits: what is longer is no number of cores.
_NUMBERS = {
    "limit": r"\b(?:current limit|maximum allowed)\s*:\s*(\d{1,9})\b",
    "used": r"\b(?:current usage|current in use)\s*:\s*(\d{1,9})\b",
    "needed": r"\b(?:additional (?:required|requested)\s*:|quota requested|requested quota)"
    r"\s*(\d{1,9})\b",
    "raise_to": r"\bnew limit required\s*:\s*(\d{1,9})\b",
    "left": r"\b(?:remaining|left regional vcpu quota)\s*:?\s*(\d{1,9})\b",
}
_NAMES = (
    r"\bexceeding approved (.{1,100}?)\s+quota\b",
    r"\bfor family\s+'?([\w-]{1,100})",
    r"\bquota limits of\s+'?([\w-]{1,100})",
)
_PLACES = (r"\blocation\s*:?\s+'?([A-Za-z0-9]{2,40})\b", r"\bfor region\s+'?([A-Za-z0-9]{2,40})\b")
# What counts the machines in a name, and is no part of it.
_UNIT = re.compile(r"\s+(?:cores|vcpus)$", re.IGNORECASE)


def read_quota(words: str) -> Quota:
    """What the words say."""
    found = {name: _number(pattern, words) for name, pattern in _NUMBERS.items()}
    limit, used, needed = found["limit"], found["used"], found["needed"]
    if found["left"] is None and limit is not None and used is not None:
        found["left"] = max(0, limit - used)
    if found["raise_to"] is None and used is not None and needed is not None:
        found["raise_to"] = used + needed
    name = _UNIT.sub("", one_line(_first(_NAMES, words), 100))
    return Quota(name=name, location=_first(_PLACES, words).lower(), **found)


def _number(pattern: str, words: str) -> int | None:
    match = re.search(pattern, words, re.IGNORECASE | re.ASCII)
    return int(match[1]) if match else None


def _first(patterns: tuple[str, ...], words: str) -> str:
    found = (re.search(pattern, words, re.IGNORECASE | re.ASCII) for pattern in patterns)
    return next((match[1] for match in found if match), "")
