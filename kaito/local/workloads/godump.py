"""A pod template as the Go struct prints itself, which is the text that controllers hash.

Every field stands in the order of its declaration with its Go name and type, pointers followed,
maps sorted, quantities in their internal form. Exact for every field of a template but two that
nobody sets there: a creationTimestamp shows its time zone, which depends on the machine (here one
without a zone file), and the fields of managedFields show as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import ROUND_UP, localcontext
from functools import cache
from itertools import groupby
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.gotext import field_name, is_pointer
from kaito.local.apiserver.schema import Field, Node, TypeTable
from kaito.local.apiserver.typed import go_type
from kaito.runtime import parse_rfc3339

NIL = "<nil>"
TEMPLATE = "V1PodTemplateSpec"
NAMES = {"metadata": "ObjectMeta"}  # embedded under its type's name
NO_POINTERS = frozenset({"creationTimestamp"})  # of the times
YEAR_ONE = 62_135_596_800  # seconds from the first year to 1970: Go's times start there
ZONELESS = (
    "(*time.Location){name:(string)UTC zone:([]time.zone)<nil> tx:([]time.zoneTrans)<nil> "
    "extend:(string) cacheStart:(int64)0 cacheEnd:(int64)0 cacheZone:(*time.zone)<nil>}"
)


@cache
def _root() -> Node:
    return TypeTable().node(TEMPLATE)


def dump(template: Mapping[str, Any]) -> str:
    """The text of a PodTemplateSpec as the server stores it, with canonical quantities."""
    return f"(v1.PodTemplateSpec){_value(_root(), template)}"


def _value(node: Node, given: Any) -> str:
    """A value without its type. What is empty counts as unset, as it does on the wire."""
    if node.form == "struct":
        return _struct(node, given or {})
    if node.form == "scalar":
        return _scalar(node.scalar, given)
    if not given:
        return NIL
    if node.element is not None and node.form == "list":
        return f"[{' '.join(_value(node.element, each) for each in given)}]"
    if node.element is not None:
        inner = node.element
        return f"map[{' '.join(f'{k}:{_value(inner, v)}' for k, v in sorted(given.items()))}]"
    return json.dumps(given, sort_keys=True)


def _struct(node: Node, given: Mapping[str, Any]) -> str:
    parts = []
    # Fields that are embedded through another struct stand side by side.
    for inside, fields in groupby(node.fields.values(), lambda field: field.inside):
        shown = " ".join(_field(field, given.get(field.name)) for field in fields)
        parts.append(f"{inside}:(v1.{inside}){{{shown}}}" if inside else shown)
    return f"{{{' '.join(parts)}}}"


def _field(field: Field, given: Any) -> str:
    name, kind = NAMES.get(field.name) or field_name(field), go_type(field.node)
    if not is_pointer(field) and (field.node.scalar != "t" or field.name in NO_POINTERS):
        return f"{name}:({kind}){_value(field.node, given)}"
    return f"{name}:(*{kind}){NIL if given is None else _value(field.node, given)}"


def _scalar(code: str, given: Any) -> str:
    match code:
        case "s":
            return given or ""
        case "b":
            return "true" if given else "false"
        case "q":
            return _quantity(str(given or "0"))
        case "ios":
            number, text = (0, given) if isinstance(given, str) else (given or 0, "")
            kind = int(isinstance(given, str))
            return f"{{Type:(intstr.Type){kind} IntVal:(int32){number} StrVal:(string){text}}}"
        case "t":
            seconds = int(parse_rfc3339(given)) + YEAR_ONE if given else 0
            zone = ZONELESS if given else f"(*time.Location){NIL}"
            time = f"{{wall:(uint64)0 ext:(int64){seconds} loc:{zone}}}"
            return f"{{Time:(time.Time){time}}}"
        case _:
            return str(given or 0)


def _quantity(text: str) -> str:
    """A canonical quantity: a number and a scale where that surely fits into 64 bits, else a
    decimal. Its text is kept beside them where parsing alone shows that it is canonical."""
    if text == "0":
        return _amount("DecimalSI", text=text)
    found = quantity.WRITTEN.fullmatch(text)
    assert found is not None
    whole, fraction, suffix = found[1] or "0", found[2] or "", found[3]
    digits, scale = whole + fraction, 0
    number = -int(digits) if text[0] == "-" else int(digits)
    if suffix in quantity.BINARY:
        style = "BinarySI"
        small = not fraction and len(whole) + 3 * quantity.BINARY[suffix] < 15
        number <<= 10 * quantity.BINARY[suffix]
    else:
        style = "DecimalSI" if suffix in quantity.DECIMAL else "DecimalExponent"
        scale = (
            3 * quantity.DECIMAL[suffix] if suffix in quantity.DECIMAL else int(suffix[1:])
        ) - len(fraction)
        small = len(digits) <= 18 and scale >= -9
    if small:
        return _amount(style, number, scale, text=text if quantity.stays(text) else "")
    amount = quantity.value(text)
    if suffix in quantity.BINARY and abs(amount) >= quantity.LARGEST:
        return _amount(style, decimal=_decimal(int(quantity.LARGEST.copy_sign(amount)), 0))
    with localcontext(prec=quantity.PRECISION, rounding=ROUND_UP):
        return _amount(style, decimal=_decimal(int(amount.scaleb(9).to_integral_value()), 9))


def _amount(
    style: str, number: int = 0, scale: int = 0, *, decimal: str = NIL, text: str = ""
) -> str:
    return (
        f"{{i:(resource.int64Amount){{value:(int64){number} scale:(resource.Scale){scale}}} "
        f"d:(resource.infDecAmount){{Dec:(*inf.Dec){decimal}}} "
        f"s:(string){text} Format:(resource.Format){style}}}"
    )


def _decimal(number: int, places: int) -> str:
    """A number of any size, as words of 64 bits, the lowest first."""
    words, rest = [], abs(number)
    while rest:
        words.append(str(rest % 2**64))
        rest >>= 64
    size = f"{{neg:(bool){'true' if number < 0 else 'false'} abs:(big.nat)[{' '.join(words)}]}}"
    return f"{{unscaled:(big.Int){size} scale:(inf.Scale){places}}}"
