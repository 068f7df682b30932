"""Discovery: which groups, versions and resources are served, in the classic and new form."""

from __future__ import annotations

import hashlib
from typing import Any

from kaito.local.apiserver import negotiation
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.rendering import render
from kaito.local.apiserver.status import no_page

Object = dict[str, Any]
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


class Discovery:
    """Answers /api, /apis and /apis/GROUP[/VERSION]."""

    def __init__(self, kinds: Kinds, address: str = "") -> None:
        self._kinds = kinds
        self.address = address

    def answer(self, request: Request, parts: list[str]) -> Response:
        """`parts` are the path's parts after the first slash. Raises StatusError, PlainError."""
        core = parts[0] == "api"
        if len(parts) == 1:
            want = negotiation.discovery(request, routed=core)
            if want.form:
                return self._aggregated(want.form, core=core)
            body: Object = {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [
                    {"clientCIDR": "0.0.0.0/0", "serverAddress": self.address}
                ],
            }
            return render(
                body
                if core
                else {
                    "kind": "APIGroupList",
                    "apiVersion": "v1",
                    "groups": [self._group(g, v) for g, v in self._kinds.groups().items() if g],
                },
                want.media,
            )
        group = "" if core else parts[1]
        version = parts[-1] if core or len(parts) == 3 else ""
        versions = self._kinds.groups().get(group)
        if versions is None or (version and version not in versions):
            raise no_page()
        routed = not any(k.custom for k in self._kinds.of(group, versions[0]))
        media = negotiation.wanted(request, routed=routed, plain=True).media
        if not version:
            known: Object = {"kind": "APIGroup", "apiVersion": "v1"}
            return render({**known, **self._group(group, versions)}, media)
        return render(self._resources(group, version), media)

    @staticmethod
    def _group(group: str, versions: list[str]) -> Object:
        listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
        return {"name": group, "versions": listed, "preferredVersion": listed[0]}

    def _resources(self, group: str, version: str) -> Object:
        found: list[Object] = []
        for kind in self._sorted(group, version):
            entry: Object = {
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": list(verbs(kind)),
            }
            if kind.short_names:
                entry["shortNames"] = list(kind.short_names)
            if kind.categories:
                entry["categories"] = list(kind.categories)
            if "watch" in kind.verbs:
                entry["storageVersionHash"] = kind.storage_hash()
            found.append(entry)
            for name, sub in self._subresources(kind):
                entry = {
                    "name": f"{kind.plural}/{name}",
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "kind": sub.kind,
                    "verbs": list(sub.verbs),
                }
                if sub.group or sub.version:
                    entry["group"], entry["version"] = sub.group, sub.version
                found.append(entry)
        version_text = f"{group}/{version}" if group else version
        body: Object = {"kind": "APIResourceList"}
        if group:
            body["apiVersion"] = "v1"
        return {**body, "groupVersion": version_text, "resources": found}

    def _sorted(self, group: str, version: str) -> list[Kind]:
        found = self._kinds.of(group, version)
        return found if found and found[0].custom else sorted(found, key=lambda k: k.plural)

    @staticmethod
    def _subresources(kind: Kind) -> list[tuple[str, Any]]:
        if kind.custom:
            return sorted(kind.subresources.items(), key=lambda i: i[0] != "status")
        return sorted(kind.subresources.items())

    def _aggregated(self, media: str, *, core: bool) -> Response:
        items = []
        for group, versions in self._kinds.groups().items():
            if bool(group) == core:
                continue
            items.append(
                {
                    "metadata": {"name": group} if group else {},
                    "versions": [self._version(group, v) for v in versions],
                }
            )
        body = encode(
            {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {},
                "items": items,
            }
        )
        tag = hashlib.sha512(body).hexdigest().upper()
        return Response(
            200,
            {
                "content-type": media,
                "etag": f'"{tag}"',
                "vary": "Accept",
                "cache-control": "public",
            },
            body,
        )

    def _version(self, group: str, version: str) -> Object:
        found: list[Object] = []
        for kind in self._sorted(group, version):
            custom = kind.custom
            response = {
                "group": kind.group if custom else "",
                "version": kind.version if custom else "",
                "kind": kind.kind,
            }
            entry: Object = {
                "resource": kind.plural,
                "responseKind": response,
                "scope": "Namespaced" if kind.namespaced else "Cluster",
                "singularResource": kind.singular,
                "verbs": list(verbs(kind)),
            }
            if kind.short_names:
                entry["shortNames"] = list(kind.short_names)
            if kind.categories:
                entry["categories"] = list(kind.categories)
            subs = []
            for name, sub in self._subresources(kind):
                answer = {"group": sub.group, "version": sub.version, "kind": sub.kind}
                if custom and not sub.group:
                    answer = response
                subs.append({"subresource": name, "responseKind": answer, "verbs": list(sub.verbs)})
            if subs:
                entry["subresources"] = subs
            found.append(entry)
        return {"version": version, "resources": found, "freshness": "Current"}


def verbs(kind: Kind) -> tuple[str, ...]:
    return CUSTOM_VERBS if kind.custom else kind.verbs
