"""OpenAPI v3: the index of group versions and one document for each, built when asked for."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import Any

from kaito.local.apiserver.custom.shapes import VersionShape
from kaito.local.apiserver.documentation import Documentation
from kaito.local.apiserver.enums import ENUMS
from kaito.local.apiserver.http import JSON, Request, Response
from kaito.local.apiserver.jsontext import encode, parse_json
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.openapi_paths import gvk, operations
from kaito.local.apiserver.openapi_text import (
    API_VERSION,
    KIND,
    LIST_META,
    OBJECT_META,
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
}
MACHINERY = "io.k8s.apimachinery.pkg."
# Scalars that have a schema of their own.
NAMED: dict[str, tuple[str, Object]] = {
    "t": (META + "Time", {"type": "string", "format": "date-time"}),
    "mt": (META + "MicroTime", {"type": "string", "format": "date-time"}),
    "q": (
        MACHINERY + "api.resource.Quantity",
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ),
    "ios": (
        MACHINERY + "util.intstr.IntOrString",
        {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
    ),
}
ZEROS: Object = {"s": "", "b": False, "i32": 0, "i64": 0, "f": 0}
SHARED = {
    "Condition",
    "DeleteOptions",
    "LabelSelector",
    "LabelSelectorRequirement",
    "ListMeta",
    "ManagedFieldsEntry",
    "ObjectMeta",
    "OwnerReference",
    "Preconditions",
    "ShardInfo",
    "Status",
    "StatusCause",
    "StatusDetails",
}


class OpenApi:
    """Answers /openapi/v3 and below."""

    def __init__(self, kinds: Kinds, types: TypeTable) -> None:
        self._kinds = kinds
        self._types = types
        self._documentation = Documentation()
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
        tag = self._tag(path, *known[path])
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
                tag = self._tag(path, group, version)
                paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={tag}"}
        return Response(200, {"content-type": INDEX_TYPE}, encode({"paths": paths}))

    def _tag(self, path: str, group: str, version: str) -> str:
        """Changes with the document; those of built-in groups never change."""
        kinds = self._kinds.of(group, version)
        custom = any(k.custom for k in kinds)
        return _hash(self._document(path, group, version) if custom else path.encode())

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
            operations(kind, REF + name, paths)
        title = "Kubernetes CRD Swagger" if custom else "Kubernetes"
        body = encode(
            {
                "openapi": "3.0.0",
                "info": {"title": title, "version": "v0.1.0" if custom else "1.36"},
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
        group = kind.group.partition(".")[0] or "core"
        name = f"io.k8s.api.{group}.{kind.version}.{go_name(kind.model)}"
        self._build(kind.model, name, kind.group, schemas)
        if name in schemas:
            schemas[name]["x-kubernetes-group-version-kind"] = [gvk(kind)]
        schemas[name + "List"] = self._built_in_list(kind, name)
        self._build("V1ListMeta", META + "ListMeta", "", schemas)
        return name

    def _model(self, model: str, group: str) -> str:
        """The schema's name of a model that a kind of this group refers to."""
        short, found = go_name(model), VERSION.search(model)
        version = found.group().lower() if found else "v1"
        if short in SHARED:
            return META + short
        if model in self._core:
            group = ""
        return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{short}"

    @cached_property
    def _core(self) -> set[str]:
        """The models that core kinds are made of; other groups refer to them there."""
        found: set[str] = set()
        queue = [self._types.node(k.model) for k in self._kinds.of("", "v1")]
        while queue:
            node = queue.pop()
            if node.element is not None:
                queue.append(node.element)
            if node.form == "struct" and node.name not in found:
                found.add(node.name)
                queue.extend(f.node for f in node.fields.values())
        return found

    def _build(self, model: str, name: str, group: str, schemas: Object) -> None:
        if name in schemas or model not in self._types:
            schemas.setdefault(name, {"type": "object"})
            return
        node = self._types.node(model)
        found: Object = {"type": "object"}
        schemas[name] = found
        says = self._documentation.fields(model)
        if "" in says:
            found["description"] = says[""]
        properties = found["properties"] = {}
        for field, shape in sorted(node.fields.items()):
            properties[field] = self._field(shape, group, schemas, says.get(field, ""))
        if "fieldsV1" in properties:
            properties["fieldsV1"] = {"allOf": [{"$ref": REF + META + "FieldsV1"}]}
            schemas[META + "FieldsV1"] = {"type": "object", "description": FIELDS_V1}
        needed = [n for n, f in node.fields.items() if f.required]
        if needed:
            found["required"] = needed
        if node.atomic:
            found["x-kubernetes-map-type"] = "atomic"

    def _field(self, field: Field, group: str, schemas: Object, says: str) -> Object:
        node = field.node
        found = self._type(node, group, schemas)
        if "$ref" in found:
            found = {"allOf": [found]}
        if field.default is not None:
            found["default"] = field.default
        elif field.zero and not field.pointer:
            if node.form == "struct":
                found["default"] = {}
            elif node.scalar in ZEROS:
                found["default"] = ZEROS[node.scalar]
        values = enum(node) if node.form == "scalar" else []
        if values:
            found["enum"] = values
            listed = "".join(f'\n - `"{v}"`' for v in values)
            says = f"{says}\n\nPossible enum values:{listed}" if says else ""
        if says:
            found["description"] = says
        if field.strategy:
            found["x-kubernetes-patch-strategy"] = ",".join(field.strategy)
        if field.merge_key:
            found["x-kubernetes-patch-merge-key"] = field.merge_key
        return found

    def _type(self, node: Node, group: str, schemas: Object) -> Object:
        match node.form:
            case "scalar" if node.scalar in NAMED:
                name, shape = NAMED[node.scalar]
                schemas.setdefault(name, dict(shape))
                return {"$ref": REF + name}
            case "scalar":
                return dict(SCALARS[node.scalar])
            case "list":
                assert node.element is not None
                items = self._type(node.element, group, schemas)
                if node.element.form == "scalar" and (values := enum(node.element)):
                    items["enum"] = values
                found: Object = {"type": "array", "items": items}
                found["x-kubernetes-list-type"] = node.relation
                if node.keys:
                    found["x-kubernetes-list-map-keys"] = list(node.keys)
                return found
            case "map":
                assert node.element is not None
                member = self._type(node.element, group, schemas)
                found = {"type": "object", "additionalProperties": member}
                if node.atomic:
                    found["x-kubernetes-map-type"] = "atomic"
                return found
            case "struct":
                name = self._model(node.name, group)
                self._build(node.name, name, group, schemas)
                return {"$ref": REF + name}
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
        found["x-kubernetes-group-version-kind"] = [gvk(kind)]
        schemas[name] = found
        schemas[f"{prefix}.{kind.version}.{kind.list_kind}"] = self._list(kind, name)
        self._build("V1ObjectMeta", META + "ObjectMeta", "", schemas)
        self._build("V1ListMeta", META + "ListMeta", "", schemas)
        return name

    def _built_in_list(self, kind: Kind, name: str) -> Object:
        found = self._list(kind, name)
        says = self._documentation.fields(kind.model + "List")
        found["description"] = says.get("", found["description"])
        found["properties"]["metadata"]["default"] = {}
        for field in ("items", "metadata"):
            shown = found["properties"][field]
            shown["description"] = says.get(field, shown["description"])
        return found

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
            "x-kubernetes-group-version-kind": [{**gvk(kind), "kind": kind.list_kind}],
        }


def enum(node: Node) -> list[str]:
    return ENUMS.get(node.go.removeprefix("v1."), [])


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
