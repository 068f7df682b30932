"""Names of images and artifacts in registries. Pure.

Grammar: github.com/distribution/reference as of its reference.go, and Docker's own shorthands: no
host is Docker Hub, no tag is `latest`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HUB, HUB_ADDRESS = "docker.io", "registry-1.docker.io"
HUB_NAMES = frozenset({HUB, HUB_ADDRESS, "index.docker.io"})
HOST = re.compile(
    r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
)
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
LONGEST = 255  # characters of a repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image or artifact."""

    text: str
    """As it was written."""
    host: str
    repository: str
    tag: str
    """"" where a digest stands without one."""
    digest: str = ""

    @property
    def wanted(self) -> str:
        """What is asked for: the digest, which nobody can move, before the tag."""
        return self.digest or self.tag

    @property
    def base(self) -> str:
        """Where the registry answers about the repository."""
        host = HUB_ADDRESS if self.host in HUB_NAMES else self.host
        return f"https://{host}/v2/{self.repository}"

    def blob(self, digest: str) -> str:
        """The URL of a blob."""
        return f"{self.base}/blobs/{digest}"

    def manifest(self, wanted: str) -> str:
        """The URL of a manifest, by tag or digest."""
        return f"{self.base}/manifests/{wanted}"


def parse(text: str) -> Reference:
    """ValueError, with what is wrong as a sentence's end, when it is no reference."""
    name, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise ValueError("what follows @ is no sha256 digest")
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost" or head.startswith("[")):
        host, path = head, rest
    else:
        host, path = HUB, name
    path, colon, tag = _tagged(path)
    if colon and not TAG.fullmatch(tag):
        raise ValueError("its tag is none")
    if not HOST.fullmatch(host):
        raise ValueError("its host is none")
    if host in HUB_NAMES and "/" not in path:
        path = f"library/{path}"
    # The length comes first: the grammar can be matched in more ways than one.
    if len(path) > LONGEST or not REPOSITORY.fullmatch(path):
        raise ValueError("its repository is none: names are of lower-case letters and digits")
    return Reference(
        text=text,
        host=host,
        repository=path,
        tag=tag or ("" if digest else "latest"),
        digest=digest,
    )


def _tagged(path: str) -> tuple[str, str, str]:
    head, slash, last = path.rpartition("/")
    name, colon, tag = last.partition(":")
    return f"{head}{slash}{name}", colon, tag
