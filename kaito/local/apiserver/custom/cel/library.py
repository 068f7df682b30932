"""Kubernetes' own CEL functions: quantities, URLs, addresses, versions, formats, lists."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from cel_expr_python import cel  # type: ignore[import-untyped]  # no py.typed in it
from cel_expr_python.ext import (  # type: ignore[import-untyped]  # as above
    ext_bindings,
    ext_math,
    ext_optional,
    ext_strings,
)

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.custom.formats import FORMATS

T = cel.Type
DYN, STRING, BOOL, INT, DOUBLE = T.DYN, T.STRING, T.BOOL, T.INT, T.DOUBLE
LIST = T.List(T.DYN)
MAP = T.Map(T.STRING, T.DYN)
Tagged = dict[str, Any]
SEMVER = re.compile(
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?"
    r"(?:\+([0-9A-Za-z.-]+))?$"
)


def plain(value: Any) -> Any:
    """A function's argument as plain Python."""
    return (
        value.plain_value()
        if hasattr(value, "plain_value")
        else {plain(k): plain(v) for k, v in value.items()}
        if isinstance(value, dict)
        else [plain(v) for v in value]
        if isinstance(value, list)
        else value
    )


def make_quantity(text: str) -> Tagged:
    quantity.value(text)
    return {"quantity": str(quantity.value(text).normalize())}


def amount(tagged: Any) -> Any:
    from decimal import Decimal

    return Decimal(plain(tagged)["quantity"])


def is_quantity(text: str) -> bool:
    try:
        quantity.value(text)
    except quantity.QuantityError:
        return False
    return True


def make_url(text: str) -> Tagged:
    found = urlsplit(text)
    if not found.scheme and not text.startswith("/"):
        raise ValueError(
            f'URL parse error during conversion from string: parse "{text}": '
            "invalid URI for request"
        )
    return {"url": text}


def is_url(text: str) -> bool:
    try:
        make_url(text)
    except ValueError:
        return False
    return bool(text)


def url_part(part: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda tagged: part(urlsplit(plain(tagged)["url"]))


def make_ip(text: str) -> Tagged:
    try:
        return {"ip": str(ipaddress.ip_address(text))}
    except ValueError as error:
        raise ValueError(
            f'IP Address "{text}" parse error during conversion from string: '
            f'ParseAddr("{text}"): unable to parse IP'
        ) from error


def address(tagged: Any) -> Any:
    return ipaddress.ip_address(plain(tagged)["ip"])


def make_cidr(text: str) -> Tagged:
    if "/" not in text:
        raise ValueError(
            f"network address parse error during conversion from string: "
            f"network.ParsePrefix(\"{text}\"): no '/'"
        )
    return {"cidr": str(ipaddress.ip_interface(text))}


def network(tagged: Any) -> Any:
    return ipaddress.ip_interface(plain(tagged)["cidr"])


def works(make: Callable[[str], Any]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            make(text)
        except ValueError:
            return False
        return True

    return test


def contains(outer: Any, inner: Any) -> bool:
    mine = network(outer).network
    found = plain(inner)
    if isinstance(found, str):
        theirs = (
            ipaddress.ip_network(found, strict=False)
            if "/" in found
            else ipaddress.ip_network(found)
        )
    elif "ip" in found:
        theirs = ipaddress.ip_network(found["ip"])
    else:
        theirs = network(inner).network
    return bool(mine.version == theirs.version and theirs.subnet_of(mine))


def make_semver(text: str, normalize: bool = False) -> Tagged:
    if normalize:
        text = text.removeprefix("v")
        core = re.split(r"[-+]", text)[0]
        parts = [p.lstrip("0") or "0" for p in core.split(".")]
        parts += ["0"] * (3 - len(parts))
        text = ".".join(parts) + text[len(core) :]
    if not SEMVER.match(text):
        raise ValueError(
            "No Major.Minor.Patch elements found"
            if text.count(".") < 2
            else f'Invalid character(s) found in version "{text}"'
        )
    return {"semver": text}


def version(tagged: Any) -> tuple[Any, ...]:
    found = SEMVER.match(plain(tagged)["semver"])
    assert found is not None
    early = found[4]
    marks = (
        tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in early.split("."))
        if early
        else ()
    )
    return (int(found[1]), int(found[2]), int(found[3]), early is None, marks)


def compare(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def _named(kind: str) -> Callable[[], Tagged]:
    return lambda: {"format": kind}


def less_first(first: Any, second: Any) -> tuple[Any, Any]:
    """Two tagged values as what they compare by."""
    kind = plain(first)
    if "quantity" in kind:
        return amount(first), amount(second)
    return version(first), version(second)


LABEL: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.label,
    "dns1123Subdomain": names.subdomain,
    "dns1035Label": names.label_1035,
    "qualifiedName": names.qualified,
    "labelValue": names.label_value,
    "dns1123LabelPrefix": lambda t: names.name_faults("label", t, prefix=True),
    "dns1123SubdomainPrefix": lambda t: names.name_faults("subdomain", t, prefix=True),
    "dns1035LabelPrefix": lambda t: names.name_faults("label1035", t, prefix=True),
}
PLAIN_FORMATS = {
    "uri": "uri",
    "uuid": "uuid",
    "byte": "byte",
    "date": "date",
    "datetime": "date-time",
}


def faults(kind: str, text: str) -> list[str]:
    if kind in LABEL:
        return list(LABEL[kind](text))
    test = FORMATS.get(PLAIN_FORMATS.get(kind, kind))
    return [] if test is None or test(text) else [f"invalid {kind}"]


def add_quantity(a: Any, b: Any) -> Tagged:
    other = plain(b)
    second = amount(b) if isinstance(other, dict) else other
    return {"quantity": str((amount(a) + second).normalize())}


def sub_quantity(a: Any, b: Any) -> Tagged:
    other = plain(b)
    second = amount(b) if isinstance(other, dict) else other
    return {"quantity": str((amount(a) - second).normalize())}


def least(values: Any) -> Any:
    found = plain(values)
    if not found:
        raise ValueError("min called on empty list")
    return min(found)


def most(values: Any) -> Any:
    found = plain(values)
    if not found:
        raise ValueError("max called on empty list")
    return max(found)


def position(values: Any, wanted: Any, *, last: bool = False) -> int:
    found, goal = plain(values), plain(wanted)
    hits = [i for i, v in enumerate(found) if v == goal]
    return (hits[-1] if last else hits[0]) if hits else -1


_Overloads = list[tuple[Any, list[Any], bool, Callable[..., Any]]]


def validate(kind: Any, text: str) -> list[str]:
    """The faults of a text; rules see none as an empty optional (see types.rewritten)."""
    return faults(plain(kind)["format"], text)


def _functions() -> dict[str, _Overloads]:
    table: dict[str, _Overloads] = {
        "find": [
            (STRING, [STRING, STRING], True, lambda s, p: m[0] if (m := re.search(p, s)) else "")
        ],
        "findAll": [
            (
                T.List(STRING),
                [STRING, STRING],
                True,
                lambda s, p: [m[0] for m in re.finditer(p, s)],
            ),
            (
                T.List(STRING),
                [STRING, STRING, INT],
                True,
                lambda s, p, n: [m[0] for m in re.finditer(p, s)][: n if n >= 0 else None],
            ),
        ],
        "isSorted": [(BOOL, [LIST], True, lambda v: plain(v) == sorted(plain(v)))],
        "sum": [(DYN, [LIST], True, lambda v: sum(plain(v)))],
        "min": [(DYN, [LIST], True, least)],
        "max": [(DYN, [LIST], True, most)],
        "quantity": [(MAP, [STRING], False, make_quantity)],
        "isQuantity": [(BOOL, [STRING], False, is_quantity)],
        "isGreaterThan": [(BOOL, [MAP, MAP], True, lambda a, b: compare(*less_first(a, b)) > 0)],
        "isLessThan": [(BOOL, [MAP, MAP], True, lambda a, b: compare(*less_first(a, b)) < 0)],
        "compareTo": [(INT, [MAP, MAP], True, lambda a, b: compare(*less_first(a, b)))],
        "sign": [(INT, [MAP], True, lambda q: compare(amount(q), 0))],
        "isInteger": [(BOOL, [MAP], True, lambda q: amount(q) % 1 == 0)],
        "asInteger": [(INT, [MAP], True, lambda q: int(amount(q)))],
        "asApproximateFloat": [(DOUBLE, [MAP], True, lambda q: float(amount(q)))],
        "add": [(MAP, [MAP, MAP], True, add_quantity), (MAP, [MAP, INT], True, add_quantity)],
        "sub": [(MAP, [MAP, MAP], True, sub_quantity), (MAP, [MAP, INT], True, sub_quantity)],
        "url": [(MAP, [STRING], False, make_url)],
        "isURL": [(BOOL, [STRING], False, is_url)],
        "getScheme": [(STRING, [MAP], True, url_part(lambda u: u.scheme))],
        "getHost": [(STRING, [MAP], True, url_part(lambda u: u.netloc.rpartition("@")[2]))],
        "getHostname": [(STRING, [MAP], True, url_part(lambda u: u.hostname or ""))],
        "getPort": [(STRING, [MAP], True, url_part(lambda u: str(u.port or "")))],
        "getEscapedPath": [(STRING, [MAP], True, url_part(lambda u: u.path))],
        "ip": [
            (MAP, [STRING], False, make_ip),
            (MAP, [MAP], True, lambda c: {"ip": str(network(c).ip)}),
        ],
        "isIP": [(BOOL, [STRING], False, works(make_ip))],
        "family": [(INT, [MAP], True, lambda i: address(i).version)],
        "isUnspecified": [(BOOL, [MAP], True, lambda i: address(i).is_unspecified)],
        "isLoopback": [(BOOL, [MAP], True, lambda i: address(i).is_loopback)],
        "isGlobalUnicast": [
            (
                BOOL,
                [MAP],
                True,
                lambda i: (
                    not (
                        address(i).is_loopback
                        or address(i).is_multicast
                        or address(i).is_unspecified
                        or address(i).is_link_local
                    )
                ),
            )
        ],
        "isLinkLocalUnicast": [(BOOL, [MAP], True, lambda i: address(i).is_link_local)],
        "isLinkLocalMulticast": [
            (BOOL, [MAP], True, lambda i: str(address(i)).startswith(("224.0.0.", "ff02:")))
        ],
        "ip.isCanonical": [(BOOL, [STRING], False, lambda s: make_ip(s)["ip"] == s)],
        "cidr": [(MAP, [STRING], False, make_cidr)],
        "isCIDR": [(BOOL, [STRING], False, works(make_cidr))],
        "containsIP": [(BOOL, [MAP, MAP], True, contains), (BOOL, [MAP, STRING], True, contains)],
        "containsCIDR": [(BOOL, [MAP, MAP], True, contains), (BOOL, [MAP, STRING], True, contains)],
        "masked": [(MAP, [MAP], True, lambda c: {"cidr": str(network(c).network)})],
        "prefixLength": [(INT, [MAP], True, lambda c: network(c).network.prefixlen)],
        "semver": [(MAP, [STRING], False, make_semver), (MAP, [STRING, BOOL], False, make_semver)],
        "isSemver": [(BOOL, [STRING], False, works(make_semver))],
        "major": [(INT, [MAP], True, lambda v: version(v)[0])],
        "minor": [(INT, [MAP], True, lambda v: version(v)[1])],
        "patch": [(INT, [MAP], True, lambda v: version(v)[2])],
        "validate": [(T.List(STRING), [MAP, STRING], True, validate)],
        "indexOf": [(INT, [LIST, DYN], True, position)],
        "lastIndexOf": [(INT, [LIST, DYN], True, lambda v, w: position(v, w, last=True))],
    }
    for kind in (*LABEL, *PLAIN_FORMATS):
        table[f"format.{kind}"] = [(MAP, [], False, _named(kind))]
    return table


def environment(variables: dict[str, Any]) -> Any:
    """A CEL environment with Kubernetes' library, for rules over these variables."""
    extensions = [
        ext_strings.ExtStrings(),
        ext_optional.ExtOptional(),
        ext_math.ExtMath(),
        ext_bindings.ExtBindings(),
    ]
    functions = []
    for name, overloads in _functions().items():
        if name in {"indexOf", "lastIndexOf"}:
            continue
        functions.append(
            cel.FunctionDecl(
                name,
                [
                    cel.Overload(
                        f"kube_{name.replace('.', '_')}_{i}",
                        return_type=result,
                        parameters=parameters,
                        is_member=member,
                        impl=impl,
                    )
                    for i, (result, parameters, member, impl) in enumerate(overloads)
                ],
            )
        )
    return cel.NewEnv(variables=variables, extensions=extensions, functions=functions)
