"""The macros of CEL: calls that stand for folds, tests and choices."""

from __future__ import annotations

from collections.abc import Callable

from kaito.local.apiserver.cel.parse import Node, SyntaxFault, call

RESULT = "@result"
UNUSED = "#unused"
SORTED = "@__sortBy_input__"
Macro = Callable[[Node], Node]


def expand(node: Node) -> Node:
    """The call itself where it is no macro. Raises SyntaxFault where one is misused."""
    made = MACROS.get((node.name, len(node.parts), node.target is not None))
    return made(node) if made is not None else node


def _result(at: int) -> Node:
    return Node("ident", at, RESULT)


def _true(at: int, value: bool = True) -> Node:
    return Node("const", at, "bool", value)


def _number(at: int, value: int) -> Node:
    return Node("const", at, "int", value)


def _fold(node: Node, names: tuple[str, str, str], *parts: Node) -> Node:
    return Node("fold", node.at, value=names, parts=list(parts))


def _variables(node: Node, width: int, what: str) -> tuple[str, str, str]:
    names = []
    for part in node.parts[:width]:
        if part.kind != "ident":
            raise SyntaxFault(part.at, what)
        if part.name in {RESULT, "__result__"}:
            raise SyntaxFault(part.at, "iteration variable overwrites accumulator variable")
        names.append(part.name)
    if width == 2 and names[0] == names[1]:
        raise SyntaxFault(node.parts[1].at, f"duplicate variable name: {names[0]}")
    return names[0], names[1] if width == 2 else "", RESULT


def _has(node: Node) -> Node:
    part = node.parts[0]
    if part.kind != "select":
        raise SyntaxFault(part.at, "invalid argument to has() macro")
    return Node("select", node.at, part.name, target=part.target, test=True)


def _all(width: int) -> Macro:
    def made(node: Node) -> Node:
        at, target = node.at, node.target
        names = _variables(node, width, "argument must be a simple name")
        assert target is not None
        return _fold(
            node,
            names,
            target,
            _true(at),
            call(at, "@not_strictly_false", _result(at)),
            call(at, "_&&_", _result(at), node.parts[width]),
            _result(at),
        )

    return made


def _exists(width: int) -> Macro:
    def made(node: Node) -> Node:
        at, target = node.at, node.target
        names = _variables(node, width, "argument must be a simple name")
        assert target is not None
        return _fold(
            node,
            names,
            target,
            _true(at, False),
            call(at, "@not_strictly_false", call(at, "!_", _result(at))),
            call(at, "_||_", _result(at), node.parts[width]),
            _result(at),
        )

    return made


def _exists_one(width: int) -> Macro:
    def made(node: Node) -> Node:
        at, target = node.at, node.target
        names = _variables(node, width, "argument must be a simple name")
        assert target is not None
        more = call(at, "_+_", _result(at), _number(at, 1))
        return _fold(
            node,
            names,
            target,
            _number(at, 0),
            _true(at),
            call(at, "_?_:_", node.parts[width], more, _result(at)),
            call(at, "_==_", _result(at), _number(at, 1)),
        )

    return made


def _collect(width: int, grow: Callable[[Node, Node], Node], empty: str, what: str) -> Macro:
    """Folds that gather: an optional filter, then what one member gives."""

    def made(node: Node) -> Node:
        at, target = node.at, node.target
        names = _variables(node, width, what)
        assert target is not None
        step = grow(node, node.parts[-1])
        if len(node.parts) == width + 2:
            step = call(at, "_?_:_", node.parts[width], step, _result(at))
        first = Node(empty, at)
        return _fold(node, names, target, first, _true(at), step, _result(at))

    return made


def _append(node: Node, item: Node) -> Node:
    return call(node.at, "_+_", _result(node.at), Node("list", node.at, parts=[item]))


def _insert(node: Node, value: Node) -> Node:
    key = Node("ident", node.at, node.parts[0].name)
    return call(node.at, "cel.@mapInsert", _result(node.at), key, value)


def _merge(node: Node, entry: Node) -> Node:
    return call(node.at, "cel.@mapInsert", _result(node.at), entry)


def _filter(node: Node) -> Node:
    at, target = node.at, node.target
    names = _variables(node, 1, "argument is not an identifier")
    assert target is not None
    step = call(at, "_?_:_", node.parts[1], _append(node, node.parts[0]), _result(at))
    return _fold(node, names, target, Node("list", at), _true(at), step, _result(at))


def bind(at: int, name: str, value: Node, inner: Node) -> Node:
    """A fold over nothing: `inner` with one more variable."""
    names = (UNUSED, "", name)
    stay = Node("ident", at, name)
    return Node(
        "fold", at, value=names, parts=[Node("list", at), value, _true(at, False), stay, inner]
    )


def _optional(function: str, *, wrap: bool) -> Macro:
    def made(node: Node) -> Node:
        at, target, name = node.at, node.target, node.parts[0]
        if name.kind != "ident":
            raise SyntaxFault(name.at, f"{function}() variable name must be a simple identifier")
        inner = bind(at, name.name, Node("call", at, "value", target=target), node.parts[1])
        if wrap:
            inner = call(at, "optional.of", inner)
        test = Node("call", at, "hasValue", target=target)
        return call(at, "_?_:_", test, inner, call(at, "optional.none"))

    return made


def _sort_by(node: Node) -> Node:
    at, target = node.at, node.target
    if target is None or target.kind not in {"list", "select", "ident", "fold", "call"}:
        raise SyntaxFault(
            target.at if target else at,
            "sortBy can only be applied to a list, identifier, comprehension, call or "
            "select expression",
        )
    keys = MACROS["map", 2, True](
        Node("call", at, "map", target=Node("ident", at, SORTED), parts=node.parts)
    )
    ordered = Node(
        "call", at, "@sortByAssociatedKeys", target=Node("ident", at, SORTED), parts=[keys]
    )
    return bind(at, SORTED, target, ordered)


SIMPLE = "argument must be a simple name"
MACROS: dict[tuple[str, int, bool], Macro] = {
    ("has", 1, False): _has,
    ("all", 2, True): _all(1),
    ("all", 3, True): _all(2),
    ("exists", 2, True): _exists(1),
    ("exists", 3, True): _exists(2),
    ("exists_one", 2, True): _exists_one(1),
    ("exists_one", 3, True): _exists_one(2),
    ("existsOne", 3, True): _exists_one(2),
    ("map", 2, True): _collect(1, _append, "list", "argument is not an identifier"),
    ("map", 3, True): _collect(1, _append, "list", "argument is not an identifier"),
    ("filter", 2, True): _filter,
    ("transformList", 3, True): _collect(2, _append, "list", SIMPLE),
    ("transformList", 4, True): _collect(2, _append, "list", SIMPLE),
    ("transformMap", 3, True): _collect(2, _insert, "map", SIMPLE),
    ("transformMap", 4, True): _collect(2, _insert, "map", SIMPLE),
    ("transformMapEntry", 3, True): _collect(2, _merge, "map", SIMPLE),
    ("transformMapEntry", 4, True): _collect(2, _merge, "map", SIMPLE),
    ("optMap", 2, True): _optional("optMap", wrap=True),
    ("optFlatMap", 2, True): _optional("optFlatMap", wrap=False),
    ("sortBy", 2, True): _sort_by,
}
