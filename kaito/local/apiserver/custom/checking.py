"""Validation of custom resources against their schema, in the words of the server.

With an old object, faults of parts that the write does not touch are forgiven.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from kaito.local.apiserver.cel.formatting import double_text
from kaito.local.apiserver.custom.comparing import (
    EXACT,
    MISSING,
    fits,
    former,
    is_whole,
    json_type,
    same,
)
from kaito.local.apiserver.custom.embedded import embedded_faults
from kaito.local.apiserver.custom.formats import known, test_of
from kaito.local.apiserver.custom.matching import matches
from kaito.local.apiserver.custom.structural import Schema, Structural
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    duplicate,
    go_quote,
    required,
    too_long,
    wrong,
)

Object = dict[str, Any]


def _go_format(value: Any) -> str:
    """What stands for the format of a value that has not the wanted type."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return "float64" if json_type(value) == "number" else "int64"


def _unchecked(kind: str, shown: str, path: str) -> FieldError:
    detail = f"Checked value must be of type {kind} {shown} in {path}"
    return FieldError("<nil>", "Invalid value", "", detail)


class Checker:
    """Checks objects of one schema."""

    def __init__(self, schema: Structural) -> None:
        self._schema = schema

    def check(self, obj: Any, old: Any, *, distinct: bool = True) -> list[FieldError]:
        """Faults of an object; `distinct`: look for members of lists that must differ, too."""
        errors: list[FieldError] = []
        self._value(self._schema, obj, MISSING if old is None else old, "", errors, root=True)
        if distinct:
            self._lists(self._schema, obj, MISSING if old is None else old, "", errors)
        return errors

    def _value(
        self,
        schema: Structural,
        value: Any,
        old: Any,
        path: str,
        errors: list[FieldError],
        *,
        root: bool = False,
    ) -> None:
        if old is not MISSING and same(value, old):
            return
        if value is None and schema.nullable:
            return
        self._typed(schema, value, path, errors)
        self._plain(schema.schema, value, path, errors)
        if isinstance(value, dict):
            self._members(schema, value, old, path, errors, root=root)
        elif isinstance(value, list) and schema.items is not None:
            self._items(schema, value, old, path, errors)
        self._combined(schema.schema, value, path, errors)

    @staticmethod
    def _typed(schema: Structural, value: Any, path: str, errors: list[FieldError]) -> None:
        if schema.int_or_string:
            wanted = ["integer", "string"]
        elif schema.type:
            wanted = [schema.type]
        else:
            return
        form = schema.schema.get("format") or ""
        if any(fits(value, w) for w in wanted):
            return
        found, listed = json_type(value), ",".join(wanted)
        if found == "number" and wanted == ["integer"]:
            shown = f"with format {form}" if form else "(default format)"
            errors.append(_unchecked("integer", shown, path))
        if form and known(form, schema.type) and not isinstance(value, str | list | None):
            found, listed = _go_format(value), form
        errors.append(
            FieldError(
                path or "<nil>",
                "type",
                found,
                f'{path} in body must be of type {listed}: "{found}"',
            )
        )

    def _members(
        self,
        schema: Structural,
        value: Object,
        old: Any,
        path: str,
        errors: list[FieldError],
        *,
        root: bool,
    ) -> None:
        before = old if isinstance(old, dict) else {}
        for name in sorted(value):
            inner = f"{path}.{name}" if path else name
            if (
                (root or schema.embedded)
                and name in {"apiVersion", "kind", "metadata"}
                and name not in schema.properties
            ):
                continue
            known = schema.properties.get(name)
            if known is not None:
                self._value(known, value[name], before.get(name, MISSING), inner, errors)
            elif isinstance(schema.extra, Structural):
                self._value(schema.extra, value[name], before.get(name, MISSING), inner, errors)
        if schema.embedded:
            errors += embedded_faults(value, path)

    def _items(
        self, schema: Structural, value: list[Any], old: Any, path: str, errors: list[FieldError]
    ) -> None:
        assert schema.items is not None
        matched = former(schema, old)
        for i, item in enumerate(value):
            self._value(schema.items, item, matched(item), f"{path}[{i}]", errors)

    def _plain(
        self,
        schema: Schema,
        value: Any,
        path: str,
        errors: list[FieldError],
    ) -> None:
        """Everything of a schema that needs no descent."""
        options = schema.get("enum")
        if options and not any(_chosen(value, o) for o in options):
            shown = float(value) if json_type(value) == "number" else value
            errors.append(_not_listed(path or "<nil>", shown, options))
        if isinstance(value, str):
            self._text(schema, value, path, errors)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            self._number(schema, value, path, errors)
        elif isinstance(value, list):
            self._list(schema, value, path, errors)
        elif isinstance(value, dict):
            self._object(schema, value, path, errors)

    @staticmethod
    def _text(schema: Schema, value: str, path: str, errors: list[FieldError]) -> None:
        longest, shortest = schema.get("maxLength"), schema.get("minLength")
        pattern = schema.get("pattern")
        if longest is not None and len(value) > longest:
            errors.append(too_long(path, longest))
        elif shortest is not None and len(value) < shortest:
            errors.append(
                wrong(path, value, f"{path} in body should be at least {shortest} chars long")
            )
        elif pattern and not _search(pattern, value):
            errors.append(wrong(path, value, f"{path} in body should match '{pattern}'"))
        name = schema.get("format")
        test = test_of(name) if name else None
        if test is not None and not test(value):
            errors.append(
                FieldError(
                    path,
                    "type",
                    value,
                    f"{path} in body must be of type {name}: {go_quote(value)}",
                )
            )

    @staticmethod
    def _number(schema: Schema, value: float, path: str, errors: list[FieldError]) -> None:
        """Whole numbers are compared with what is whole of a bound."""
        whole = json_type(value) == "integer"
        if not whole:
            value = float(value)
        factor = schema.get("multipleOf")
        if factor is not None:
            if whole:
                factor = int(factor)
            if factor <= 0:
                says = f"factor MultipleOf declared for {path} must be positive: {factor}"
                errors.append(wrong(path, _shown(factor), says))
            elif value % factor if whole else not is_whole(value / factor):
                says = f"{path} in body should be a multiple of {_number_text(factor)}"
                errors.append(wrong(path, _shown(value), says))
        for name, word, sign in (("maximum", "less", 1), ("minimum", "greater", -1)):
            bound = schema.get(name)
            if bound is None:
                continue
            if whole:
                bound = int(bound)
            open_end = bool(schema.get(f"exclusive{name.title()}"))
            if (value - bound) * sign > 0 or (open_end and value == bound):
                than = "" if open_end else "or equal to "
                says = f"{path} in body should be {word} than {than}{_number_text(bound)}"
                errors.append(wrong(path, _shown(value), says))
        form = schema.get("format")
        if form == "int32" and whole and not -(1 << 31) <= value < 1 << 31:
            errors.append(_unchecked(schema.get("type", ""), f"with format {form}", path))

    @staticmethod
    def _list(schema: Schema, value: list[Any], path: str, errors: list[FieldError]) -> None:
        most, least = schema.get("maxItems"), schema.get("minItems")
        if most is not None and len(value) > most:
            errors.append(FieldError(path, "Too many", len(value), _at_most(most)))
        if least is not None and len(value) < least:
            errors.append(
                wrong(
                    path, value_count(value), f"{path} in body should have at least {least} items"
                )
            )
        if schema.get("uniqueItems"):
            for i, item in enumerate(value):
                if any(same(item, other) for other in value[:i]):
                    errors.append(
                        wrong(path, value, f"{path} in body shouldn't contain duplicates")
                    )
                    break

    @staticmethod
    def _object(schema: Schema, value: Object, path: str, errors: list[FieldError]) -> None:
        most, least = schema.get("maxProperties"), schema.get("minProperties")
        if most is not None and len(value) > most:
            errors.append(FieldError(path, "Too many", len(value), _at_most(most)))
        if least is not None and len(value) < least:
            errors.append(
                wrong(
                    path,
                    value_count(value),
                    f"{path} in body should have at least {least} properties",
                )
            )
        errors += [
            required(f"{path}.{n}" if path else n)
            for n in schema.get("required") or ()
            if n not in value
        ]

    def _combined(self, schema: Schema, value: Any, path: str, errors: list[FieldError]) -> None:
        where = path or "<nil>"
        failed = [f for b in schema.get("allOf") or () if (f := self._branch(b, value, path))]
        if failed:
            tail = ". None validated" if len(failed) == len(schema["allOf"]) else ""
            says = f'"{path}" must validate all the schemas (allOf){tail}'
            errors += [FieldError("<nil>", "Invalid value", "", says), *chain(*failed)]
        some = schema.get("anyOf")
        if (
            some
            and not schema.get("x-kubernetes-int-or-string")
            and all(self._branch(b, value, path) for b in some)
        ):
            errors.append(
                FieldError(
                    "<nil>",
                    "Invalid value",
                    "",
                    f'"{path}" must validate at least one schema (anyOf)',
                )
            )
            errors += self._branch(some[0], value, path)
        one = schema.get("oneOf")
        if one:
            passed = sum(not self._branch(b, value, path) for b in one)
            if passed != 1:
                tail = "none valid" if not passed else f"{passed} valid alternatives"
                errors.append(
                    FieldError(
                        "<nil>",
                        "Invalid value",
                        "",
                        f'"{path}" must validate one and only one schema (oneOf). Found {tail}',
                    )
                )
                if not passed:
                    errors += self._branch(one[0], value, path)
        banned = schema.get("not")
        if banned is not None and not self._branch(banned, value, path):
            errors.append(
                FieldError(
                    "<nil>" if where else "",
                    "Invalid value",
                    "",
                    f'"{path}" must not validate the schema (not)',
                )
            )

    def _branch(self, schema: Schema, value: Any, path: str) -> list[FieldError]:
        """Faults of a value under a branch of anyOf and its like."""
        errors: list[FieldError] = []
        wanted = schema.get("type")
        if wanted and not fits(value, wanted):
            return [
                FieldError(
                    path,
                    "type",
                    json_type(value),
                    f'{path} in body must be of type {wanted}: "{json_type(value)}"',
                )
            ]
        self._plain(schema, value, path, errors)
        if isinstance(value, dict):
            for name, inner in (schema.get("properties") or {}).items():
                if name in value:
                    errors += self._branch(inner, value[name], f"{path}.{name}" if path else name)
        items = schema.get("items")
        if isinstance(value, list) and isinstance(items, dict):
            for i, item in enumerate(value):
                errors += self._branch(items, item, f"{path}[{i}]")
        self._combined(schema, value, path, errors)
        return errors

    def _lists(
        self, schema: Structural, value: Any, old: Any, path: str, errors: list[FieldError]
    ) -> None:
        """Members of sets and keyed lists must differ."""
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, inner in value.items():
                known = schema.properties.get(name)
                if known is None and isinstance(schema.extra, Structural):
                    known = schema.extra
                if known is not None:
                    self._lists(
                        known,
                        inner,
                        before.get(name, MISSING),
                        f"{path}.{name}" if path else name,
                        errors,
                    )
        elif isinstance(value, list) and schema.items is not None:
            if old is not MISSING and same(value, old):
                return
            seen: list[Any] = []
            for i, item in enumerate(value):
                self._lists(schema.items, item, MISSING, f"{path}[{i}]", errors)
                if schema.list_type == "set":
                    key = item
                elif schema.list_type != "map":
                    continue
                elif isinstance(item, dict):
                    key = {k: item[k] for k in schema.list_keys if k in item}
                else:
                    says = "must be an object for an array of list-type map"
                    errors.append(wrong(f"{path}[{i}]", item, says))
                    continue
                if any(same(key, s) for s in seen):
                    errors.append(duplicate(f"{path}[{i}]", key))
                seen.append(key)


def _at_most(most: int) -> str:
    return f"must have at most {most} item{'' if most == 1 else 's'}"


def _shown(value: float) -> Any:
    """A number inside a message, in the server's digits."""
    return Raw(double_text(value)) if isinstance(value, float) else value


def value_count(value: Any) -> Any:
    return len(value)


def _printed(value: Any) -> Any:
    if isinstance(value, str):
        return value
    from kaito.local.apiserver.fields import shown

    return Raw(shown(value))


def _chosen(value: Any, option: Any) -> bool:
    """Is a value an option? Numbers lose their fraction where the option has none."""
    if isinstance(value, float) and json_type(option) == "integer" and abs(value) <= EXACT:
        return bool(int(value) == option)
    return same(value, option)


def _number_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)


def _search(pattern: str, value: str) -> bool:
    try:
        return matches(pattern, value)
    except re.error:
        return True


def _not_listed(path: str, value: Any, options: list[Any]) -> FieldError:
    """The options are named in the order of the schema, unlike those of built-in kinds."""
    listed = ", ".join(go_quote(_printed(o)) for o in options)
    return FieldError(path, "Unsupported value", _printed(value), f"supported values: {listed}")
