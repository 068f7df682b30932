"""Reads kubeconfigs as kubectl does: several files joined, one context chosen, files found.

Pure reading: nothing is connected to and no plugin is run. What a user entry needs beyond a
token, a certificate or a password is left to kubernetes-asyncio (config.py).
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote

import yaml

from kaito.runtime.resource import Object
from kaito.runtime.transport import Headers

Pem: TypeAlias = Path | str
"""PEM text, or the file that holds it and may be replaced while we run."""


class ConfigError(Exception):
    """No usable cluster configuration; the message says what was tried and what to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubeconfig:
    """One context of a kubeconfig. Paths are relative to the file that names them no more."""

    origin: str
    """Which file and context this is, for messages."""
    server: str
    namespace: str = "default"
    authority: Pem | None = None
    tls_server_name: str | None = None
    verify: bool = True
    proxy: str | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    authorization: str | None = None
    """The header's value, where the file itself holds it."""
    token_file: Path | None = None
    impersonation: Headers
    """The Impersonate- headers of `as`, `as-uid`, `as-groups` and `as-user-extra`."""
    plugin: Object | None = None
    """The user entry, where it names an exec plugin or an auth provider."""

    def __repr__(self) -> str:
        return f"Kubeconfig({self.origin})"


def read_kubeconfig(paths: str, *, context: str | None = None) -> Kubeconfig:
    """One context of the kubeconfigs in `paths` (joined by ":"); the current one by default.

    Of several files missing ones are passed over, and where two define the same name the first
    holds. ConfigError when no file is there, one is no kubeconfig, or a name leads nowhere.
    """
    given = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    found = [path for path in given if path.exists()]
    if not found:
        raise ConfigError(f"The kubeconfig {' or '.join(map(str, given))} does not exist.")
    files = [_File(path, _load(path)) for path in found]
    named = ":".join(map(str, found))
    current = context or next((f.text("current-context") for f in files), "")
    if not current:
        raise ConfigError(
            f"The kubeconfig {named} cannot be used: it has no current-context; "
            f"choose one with `kubectl config use-context NAME`."
        )
    _, entry = _find(files, "contexts", current, named)
    cluster_file, cluster = _find(files, "clusters", str(entry.get("cluster", "")), named)
    user_file, user = found[0], Object()
    if entry.get("user"):
        user_file, user = _find(files, "users", str(entry["user"]), named)
    reader = _Reader(f"The kubeconfig {named}, context {current}", cluster_file, user_file)
    return reader.read(entry, cluster, user)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    content: Object

    def text(self, name: str) -> str:
        value = self.content.get(name)
        return value if isinstance(value, str) else ""

    def entries(self, section: str, member: str) -> Iterator[tuple[str, Object]]:
        listed = self.content.get(section)
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                inner = item.get(member)
                yield item["name"], inner if isinstance(inner, dict) else {}


def _load(path: Path) -> Object:
    try:
        content = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise ConfigError(f"The kubeconfig {path} cannot be used: {why}") from error
    if not isinstance(content, dict) or not isinstance(content.get("contexts"), list):
        raise ConfigError(f"The kubeconfig {path} cannot be used: it has no list of contexts.")
    return cast("Object", content)


def _find(files: Sequence[_File], section: str, name: str, named: str) -> tuple[Path, Object]:
    known = []
    for file in files:
        for found, entry in file.entries(section, section.removesuffix("s")):
            if found == name:
                return file.path, entry
            known.append(found)
    raise ConfigError(
        f"The kubeconfig {named} cannot be used: it has no {section.removesuffix('s')} "
        f'"{name}"; it has {", ".join(known) or "none"}.'
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the three entries of a context into a Kubeconfig."""

    origin: str
    cluster_file: Path
    user_file: Path

    def read(self, context: Object, cluster: Object, user: Object) -> Kubeconfig:
        server = self._text(cluster, "server")
        if not server:
            raise ConfigError(f"{self.origin}, names no server for its cluster.")
        token = self._text(user, "token")
        token_file = self._text(user, "tokenFile")
        return Kubeconfig(
            origin=self.origin,
            server=server.rstrip("/"),
            namespace=self._text(context, "namespace") or "default",
            authority=self._pem(cluster, "certificate-authority", self.cluster_file),
            tls_server_name=self._text(cluster, "tls-server-name") or None,
            verify=not cluster.get("insecure-skip-tls-verify"),
            proxy=self._text(cluster, "proxy-url") or None,
            certificate=self._pem(user, "client-certificate", self.user_file),
            key=self._pem(user, "client-key", self.user_file),
            # kubectl's order: a token before its file, both before a password.
            authorization=f"Bearer {token}" if token else self._basic(user),
            token_file=self._path(token_file, self.user_file) if token_file and not token else None,
            impersonation=self._impersonation(user),
            plugin=None if token or token_file else self._plugin(user),
        )

    def _basic(self, user: Object) -> str | None:
        name, password = self._text(user, "username"), self._text(user, "password")
        if not name:
            return None
        return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    def _plugin(self, user: Object) -> Object | None:
        run = user.get("exec")
        if isinstance(run, dict):
            command = self._text(run, "command")
            # As kubectl does: a name is looked up in PATH, a path belongs to the file.
            if os.sep in command:
                return {"exec": {**run, "command": str(self._path(command, self.user_file))}}
            return {"exec": run}
        provider = user.get("auth-provider")
        return {"auth-provider": provider} if isinstance(provider, dict) else None

    def _impersonation(self, user: Object) -> Headers:
        given = user.get("as-user-extra")
        extra = cast("Object", given) if isinstance(given, dict) else {}
        headers: dict[str, str | tuple[str, ...]] = {
            "Impersonate-User": self._text(user, "as"),
            "Impersonate-Uid": self._text(user, "as-uid"),
            "Impersonate-Group": self._texts(user, "as-groups"),
        }
        for name in extra:
            headers[f"Impersonate-Extra-{quote(str(name), safe='')}"] = self._texts(extra, name)
        return {name: value for name, value in headers.items() if value}

    def _texts(self, entry: Object, name: str) -> tuple[str, ...]:
        value: Any = entry.get(name) or ()
        if not (isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)):
            raise ConfigError(f"{self.origin}: {name} must be a list of strings, not {value!r}.")
        return tuple(value)

    def _text(self, entry: Object, name: str) -> str:
        # Any: what a file says may be of any type.
        value: Any = entry.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigError(f"{self.origin}: {name} must be a string, not {value!r}.")
        return value

    def _pem(self, entry: Object, name: str, file: Path) -> Pem | None:
        data, path = self._text(entry, f"{name}-data"), self._text(entry, name)
        if data:
            try:
                return base64.b64decode(data, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"{self.origin}, cannot be used: {name}-data is not base64 of PEM text: {error}"
                ) from error
        return self._path(path, file) if path else None

    def _path(self, path: str, file: Path) -> Path:
        return file.parent / Path(path).expanduser()
