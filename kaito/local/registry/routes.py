"""Which request means what: paths of the distribution specification, below /v2/."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote

from kaito.local.registry.errors import Code, RegistryError
from kaito.local.registry.names import Digest, Repository, Tag, digest, reference, repository

MOUNT = "/v2/"


@dataclass(frozen=True, slots=True)
class Base:
    """Whether this is a registry, and whether we are let in."""


@dataclass(frozen=True, slots=True)
class Token:
    """Where tokens are had."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All repositories."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a repository."""

    repository: Repository


@dataclass(frozen=True, slots=True)
class OneManifest:
    """A manifest by its tag or digest."""

    repository: Repository
    reference: Tag | Digest


@dataclass(frozen=True, slots=True)
class OneBlob:
    """A content by its digest."""

    repository: Repository
    digest: Digest


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads of a repository, or one of them; `id` is "" for a new one."""

    repository: Repository
    id: str


@dataclass(frozen=True, slots=True)
class Referrers:
    """What says of itself to be about a manifest."""

    repository: Repository
    subject: Digest


Route: TypeAlias = Base | Token | Catalog | Tags | OneManifest | OneBlob | Uploads | Referrers

# Names of repositories may look like any of the words: the last one on the path counts.
_IN_REPOSITORY = re.compile(
    r"(?P<name>.+)/(?:"
    r"(?P<tags>tags/list)"
    r"|manifests/(?P<manifest>[^/]+)"
    r"|blobs/uploads(?:/(?P<upload>[^/]*))?"
    r"|blobs/(?P<blob>[^/]+)"
    r"|referrers/(?P<subject>[^/]+))"
)
_ALONE: dict[str, Route] = {"": Base(), "token": Token(), "_catalog": Catalog()}


def route(path: str) -> Route:
    """What a path below MOUNT names. RegistryError for names that nothing can have, and
    NAME_INVALID for any other path."""
    # Bytes that are no text arrive as lone surrogates; no name has them.
    rest = unquote(path.removeprefix(MOUNT).encode(errors="replace").decode())
    if rest in _ALONE:
        return _ALONE[rest]
    match = _IN_REPOSITORY.fullmatch(rest)
    if match is None:
        raise RegistryError(Code.NAME_INVALID, "nothing is served at this path", status=404)
    name = repository(match["name"])
    if match["tags"]:
        return Tags(name)
    if match["manifest"]:
        return OneManifest(name, reference(match["manifest"]))
    if match["blob"]:
        return OneBlob(name, digest(match["blob"]))
    if match["subject"]:
        return Referrers(name, digest(match["subject"]))
    return Uploads(name, match["upload"] or "")
