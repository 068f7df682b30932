"""What fetched files are called, and how a URL is shown without its secrets. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

LONGEST = 120  # characters; file systems take 255 bytes, and a number may be put before it
UNKNOWN = "data"
UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")


def shown(url: str) -> str:
    """A URL for a message: without user, password, query and fragment, where secrets are."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "a URL that is none"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"[:300]


def file_names(urls: Sequence[str]) -> list[str]:
    """A name for each URL, by its path: safe in any directory, never hidden, and no two alike,
    not even where the case of letters is no difference. The same URLs give the same names."""
    taken: set[str] = set()
    found = []
    for url in urls:
        name = plain = _plain(url)
        number = 2
        while name.lower() in taken:
            name, number = f"{number}-{plain}", number + 1
        taken.add(name.lower())
        found.append(name)
    return found


def _plain(url: str) -> str:
    """The last element of a path, in characters that mean nothing to anybody."""
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        path = ""
    last = unicodedata.normalize("NFKD", path.rstrip("/").rpartition("/")[2])
    safe = UNSAFE.sub("-", last).lstrip(".-").rstrip("-")
    # The end says what format it is in.
    return safe[-LONGEST:].lstrip(".-") or UNKNOWN
