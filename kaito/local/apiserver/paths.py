"""Request paths: which resource, object and verb a request is about."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from kaito.local.apiserver.http import Query


@dataclass(frozen=True, slots=True)
class Target:
    """What a path under /api or /apis names. `rest` is what follows a proxy subresource."""

    group: str
    version: str
    namespace: str
    plural: str
    name: str
    subresource: str
    rest: str
    watching: bool

    def verb(self, method: str, query: Query) -> str:
        """The authorization verb of a request."""
        if self.watching:
            return "watch"
        match method:
            case "POST":
                return "create"
            case "PUT":
                return "update"
            case "PATCH":
                return "patch"
            case "DELETE":
                return "delete" if self.name else "deletecollection"
        if self.name:
            return "get"
        return "watch" if query.flag("watch") else "list"


def target(path: str) -> Target | None:
    """The target of a resource path; None where a path is not of that form."""
    parts = unquote(path).split("/")[1:]
    if parts and parts[-1] == "":
        parts.pop()
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watching = rest[0] == "watch" and len(rest) > 1
    if watching:
        rest = rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        if len(rest) > 2 and rest[2] not in {"status", "finalize"}:
            namespace, rest = rest[1], rest[2:]
        elif (group == "" and len(rest) == 2) or rest[2:] in (["status"], ["finalize"]):
            pass
    plural, name = rest[0], rest[1] if len(rest) > 1 else ""
    sub = rest[2] if len(rest) > 2 else ""
    tail = ""
    if sub == "proxy":
        tail = path.split("/proxy", 1)[1]
    elif len(rest) > 3:
        return None
    return Target(group, version, namespace, plural, name, sub, tail, watching)
