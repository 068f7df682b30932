"""JSON patch: a list of operations applied to a document as the server's library applies them.

It follows RFC 6902 but for a few leniencies: a missing key of a map counts as null when it is
copied, moved or tested, replacing it adds it, and indexes may count from the end. Every map that
an operation looks into is left sorted, as the server prints it then.
"""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.opaque import copied

Object = dict[str, Any]
COPIED_LIMIT = 3 << 20  # bytes that all copies of one patch may have together
ESCAPED = frozenset("<>&\u2028\u2029")


class Rejected(ValueError):
    """An operation does not apply, or copies too much."""


def apply(document: Any, operations: list[Object]) -> Any:
    """What the operations make of a document, which they change. Raises Rejected."""
    patch = _Patch(document)
    for operation in operations:
        patch.run(operation)
    return patch.finish()


class _Patch:
    def __init__(self, document: Any) -> None:
        self.document = document
        self.opened: dict[int, Object] = {}
        self.copied = 0

    def run(self, operation: Object) -> None:
        path = operation.get("path")
        if not isinstance(path, str):
            raise Rejected("the operation has no path")
        value = operation.get("value")
        match operation.get("op"):
            case "add":
                self.add(path, copied(value))
            case "remove":
                self.remove(path)
            case "replace":
                self.replace(path, copied(value))
            case "test":
                if not self.same(self.get(path) if path else self.document, value):
                    raise Rejected(f"{path} has another value")
            case "move":
                found = self.get(self.source(operation))
                self.remove(self.source(operation))
                self.add(path, found)
            case "copy":
                self.add(path, self.copy(self.get(self.source(operation))))
            case other:
                raise Rejected(f"unexpected kind: {other}")

    def copy(self, value: Any) -> Any:
        self.copied += len(encode(value))
        if self.copied > COPIED_LIMIT:
            raise Rejected("copies too much")
        return copied(value)

    @staticmethod
    def source(operation: Object) -> str:
        found = operation.get("from")
        if not isinstance(found, str):
            raise Rejected("the operation has no source")
        return found

    def finish(self) -> Any:
        self.open(self.document)
        for found in self.opened.values():
            items = sorted(found.items())
            found.clear()
            found.update(items)
        return self.document

    def open(self, value: Any) -> Any:
        if isinstance(value, dict):
            self.opened[id(value)] = value
        return value

    def holder(self, path: str) -> tuple[Any, str]:
        """What holds the value at a path, and under which key."""
        parts = [p.replace("~1", "/").replace("~0", "~") for p in path.split("/")]
        if len(parts) < 2:
            raise Rejected(f"no such path: {path}")
        here = self.open(self.document)
        for part in parts[1:-1]:
            here = self.open(_member(here, part))
            if not isinstance(here, dict | list):
                raise Rejected(f"no such path: {path}")
        return here, parts[-1]

    def get(self, path: str) -> Any:
        return _member(*self.holder(path))

    def add(self, path: str, value: Any) -> None:
        holder, key = self.holder(path)
        if isinstance(holder, dict):
            holder[key] = value
        elif key == "-":
            holder.append(value)
        else:
            holder.insert(_index(key, len(holder) + 1), value)

    def remove(self, path: str) -> None:
        holder, key = self.holder(path)
        if isinstance(holder, dict):
            if key not in holder:
                raise Rejected(f"no such key: {key}")
            del holder[key]
        else:
            del holder[_index(key, len(holder))]

    def replace(self, path: str, value: Any) -> None:
        if not path:
            if not isinstance(value, dict | list):
                raise Rejected("a document is an object or an array")
            self.document = value
            return
        holder, key = self.holder(path)
        if isinstance(holder, dict):
            holder[key] = value
        else:
            holder[_index(key, len(holder))] = value

    def same(self, one: Any, other: Any) -> bool:
        """Are two values equal, also in the way their numbers are written?"""
        if isinstance(one, dict) and isinstance(other, dict):
            self.open(one)
            return one.keys() == other.keys() and all(self.same(one[k], other[k]) for k in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(self.same, one, other))
        return type(one) is type(other) and bool(one == other) and not _escaped(one)


def _escaped(value: Any) -> bool:
    """The server compares texts; it escapes what HTML knows, and hardly any client does."""
    return isinstance(value, str) and not ESCAPED.isdisjoint(value)


def _member(holder: Any, key: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(key)
    return holder[_index(key, len(holder))]


def _index(key: str, size: int) -> int:
    """A place in a list of so many; negative ones count from its end. Raises Rejected."""
    digits = key[1:] if key[:1] in {"+", "-"} else key
    if not (digits.isascii() and digits.isdigit()):
        raise Rejected(f"no index: {key}")
    index = int(key)
    if not -size <= index < size:
        raise Rejected(f"no such index: {key}")
    return index + size if index < 0 else index
