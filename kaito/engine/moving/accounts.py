"""Accounts at registries, as `docker login` and Secrets for images write them down.

No program that keeps passwords elsewhere is called (credsStore, credHelpers).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from kaito.engine.moving.reference import HUB_NAMES, Reference

LARGEST = 1024 * 1024  # bytes, as of a Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody at a registry."""

    user: str
    password: str = field(repr=False)


def accounts(files: Sequence[Path], reference: Reference) -> list[Account]:
    """The accounts of these files for a registry, in the order of the files; the one for the
    longest part of the repository's name first. ValueError names a file that is none."""
    found: list[Account] = []
    for file in files:
        for each in _of_file(file, reference):
            if each not in found:
                found.append(each)
    return found


def _of_file(file: Path, reference: Reference) -> list[Account]:
    try:
        said = json.loads(file.read_bytes()[:LARGEST])
        entries = said.get("auths", {})
        known = {
            key: account
            for key, entry in entries.items()
            if (account := _account(entry)) is not None
        }
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is no docker configuration ({type(error).__name__})") from error
    fitting = [(key, account) for key, account in known.items() if _fits(key, reference)]
    return [account for _, account in sorted(fitting, key=lambda pair: -len(pair[0]))]


def _account(entry: Mapping[str, Any]) -> Account | None:
    user, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        pair = base64.b64decode(entry["auth"]).decode()
        user, _, password = pair.partition(":")
    # Docker puts a NUL behind some.
    user, password = str(user), str(password).rstrip("\0")
    return Account(user=user, password=password) if user and password else None


def _fits(key: str, reference: Reference) -> bool:
    """Whether a key is for the registry: a host, a pattern of hosts, a host with a path, a URL."""
    plain = key.partition("://")[2] or key
    host, _, path = plain.rstrip("/").partition("/")
    for version in ("v1", "v2"):
        path = "" if path == version else path
    theirs = set(_names(reference))
    if not any(fnmatchcase(name, host.lower()) for name in theirs):
        return False
    return not path or f"{reference.repository}/".startswith(f"{path}/")


def _names(reference: Reference) -> Iterator[str]:
    yield reference.host.lower()
    if reference.host in HUB_NAMES:
        yield from HUB_NAMES
