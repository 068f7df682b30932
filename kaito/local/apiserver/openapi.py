"""OpenAPI v3: the index of group versions and one document for each, built when asked for."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from kaito.local.apiserver.custom.shapes import VersionShape
from kaito.local.apiserver.http import JSON, Request, Response
from kaito.local.apiserver.jsontext import encode, parse_json
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.openapi_text import (
    API_VERSION,
    DRY_RUN,
    FIELD_MANAGER,
    FIELD_VALIDATION,
    FORCE,
    KIND,
    LIST_META,
    OBJECT_META,
    RESOURCE_VERSION,
)
from kaito.local.apiserver.schema import Field, Node, TypeTable
from kaito.local.apiserver.status import no_page
from kaito.local.apiserver.typed import go_name

Object = dict[str, Any]
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
VERSION = re.compile(r"V\d+((alpha|beta)\d+)?")
ANY = "Any JSON value."
FIELDS_V1 = "A set of fields as a trie of JSON objects; an empty object stands for a leaf."
INDEX_TYPE = "text/plain; charset=utf-8"
REF = "#/components/schemas/"
SCALARS: dict[str, Object] = {
    "s": {"type": "string"},
    "b": {"type": "boolean"},
    "i32": {"type": "integer", "format": "int32"},
    "i64": {"type": "integer", "format": "int64"},
    "f": {"type": "number", "format": "double"},
    "B": {"type": "string", "format": "byte"},
    "t": {"type": "string", "format": "date-time"},
    "mt": {"type": "string", "format": "date-time"},
    "q": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "ios": {"oneOf": [{"type": "string"}, {"type": "integer"}], "format": "int-or-string"},
}


class OpenApi:
    """Answers /openapi/v3 and below."""

    def __init__(self, kinds: Kinds, types: TypeTable) -> None:
        self._kinds = kinds
        self._types = types
        self._documents: dict[str, tuple[int, bytes]] = {}

    def answer(self, request: Request, parts: list[str]) -> Response:
        """Raises PlainError for a group version that is not served."""
        if not parts:
            return self._index()
        path = "/".join(parts)
        known = {self._path(g, v): (g, v) for g, vs in self._kinds.groups().items() for v in vs}
        if path not in known:
            raise no_page()
        body = self._document(path, *known[path])
        tag = _hash(body)
        headers = {"content-type": JSON, "etag": f'"{tag}"', "vary": "Accept"}
        if request.parameters().get("hash"):
            headers["cache-control"] = "public, immutable"
        return Response(200, headers, body)

    def schemas(self) -> Object:
        """The schemas of every group version together."""
        found: Object = {}
        for group, versions in self._kinds.groups().items():
            for version in versions:
                document = parse_json(self._document(self._path(group, version), group, version))
                found |= document["components"]["schemas"]
        return found

    def _index(self) -> Response:
        paths = {}
        for group, versions in self._kinds.groups().items():
            for version in versions:
                path = self._path(group, version)
                tag = _hash(self._document(path, group, version))
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={tag}"}
        return Response(200, {"content-type": INDEX_TYPE}, encode({"paths": paths}))

    @staticmethod
    def _path(group: str, version: str) -> str:
        return f"apis/{group}/{version}" if group else f"api/{version}"

    def _document(self, path: str, group: str, version: str) -> bytes:
        known = self._documents.get(path)
        if known is not None and known[0] == self._kinds.generation:
            return known[1]
        schemas: Object = {}
        paths: Object = {}
        custom = False
        for kind in self._kinds.of(group, version):
            custom = custom or kind.custom
            name = self._add(kind, schemas)
            self._operations(kind, name, paths)
        title = "Kubernetes CRD Swagger" if custom else "Kubernetes"
        body = encode(
            {
                "openapi": "3.0.0",
                "info": {"title": title, "version": "v0.1.0" if custom else "v1.36.0"},
                "paths": paths,
                "components": {"schemas": schemas},
            }
        )
        self._documents[path] = (self._kinds.generation, body)
        return body

    def _add(self, kind: Kind, schemas: Object) -> str:
        """Add a kind and its list; gives the schema's name."""
        if kind.custom:
            return self._add_custom(kind, schemas)
        name = self._model(kind.model, kind)
        self._build(kind.model, name, schemas)
        if name in schemas:
            schemas[name]["x-kubernetes-group-version-kind"] = [_gvk(kind)]
        schemas[name + "List"] = self._list(kind, name)
        self._build("V1ListMeta", META + "ListMeta", schemas)
        return name

    @staticmethod
    def _model(model: str, kind: Kind | None = None) -> str:
        if kind is None:
            version = VERSION.search(model)
            named = version.group().lower() if version else "v1"
            return f"io.k8s.api.core.{named}.{go_name(model)}"
        group = kind.group.partition(".")[0] or "core"
        return f"io.k8s.api.{group}.{kind.version}.{go_name(model)}"

    def _build(self, model: str, name: str, schemas: Object) -> None:
        if name in schemas or (model not in self._types):
            if name not in schemas:
                schemas[name] = {"type": "object"}
            return
        node = self._types.node(model)
        found: Object = {"type": "object"}
        schemas[name] = found
        properties = {n: self._field(f, schemas) for n, f in node.fields.items()}
        if "fieldsV1" in properties:
            properties["fieldsV1"] = {"allOf": [{"$ref": REF + META + "FieldsV1"}]}
            schemas[META + "FieldsV1"] = {"type": "object", "description": FIELDS_V1}
        found["properties"] = properties
        needed = [n for n, f in node.fields.items() if f.required]
        if needed:
            found["required"] = needed
        if node.atomic:
            found["x-kubernetes-map-type"] = "atomic"

    def _field(self, field: Field, schemas: Object) -> Object:
        found = self._type(field.node, schemas)
        if field.strategy:
            found["x-kubernetes-patch-strategy"] = ",".join(field.strategy)
        if field.merge_key:
            found["x-kubernetes-patch-merge-key"] = field.merge_key
        return found

    def _type(self, node: Node, schemas: Object) -> Object:
        match node.form:
            case "scalar":
                return dict(SCALARS[node.scalar])
            case "list":
                assert node.element is not None
                found: Object = {"type": "array", "items": self._type(node.element, schemas)}
                if node.relation != "atomic" or node.keys:
                    found["x-kubernetes-list-type"] = node.relation
                if node.keys:
                    found["x-kubernetes-list-map-keys"] = list(node.keys)
                return found
            case "map":
                assert node.element is not None
                return {"type": "object", "additionalProperties": self._type(node.element, schemas)}
            case "struct":
                name = (
                    META + "ObjectMeta" if node.name == "V1ObjectMeta" else self._model(node.name)
                )
                self._build(node.name, name, schemas)
                return {"allOf": [{"$ref": REF + name}], "default": {}}
        return {"description": ANY}

    def _add_custom(self, kind: Kind, schemas: Object) -> str:
        prefix = ".".join(reversed(kind.group.split(".")))
        name = f"{prefix}.{kind.version}.{kind.kind}"
        assert isinstance(kind.shape, VersionShape)
        found = published(kind.shape.schema.schema)
        properties = found.setdefault("properties", {})
        properties["apiVersion"] = {"type": "string", "description": API_VERSION}
        properties["kind"] = {"type": "string", "description": KIND}
        properties["metadata"] = {
            "allOf": [{"$ref": REF + META + "ObjectMeta"}],
            "description": OBJECT_META,
        }
        found["x-kubernetes-group-version-kind"] = [_gvk(kind)]
        schemas[name] = found
        schemas[f"{prefix}.{kind.version}.{kind.list_kind}"] = self._list(kind, name)
        self._build("V1ObjectMeta", META + "ObjectMeta", schemas)
        self._build("V1ListMeta", META + "ListMeta", schemas)
        return name

    @staticmethod
    def _list(kind: Kind, name: str) -> Object:
        return {
            "type": "object",
            "description": f"{kind.list_kind} is a list of {kind.kind}",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string", "description": API_VERSION},
                "kind": {"type": "string", "description": KIND},
                "metadata": {
                    "allOf": [{"$ref": REF + META + "ListMeta"}],
                    "description": LIST_META,
                },
                "items": {
                    "type": "array",
                    "items": {"$ref": REF + name},
                    "description": f"List of {kind.plural}. More info: https://git.k8s.io/"
                    "community/contributors/devel/sig-architecture/"
                    "api-conventions.md",
                },
            },
            "x-kubernetes-group-version-kind": [{**_gvk(kind), "kind": kind.list_kind}],
        }

    def _operations(self, kind: Kind, name: str, paths: Object) -> None:
        base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        if kind.namespaced:
            base += "/namespaces/{namespace}"
        every, one = f"{base}/{kind.plural}", f"{base}/{kind.plural}/{{name}}"
        content = {m: {"schema": {"$ref": REF + name}} for m in (JSON, "application/yaml")}
        patches = {
            m: {"schema": {"$ref": REF + META + "Patch"}}
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
            there["get"] = _operation(
                kind, f"list objects of kind {kind.kind}", "list", [], content
            )
        if "create" in kind.verbs:
            there["post"] = _operation(
                kind, f"create {_article(kind.kind)} {kind.kind}", "post", writes, content, content
            )
        for path, operations in ((every, there), (one, here)):
            if operations:
                names = ["namespace"] * kind.namespaced + ["name"] * (path == one)
                operations["parameters"] = [
                    {
                        "name": n,
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "uniqueItems": True},
                    }
                    for n in names
                ]
                paths[path] = operations


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
        "x-kubernetes-group-version-kind": _gvk(kind),
    }
    if body is not None:
        found["requestBody"] = {"content": body, "required": True}
    return found


def _gvk(kind: Kind) -> Object:
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


def published(schema: Any) -> Any:
    """A schema as the document shows it: what OpenAPI v3 knows, int-or-string spelled out."""
    if not isinstance(schema, dict):
        return schema
    found: Object = {}
    for name, value in schema.items():
        if name == "properties":
            found[name] = {k: published(v) for k, v in value.items()}
        elif name in {"items", "additionalProperties", "not"}:
            found[name] = published(value)
        elif name in {"allOf", "anyOf", "oneOf"}:
            found[name] = [published(v) for v in value]
        else:
            found[name] = value
    if schema.get("x-kubernetes-int-or-string") and "anyOf" not in found:
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return found


def _hash(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()
