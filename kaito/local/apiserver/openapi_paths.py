"""The paths of OpenAPI v3 documents: what can be asked of each resource."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.http import JSON
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.openapi_text import (
    DRY_RUN,
    FIELD_MANAGER,
    FIELD_VALIDATION,
    FORCE,
    RESOURCE_VERSION,
)

Object = dict[str, Any]
PATCH = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.Patch"


def operations(kind: Kind, reference: str, paths: Object) -> None:
    """Add the paths of a kind whose schema is at `reference`."""
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    if kind.namespaced:
        base += "/namespaces/{namespace}"
    every, one = f"{base}/{kind.plural}", f"{base}/{kind.plural}/{{name}}"
    content = {m: {"schema": {"$ref": reference}} for m in (JSON, "application/yaml")}
    patches = {
        m: {"schema": {"$ref": PATCH}}
        for m in (
            "application/apply-patch+yaml",
            "application/json-patch+json",
            "application/merge-patch+json",
            *(() if kind.custom else ("application/strategic-merge-patch+json",)),
        )
    }
    writes = [DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION]
    here: Object = {}
    there: Object = {}
    if "get" in kind.verbs:
        here["get"] = _operation(
            kind, f"read the specified {kind.kind}", "get", [RESOURCE_VERSION], content
        )
        here["put"] = _operation(
            kind, f"replace the specified {kind.kind}", "put", writes, content, content
        )
        here["patch"] = _operation(
            kind,
            f"partially update the specified {kind.kind}",
            "patch",
            [*writes, FORCE],
            content,
            patches,
        )
        here["delete"] = _operation(
            kind, f"delete {_article(kind.kind)} {kind.kind}", "delete", [DRY_RUN], content
        )
    if "list" in kind.verbs:
        there["get"] = _operation(kind, f"list objects of kind {kind.kind}", "list", [], content)
    if "create" in kind.verbs:
        there["post"] = _operation(
            kind, f"create {_article(kind.kind)} {kind.kind}", "post", writes, content, content
        )
    for path, known in ((every, there), (one, here)):
        if known:
            names = ["namespace"] * kind.namespaced + ["name"] * (path == one)
            known["parameters"] = [
                {
                    "name": n,
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string", "uniqueItems": True},
                }
                for n in names
            ]
            paths[path] = known


def _article(kind: str) -> str:
    return "an" if kind[:1] in "AEIOU" else "a"


def _operation(
    kind: Kind,
    says: str,
    action: str,
    parameters: list[Object],
    answer: Object,
    body: Object | None = None,
) -> Object:
    responses: Object = {"200": {"description": "OK", "content": answer}}
    if action in {"post", "put", "patch"}:
        responses["201"] = {"description": "Created", "content": answer}
    if action == "post":
        responses["202"] = {"description": "Accepted", "content": answer}
    responses["401"] = {"description": "Unauthorized"}
    found: Object = {
        "description": says,
        "operationId": f"{action}{kind.kind}",
        "tags": [kind.group or "core"],
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(kind),
    }
    if body is not None:
        found["requestBody"] = {"content": body, "required": True}
    return found


def gvk(kind: Kind) -> Object:
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}
