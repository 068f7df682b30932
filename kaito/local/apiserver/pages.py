"""Pages: the paths that are no resources: health, version, OpenAPI, and the list of them all."""

from __future__ import annotations

from kaito.local.apiserver import negotiation, openapi_v2
from kaito.local.apiserver.http import JSON, Request, Response
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.kinds import Kinds
from kaito.local.apiserver.openapi import OpenApi
from kaito.local.apiserver.pretty import indented
from kaito.local.apiserver.status import PlainError, method_not_allowed, no_page, no_resource

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "local/any",
}
# What a server does once it listens, each a check of its own health.
HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-wait-for-first-sync",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
    "autoregister-completion",
    "apiservice-openapi-controller",
    "apiservice-openapiv3-controller",
)
STARTED = tuple(h if h == "autoregister-completion" else f"poststarthook/{h}" for h in HOOKS)
ALIVE = ("ping", "log", "loopback-serving-certificate", "etcd", *STARTED)
HEALTH = {
    "healthz": ALIVE,
    "livez": ALIVE,
    "readyz": ("ping", "log", "informer-sync", *STARTED, "shutdown"),
}


def is_open(path: str) -> bool:
    """Whether a page is shown to everybody, known or not."""
    return path.split("/")[1] in HEALTH or path in {"/version", "/version/"}


class Pages:
    """Answers every path outside /api and /apis."""

    def __init__(self, kinds: Kinds, openapi: OpenApi) -> None:
        self._kinds = kinds
        self._openapi = openapi

    def answer(self, request: Request) -> Response:
        """Raises StatusError and PlainError."""
        path = request.path
        first, _, rest = path[1:].partition("/")
        if first in HEALTH:
            return self._health(request, first, rest if "/" in path[1:] else None)
        if path in {"/version", "/version/"}:
            if request.method != "GET":
                raise method_not_allowed()
            self._only_json(request)
            return Response(200, {"content-type": JSON}, indented(encode(VERSION)))
        if path in {"/", "/index.html"}:
            return Response.json({"paths": self._paths()})
        if path == "/openapi/v2":
            return openapi_v2.answer(request, self._openapi.schemas())
        if path == "/openapi/v3":
            return self._openapi.answer(request, [])
        if path.startswith("/openapi/v3/"):
            try:
                return self._openapi.answer(request, path.split("/")[3:])
            except PlainError as error:
                raise PlainError(error.code, "") from error
        raise no_resource() if path.startswith("/version/") else no_page()

    @staticmethod
    def _only_json(request: Request) -> None:
        """Raises StatusError (406)."""
        asked = negotiation.clauses(request.headers.get("accept", ""))
        if asked and not any(c.media in {JSON, "*/*"} for c in asked):
            raise negotiation.no_route(JSON)

    def _paths(self) -> list[str]:
        groups = [(g, v) for g, vs in self._kinds.groups().items() if g for v in vs]
        found = {"/api", "/api/v1", "/apis", "/apis/", "/openapi/v2", "/openapi/v3", "/version"}
        found |= {f"/apis/{g}" for g, _ in groups} | {f"/apis/{g}/{v}" for g, v in groups}
        for name, checks in HEALTH.items():
            found |= {f"/{name}", *(f"/{name}/{check}" for check in checks)}
        return sorted(found)

    @staticmethod
    def _health(request: Request, name: str, check: str | None) -> Response:
        checks = HEALTH[name]
        query = request.parameters()
        if check is not None:
            if check not in checks:
                raise no_page()
            return Response(200, {"content-type": "text/plain; charset=utf-8"}, b"ok")
        if "verbose" not in query:
            return Response.text("ok")
        left_out = set(query.all("exclude"))
        lines = [f"[+]{c} excluded: ok\n" if c in left_out else f"[+]{c} ok\n" for c in checks]
        unknown = ", ".join(f'"{c}"' for c in sorted(left_out - set(checks)))
        if unknown:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {unknown}\n")
        return Response.text("".join(lines) + f"{name} check passed\n")
