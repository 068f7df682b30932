"""Strategic merge patch: a merge that knows which lists of a built-in kind are maps and sets.

A patch may carry directives: `$patch`, `$retainKeys`, `$setElementOrder/FIELD` and
`$deleteFromPrimitiveList/FIELD`; merging takes those it obeys out of the patch.
"""

from __future__ import annotations

from typing import Any, NoReturn

from kaito.local.apiserver.patches import rejected
from kaito.local.apiserver.schema import ANY, Field, Node
from kaito.local.apiserver.status import bad_request, plain_failure
from kaito.local.apiserver.typed import go_name

Object = dict[str, Any]
DIRECTIVE, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder", "$deleteFromPrimitiveList"


def go_map(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_map(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_map(v) for v in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def merge(node: Node, live: Object, patch: Object) -> Object:
    """The live object with a patch merged into it; both are changed. Raises StatusError."""
    if DIRECTIVE in patch:
        directive = patch[DIRECTIVE]
        if directive == "replace":
            del patch[DIRECTIVE]
            return patch
        if directive == "delete":
            return {}
        _unknown_directive(directive, patch)
    _retain(live, patch)
    for name in [k for k in patch if k.startswith(ORDER)]:
        _order(node, live, patch, name)
    for name, value in list(patch.items()):
        deleting = name.startswith(DELETE)
        field = _named(name, DELETE) if deleting else name
        if value is None:
            live.pop(field, None)
            continue
        current: Any = live.get(field)
        if type(current) is not type(value):
            if not deleting:
                _put(live, field, value)
        elif isinstance(value, dict):
            live[field] = merge(node.child(field), current, value)
        elif isinstance(value, list):
            known = node.fields.get(field)
            if deleting:
                live[field] = _without(current, value)
            elif known is not None and "merge" in known.strategy:
                live[field] = _merge_list(known, current, value)
            else:
                live[field] = value
        else:
            live[field] = value
    return live


def _unknown_directive(directive: Any, patch: Object) -> NoReturn:
    shown = "%!s(<nil>)" if directive is None else directive
    raise plain_failure(f"unknown patch type: {shown} in map: {go_map(patch)}")


def _named(name: str, directive: str) -> str:
    """The field behind a directive's slash. Raises StatusError."""
    head, slash, field = name.partition("/")
    if head != directive or not slash:
        what = "primitive list" if directive == DELETE else "setElementOrder list"
        raise bad_request(f"invalid patch format of {what}")
    return field


def _retain(live: Object, patch: Object) -> None:
    if RETAIN not in patch:
        return
    kept = patch.pop(RETAIN)
    fault = bad_request("invalid patch format of retainKeys")
    if not isinstance(kept, list):
        raise fault
    for name, value in patch.items():
        if value is not None and not name.startswith((DELETE, ORDER)) and name not in kept:
            raise fault
    for name in [k for k in live if k not in kept]:
        del live[name]


def _put(live: Object, name: str, value: Any) -> None:
    """Set what was not there: without nulls and directives."""
    _discard_nulls(value)
    if isinstance(value, dict) and DIRECTIVE in value:
        live.pop(name, None)
    else:
        live[name] = _plain(value)


def _discard_nulls(value: Any) -> None:
    if isinstance(value, dict):
        for name in [k for k, v in value.items() if v is None]:
            del value[name]
        for inner in value.values():
            _discard_nulls(inner)
    elif isinstance(value, list):
        for inner in value:
            _discard_nulls(inner)


def _plain(value: Any) -> Any:
    """A value without the parts that carry directives."""
    if isinstance(value, dict):
        for name, inner in list(value.items()):
            if isinstance(inner, dict) and DIRECTIVE in inner:
                del value[name]
            else:
                value[name] = _plain(inner)
    elif isinstance(value, list):
        return [_plain(v) for v in value if not (isinstance(v, dict) and DIRECTIVE in v)]
    return value


def _without(current: list[Any], unwanted: list[Any]) -> list[Any]:
    if _maps(current, unwanted):
        raise plain_failure("cannot merge lists without merge key")
    return [v for v in current if v not in unwanted]


def _maps(*lists: list[Any]) -> bool:
    """Do these lists hold maps? Raises StatusError where they hold several types."""
    members = [v for found in lists for v in found]
    if members and isinstance(members[0], list):
        raise rejected()
    if any(type(v) is not type(members[0]) for v in members):
        shown = go_map([list(found) for found in lists])
        raise plain_failure(f"list element types are not identical: {shown}")
    return bool(members) and isinstance(members[0], dict)


def _merge_list(known: Field, live: list[Any], patch: list[Any]) -> list[Any]:
    if not live and not patch:
        return live
    key = known.merge_key
    if not _maps(live, patch):
        merged = _distinct([*live, *patch])
    else:
        if not key:
            element = known.node.element or ANY
            raise plain_failure(f"cannot merge lists without merge key for {go_name(element.name)}")
        live, patch = _obey(live, patch, key)
        merged = _by_key(known, live, patch)
    return _arranged(merged, patch, live, key)


def _obey(live: list[Object], patch: list[Object], key: str) -> tuple[list[Object], list[Object]]:
    """Delete and replace as members of the patch say; gives both lists without such members."""
    plain: list[Object] = []
    replacing = False
    for item in patch:
        if DIRECTIVE not in item:
            plain.append(item)
            continue
        match item[DIRECTIVE]:
            case "delete":
                wanted = _key_of(item, key)
                live = [v for v in live if key not in v or not _equal(v[key], wanted)]
            case "replace":
                replacing = True
            case "merge":
                raise plain_failure("merging lists cannot yet be specified in the patch")
            case other:
                _unknown_directive(other, item)
    return (plain, []) if replacing else (live, plain)


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        raise plain_failure("expected a map[string]interface {}, but received a " + _go_type(item))
    if key not in item:
        raise plain_failure(f"map: {go_map(item)} does not contain declared merge key: {key}")
    return item[key]


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _by_key(known: Field, live: list[Object], patch: list[Object]) -> list[Object]:
    element, key = known.node.element or ANY, known.merge_key
    merged = list(live)
    for item in patch:
        wanted = _key_of(item, key)
        at = next((i for i, v in enumerate(merged) if key in v and _equal(v[key], wanted)), None)
        if at is None:
            merged.append(item)
        else:
            merged[at] = merge(element, merged[at], item)
    return merged


def _distinct(values: list[Any]) -> list[Any]:
    """Without repetitions; the last value takes the place of a repeated one."""
    size = len(values)
    i = 0
    while i < size - 1:
        j = i + 1
        while j < size:
            if _equal(values[i], values[j]):
                values[j] = values[size - 1]
                size -= 1
            else:
                j += 1
        i += 1
    return values[:size]


def _order(node: Node, live: Object, patch: Object, name: str) -> None:
    """Obey one `$setElementOrder`, merging the list that it is about."""
    order = patch.pop(name)
    if not isinstance(order, list):
        raise plain_failure("expected a []interface {}, but received a " + _go_type(order))
    field = _named(name, ORDER)
    known = node.fields.get(field)
    if known is None:
        raise plain_failure(
            f'unable to find api field in struct {go_name(node.name)} for the json field "{field}"'
        )
    current, change = live.get(field), patch.get(field)
    for found in (current, change):
        if found is not None and not isinstance(found, list):
            raise plain_failure("expected a []interface {}, but received a " + _go_type(found))
    if current is None and change is None:
        return
    _check_order(change or [], order, known.merge_key)
    if change is None:
        merged = current or []
    elif current is None:
        merged = _plain(change)
    else:
        merged = _merge_list(known, current, change) if "merge" in known.strategy else change
    live[field] = _arranged(merged, order, current or [], known.merge_key)
    patch.pop(field, None)


def _go_type(value: Any) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else type(value).__name__ + "64"


def _check_order(change: list[Any], order: list[Any], key: str) -> None:
    """The members of a patch must come in the order it sets. Raises StatusError."""
    if not change or not order:
        return
    named = [
        _key_of(v, key) if key else v
        for v in change
        if not (isinstance(v, dict) and DIRECTIVE in v)
    ]
    wanted = iter([_key_of(v, key) if key else v for v in order])
    if not all(any(_equal(v, w) for w in wanted) for v in named):
        raise plain_failure(
            f"The order in patch list:\n{go_map(change)}\n doesn't match {ORDER} list:\n"
            f"{go_map(order)}\n"
        )


def _arranged(merged: list[Any], order: list[Any], live: list[Any], key: str) -> list[Any]:
    """Members that the order names come in it; the others keep their places of the live list."""
    named = [v for v in merged if _place(order, v, key) >= 0]
    others = [v for v in merged if _place(order, v, key) < 0]
    named, others = _sorted(named, order, key), _sorted(others, live, key)
    out: list[Any] = []
    while named and others:
        here, there = _place(live, named[0], key), _place(live, others[0], key)
        out.append(others.pop(0) if 0 <= there < here else named.pop(0))
    return out + named + others


def _place(order: list[Any], value: Any, key: str) -> int:
    def identity(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = identity(value)
    return next((i for i, v in enumerate(order) if _equal(identity(v), wanted)), -1)


def _sorted(values: list[Any], order: list[Any], key: str) -> list[Any]:
    """In this order; a value that is not in it moves before those it comes after."""
    out: list[Any] = []
    for value in values:
        at, place = len(out), _place(order, value, key)
        while at and not 0 <= _place(order, out[at - 1], key) <= place:
            at -= 1
        out.insert(at, value)
    return out
