"""Names: which kind of object, and which object of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import msgspec

from kaito.runtime.errors import UnreadableAnswer
from kaito.runtime.metadata import PartialObject
from kaito.runtime.transport import Call

# An untyped Kubernetes object. Any, because its shape is known to its kind and not to us.
Object: TypeAlias = dict[str, Any]

T = TypeVar("T")
U = TypeVar("U")


class Key(NamedTuple):
    """An object of a known kind: its namespace ("" when the kind is cluster scoped) and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @staticmethod
    def of(obj: Object) -> Key:
        """The key of an untyped object."""
        metadata = obj["metadata"]
        return Key(metadata.get("namespace", ""), metadata["name"])


@runtime_checkable
class _PydanticModel(Protocol):
    """What we need of a pydantic model class, without importing pydantic."""

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> object: ...

    def model_dump_json(self, *, by_alias: bool, exclude_none: bool) -> str: ...


_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """A kind as the API serves it, and the Python type its objects are read as.

    `model` is `dict` for untyped objects, a pydantic model, or a msgspec Struct, which may be a
    partial view: fields it does not name are skipped without being built. Two resources are
    equal when they name the same path and the same part of the objects, whatever they are read as.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    model: type[T] = field(default=cast("type[T]", dict), compare=False)
    partial: bool = False
    """Whether the server is asked for metadata alone; see `metadata_only`."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object, or of a part of it.

        ValueError for a name that cannot be one (it could walk to another path) and for an
        object of a namespaced kind without its namespace.
        """
        parts = ["apis", self.group] if self.group else ["api"]
        parts.append(self.version)
        if self.namespaced and namespace:
            parts += ["namespaces", _segment(namespace)]
        elif self.namespaced and name:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        parts.append(self.plural)
        if name:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)

    def read_as(self, model: type[U]) -> Resource[U]:
        """The same kind, read as another type."""
        return replace(cast("Resource[U]", self), model=model)

    def metadata_only(self) -> Resource[PartialObject]:
        """The same kind, of whose objects the server sends the metadata alone.

        For caches of large objects of which only names, labels or owners are asked for.
        """
        return replace(cast("Resource[PartialObject]", self), model=PartialObject, partial=True)

    @property
    def answered_kind(self) -> str:
        """The kind that answers of the server have."""
        return "PartialObjectMetadata" if self.partial else self.kind

    def accept(self, *, many: bool = False) -> str:
        """The Accept header of a call for one object or a watch, or for a list."""
        if not self.partial:
            return "application/json"
        return f"application/json;as={self.answered_kind}{'List' * many};g=meta.k8s.io;v=v1"

    def decode(self, body: bytes, call: Call | None = None) -> T:
        """One object of this kind. UnreadableAnswer when the body does not fit the model."""
        model = cast("Any", self.model)
        if model is dict:
            return cast("T", self.decode_untyped(body, call))
        try:
            if hasattr(model, "model_validate_json"):
                return cast("T", model.model_validate_json(body))
            return cast("T", msgspec.json.decode(body, type=model))
        # Pydantic's and Unicode's are ValueErrors.
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            what = f"This is no {self.kind} as {model.__name__} has it: {error}"
            raise UnreadableAnswer(what, call) from error

    def decode_untyped(self, body: bytes, call: Call | None = None) -> Object:
        """The same as a dict, whatever the model."""
        try:
            obj = _decode_object(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableAnswer(f"This is no {self.kind}: {error}.", call) from error
        # Members of a list of built-in objects come without these two.
        obj.setdefault("apiVersion", self.api_version)
        obj.setdefault("kind", self.answered_kind)
        return obj

    def encode(self, obj: T | Object) -> bytes:
        """JSON bytes of an object, typed or not."""
        if isinstance(obj, _PydanticModel):
            return obj.model_dump_json(by_alias=True, exclude_none=True).encode()
        return _encode(obj)


# What RFC 3986 lets a path segment hold unescaped: wider than the names of any kind, and nothing
# in it can leave the segment, the path or the request line.
_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")


def _segment(name: str) -> str:
    if not _SEGMENT.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"{name!r} cannot be part of a URL path")
    return name
