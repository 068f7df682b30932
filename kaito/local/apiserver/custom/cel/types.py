"""Static types of rules: undefined fields, operators that do not fit, what a rule gives.

Only what is known for certain is an error; everything else is `dyn`. Values with a time or
duration format are turned into times for evaluation by rewriting the rule's text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kaito.local.apiserver.custom.cel.parse import Node
from kaito.local.apiserver.custom.structural import Structural

RESERVED = {
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
}
REQUEST = 3 * 1024 * 1024  # bytes: nothing in a request can be larger
MACROS = {"all", "exists", "exists_one", "filter", "map"}


@dataclass(slots=True)
class Type:
    """name: int, double, bool, string, bytes, null, timestamp, duration, list, map, object, dyn.

    `size` bounds strings, lists and maps; `small` is the least a value takes in a request.
    """

    name: str
    element: Type | None = None
    schema: Structural | None = None
    size: int = 0
    fields: dict[str, Type] = field(default_factory=dict)

    def text(self) -> str:
        if self.name == "list":
            return f"list({self.element.text() if self.element else 'dyn'})"
        if self.name == "map":
            return f"map(string, {self.element.text() if self.element else 'dyn'})"
        return self.name


DYN = Type("dyn", size=REQUEST)
BOOL, INT, DOUBLE, STRING = Type("bool"), Type("int"), Type("double"), Type("string", size=REQUEST)


def escape(name: str) -> str | None:
    """A property's name inside rules; None where it cannot be used there."""
    if name in RESERVED:
        return f"__{name}__"
    if not name or not (name[0].isalpha() or name[0] == "_") or not name.isascii():
        return None
    out = (
        name.replace("__", "__underscores__")
        .replace(".", "__dot__")
        .replace("-", "__dash__")
        .replace("/", "__slash__")
    )
    return out if all(c.isalnum() or c == "_" for c in out) else None


def least(schema: Structural) -> int:
    """The fewest bytes a value of a schema takes in JSON."""
    if schema.type == "object":
        needed = schema.schema.get("required") or ()
        return 2 + sum(
            len(n) + 3 + least(schema.properties[n]) for n in needed if n in schema.properties
        )
    return {"string": 2, "array": 2, "boolean": 4, "integer": 1, "number": 1}.get(schema.type, 1)


def of(schema: Structural | None, *, root: bool = False) -> Type:
    """The type of values of a schema."""
    if schema is None or schema.int_or_string:
        return DYN
    raw = schema.schema
    match schema.type:
        case "integer":
            return INT
        case "number":
            return DOUBLE
        case "boolean":
            return BOOL
        case "string":
            form = raw.get("format")
            if form in {"date", "date-time"}:
                return Type("timestamp", size=30)
            if form == "duration":
                return Type("duration", size=30)
            longest = raw.get("maxLength")
            if longest is not None:
                return Type("string", size=longest * 4)
            if raw.get("enum"):
                return Type("string", size=max(len(str(e)) for e in raw["enum"]))
            return Type("bytes" if form == "byte" else "string", size=REQUEST - 2)
        case "array":
            most = raw.get("maxItems")
            if most is None:
                most = REQUEST // (least(schema.items) + 1) if schema.items else REQUEST
            return Type("list", of(schema.items), schema, most)
        case "object":
            if isinstance(schema.extra, Structural):
                most = raw.get("maxProperties")
                if most is None:
                    most = REQUEST // (least(schema.extra) + 4)
                return Type("map", of(schema.extra), schema, most)
            return _object(schema, root=root)
    return DYN


def _object(schema: Structural, *, root: bool) -> Type:
    found = Type("object", schema=schema)
    for name, inner in schema.properties.items():
        escaped = escape(name)
        if escaped:
            found.fields[escaped] = of(inner)
    if root or schema.embedded:
        meta = Type(
            "object",
            fields={"name": Type("string", size=253), "generateName": Type("string", size=253)},
        )
        found.fields |= {"apiVersion": STRING, "kind": STRING, "metadata": meta}
    return found


class Fault(ValueError):
    """A rule that cannot compile: where and why."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message

    def text(self, source: str) -> str:
        return f"ERROR: <input>:1:{self.at + 1}: {self.message}\n | {source}\n | {'.' * self.at}^"


COMPARED = {"<", "<=", ">", ">="}
NUMBERS = {"int", "double", "uint"}
STRING_RESULTS = {
    "lowerAscii",
    "upperAscii",
    "replace",
    "substring",
    "trim",
    "find",
    "join",
    "charAt",
    "format",
    "string",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getEscapedPath",
    "reverse",
}
BOOL_RESULTS = {
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "has",
    "isSorted",
    "hasValue",
    "isURL",
    "isIP",
    "isCIDR",
    "isQuantity",
    "isSemver",
    "isGreaterThan",
    "isLessThan",
    "containsIP",
    "containsCIDR",
    "isLoopback",
    "isUnspecified",
    "isGlobalUnicast",
    "isInteger",
    "exists",
    "all",
    "exists_one",
    "bool",
}
INT_RESULTS = {
    "size",
    "indexOf",
    "lastIndexOf",
    "int",
    "family",
    "prefixLength",
    "compareTo",
    "major",
    "minor",
    "patch",
    "asInteger",
    "sign",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getFullYear",
    "getMonth",
    "getDayOfWeek",
    "getMilliseconds",
}


class Types:
    """Works out the types of one rule; collects rewrites of time values."""

    def __init__(self, variables: dict[str, Type]) -> None:
        self._scopes: list[dict[str, Type]] = [variables]
        self.rewrites: list[tuple[int, int, str]] = []
        self.types: dict[int, Type] = {}
        self._raw = False

    def of(self, node: Node) -> Type:
        """Raises Fault."""
        found = self._of(node)
        self.types[id(node)] = found
        return found

    def _of(self, node: Node) -> Type:
        match node.kind:
            case "const":
                return Type(node.name, size=len(node.value) if isinstance(node.value, str) else 1)
            case "ident":
                return self._name(node)
            case "select":
                return self._select(node)
            case "index":
                base = self.of(node.parts[0])
                self.of(node.parts[1])
                if node.optional or base.name == "optional":
                    return DYN
                found = base.element or DYN
                self._time(found, node)
                return found
            case "binary":
                return self._binary(node)
            case "unary":
                inner = self.of(node.parts[0])
                if node.name == "!" and inner.name not in {"bool", "dyn"}:
                    raise Fault(
                        node.at,
                        f"found no matching overload for '!_' applied to '({inner.text()})'",
                    )
                return inner
            case "ternary":
                self.of(node.parts[0])
                yes, no = self.of(node.parts[1]), self.of(node.parts[2])
                if yes.name == no.name:
                    return yes if yes.size >= no.size else no
                return DYN
            case "list":
                items = [self.of(p) for p in node.parts]
                same = items and all(f.name == items[0].name for f in items)
                return Type("list", items[0] if same else DYN, size=len(items))
            case "map":
                for part in node.parts:
                    self.of(part)
                return Type("map", DYN, size=len(node.parts) // 2)
        return self._call(node)

    def _name(self, node: Node) -> Type:
        for scope in reversed(self._scopes):
            if node.name in scope:
                found = scope[node.name]
                self._time(found, node)
                return found
        return DYN

    def _time(self, found: Type, node: Node) -> None:
        if found.name in {"timestamp", "duration"} and not self._raw:
            self.rewrites.append((node.start, node.end, found.name))

    def _select(self, node: Node) -> Type:
        raw, self._raw = self._raw, False
        base = self.of(node.parts[0])
        self._raw = raw
        if node.optional:
            return Type("optional", base.fields.get(node.name, DYN))
        if base.name == "optional":
            return Type("optional", DYN)
        if base.name == "object":
            found = base.fields.get(node.name)
            if found is None:
                raise Fault(node.at, f"undefined field '{node.name}'")
            self._time(found, node)
            return found
        if base.name == "map":
            return base.element or DYN
        if base.name in {"int", "string", "bool", "double", "list"}:
            raise Fault(node.at, f"type '{base.text()}' does not support field selection")
        return DYN

    def _binary(self, node: Node) -> Type:
        left, right = self.of(node.parts[0]), self.of(node.parts[1])
        names = {left.name, right.name}
        known = "dyn" not in names and "optional" not in names
        op = node.name
        bad = False
        result = BOOL
        if op in {"&&", "||"}:
            bad = any(t.name not in {"bool", "dyn"} for t in (left, right))
        elif op in {"==", "!="}:
            bad = (known and len(names) > 1 and "null" not in names and not names <= NUMBERS) or (
                names == {"int", "double"} and known
            )
        elif op in COMPARED:
            bad = known and len(names) > 1 and not names <= NUMBERS
        elif op == "in":
            bad = right.name in {"int", "string", "bool", "double", "object"}
        else:
            result = DYN if not known else self._sum(op, left, right)
            bad = known and result is DYN and not names & {"timestamp", "duration", "list", "map"}
        if bad:
            shown = op if op == "in" else f"_{op}_"
            if op == "in":
                shown = "@in"
            raise Fault(
                node.at,
                f"found no matching overload for '{shown}' applied to "
                f"'({left.text()}, {right.text()})'",
            )
        return result

    @staticmethod
    def _sum(op: str, left: Type, right: Type) -> Type:
        if left.name == right.name:
            if left.name in NUMBERS:
                return left
            if op == "+" and left.name in {"string", "bytes"}:
                return Type(left.name, size=left.size + right.size)
            if op == "+" and left.name == "list":
                return Type("list", left.element, size=left.size + right.size)
        return DYN

    def _call(self, node: Node) -> Type:
        if (
            node.kind == "member"
            and node.name in MACROS
            and len(node.parts) in {3, 4}
            and node.parts[1].kind == "ident"
        ):
            return self._macro(node)
        if node.kind == "call" and node.name == "has":
            raw, self._raw = self._raw, True
            self.of(node.parts[0])
            self._raw = raw
            return BOOL
        if node.kind == "member" and node.name == "bind" and len(node.parts) == 4:
            value = self.of(node.parts[2])
            self._scopes.append({node.parts[1].name: value})
            bound = self.of(node.parts[3])
            self._scopes.pop()
            return bound
        found = [self.of(p) for p in node.parts]
        if node.kind == "member" and node.name == "validate":
            self.rewrites.append((node.start, node.end, "validate"))
            return Type("optional", Type("list", STRING))
        if node.kind == "call" and node.name in {"timestamp", "duration"}:
            return Type(node.name)
        if (
            node.kind == "member"
            and node.name in {"value", "orValue"}
            and found[0].name == "optional"
        ):
            return found[0].element or DYN
        if node.name in BOOL_RESULTS:
            return BOOL
        if node.name in INT_RESULTS:
            return INT
        if node.name == "double":
            return DOUBLE
        if node.name in STRING_RESULTS:
            base = found[0] if node.kind == "member" else DYN
            return Type("string", size=base.size if base.name == "string" else REQUEST)
        if node.name in {"split", "findAll"}:
            size = found[0].size if found[0].name == "string" else REQUEST
            return Type("list", Type("string", size=size), size=size)
        return DYN

    def _macro(self, node: Node) -> Type:
        source = self.of(node.parts[0])
        name = node.parts[1].name
        if source.name == "map":
            # A real server's estimate takes the keys of a schema's map for empty: their declared
            # type has no bound, and no bound counts as 0 there.
            item = Type("string", size=0 if source.schema is not None else 16)
        else:
            item = source.element or DYN
        if source.name in {"int", "string", "bool", "double", "object"}:
            raise Fault(
                node.parts[0].at,
                f"expression of type '{source.text()}' cannot be range "
                "of a comprehension (must be list, map, or dynamic)",
            )
        self._scopes.append({name: item})
        results = [self.of(p) for p in node.parts[2:]]
        self._scopes.pop()
        if node.name in {"all", "exists", "exists_one"}:
            return BOOL
        if node.name == "filter":
            return Type("list", item, size=source.size)
        return Type("list", results[-1], size=source.size)


def rewritten(text: str, rewrites: list[tuple[int, int, str]]) -> str:
    """A rule's text with time values read as times."""
    unique = sorted(set(rewrites))
    out, at = [], 0
    for start, end, kind in unique:
        if start < at:
            continue
        part = text[start:end]
        if kind == "validate":
            part = f"({part}.size() == 0 ? optional.none() : optional.of({part}))"
        else:
            part = f"{kind}({part})"
        out += [text[at:start], part]
        at = end
    return "".join([*out, text[at:]])
