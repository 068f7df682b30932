"""The functions that Kubernetes adds: quantities, URLs, addresses, versions and named formats."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.cel.declarations import FORMATS
from kaito.local.apiserver.cel.values import (
    CIDR,
    HIGH,
    IP,
    LOW,
    NO_OVERLOAD,
    NONE,
    URL,
    CelError,
    Format,
    Optional,
    Quantity,
    Semver,
)
from kaito.local.apiserver.custom import formats
from kaito.local.apiserver.fields import go_quote

Function = Callable[..., Any]
PART = re.compile(r"[0-9A-Za-z-]+")


def works(make: Function) -> Function:
    def test(*arguments: Any) -> bool:
        try:
            make(*arguments)
        except CelError:
            return False
        return True

    return test


def to_quantity(text: str) -> Quantity:
    try:
        found = quantity.value(text)
        return Quantity(found, text.endswith("i") and "." in text)
    except quantity.QuantityError as error:
        raise CelError(str(error)) from error


def _order(one: Any, other: Any) -> int:
    a, b = _ranks(one, other)
    return int(a > b) - int(a < b)


def _ranks(one: Any, other: Any) -> tuple[Any, Any]:
    if isinstance(one, Quantity):
        return one.amount, other.amount
    return one.rank(), other.rank()


def as_integer(found: Quantity) -> int:
    if found.broken or found.amount % 1 or not LOW <= found.amount <= HIGH:
        raise CelError("cannot convert value to integer")
    return int(found.amount)


def _amount(other: Any) -> Decimal:
    return other.amount if isinstance(other, Quantity) else Decimal(other)


def url_fault(text: str) -> str:
    """Why a text is no URL of a request; empty when it is one."""
    head = f"parse {go_quote(text)}: "
    if not text:
        return f"{head}empty url"
    for char in text:
        if ord(char) < 0x20 or ord(char) == 0x7F:
            return f"{head}net/url: invalid control character in URL"
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    rest = text[found.end() :] if found else text
    if not found and text.startswith(":"):
        return f"{head}missing protocol scheme"
    if not rest.startswith("/"):
        return "" if found else f"{head}invalid URI for request"
    return _host_fault(head, rest) or _escape_fault(head, rest)


def _host_fault(head: str, rest: str) -> str:
    if not rest.startswith("//") or rest.startswith("///"):
        return ""
    authority = re.split(r"[/?]", rest[2:], maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    bad = re.search(r"[ \"<>\\^`{|}]", host)
    if bad:
        return f"{head}invalid character {go_quote(bad[0])} in host name"
    if host.startswith("["):
        if "]" not in host:
            return f"{head}missing ']' in host"
        port = host[host.index("]") + 1 :]
    else:
        port = f":{host.partition(':')[2]}" if ":" in host else ""
    if port and not re.fullmatch(r":\d*", port):
        return f"{head}invalid port {go_quote(port)} after host"
    return ""


def _escape_fault(head: str, rest: str) -> str:
    found = re.search(r"%(?![0-9a-fA-F]{2}).{0,2}", rest.partition("?")[0])
    return f"{head}invalid URL escape {go_quote(found[0])}" if found else ""


def to_url(text: str) -> URL:
    fault = url_fault(text)
    if fault:
        raise CelError(f"URL parse error during conversion from string: {fault}")
    return URL(urlsplit(text), text)


def _host(found: URL) -> str:
    return found.parts.netloc.rpartition("@")[2]


def _hostname(found: URL) -> str:
    host = _host(found)
    if host.startswith("["):
        return host[1 : host.index("]")]
    return host.partition(":")[0]


def _port(found: URL) -> str:
    return _host(found).rpartition("]")[2].partition(":")[2]


def _path(found: URL) -> str:
    return quote(found.parts.path, safe="/%:@!$&'()*+,;=~-._")


def _address_fault(text: str) -> str:
    """Why a text is no address, as the parser says it."""
    head = f"ParseAddr({go_quote(text)}): "
    if ":" in text:
        return f"{head}{_six_fault(text)}"
    if "." not in text:
        return f"{head}unable to parse IP"
    parts = text.split(".")
    for part in parts:
        if not part:
            at = len(".".join(parts[: parts.index("")]))
            rest = text[at:].removeprefix("." if at else "")
            return f"{head}IPv4 field must have at least one digit" + (
                f" (at {go_quote(rest)})" if rest else ""
            )
        if not part.isdigit():
            bad = next(i for i, c in enumerate(text) if not c.isdigit() and c != ".")
            return f"{head}unexpected character (at {go_quote(text[bad:])})"
        if len(part) > 1 and part[0] == "0":
            return f"{head}IPv4 field has octet with leading zero"
        if int(part) > 255:
            return f"{head}IPv4 field has value >255"
    return f"{head}IPv4 address too {'short' if len(parts) < 4 else 'long'}"


def _six_fault(text: str) -> str:
    bad = re.search(r"[^0-9a-fA-F:.%]", text)
    if bad:
        rest = text[bad.start() :]
        return (
            "each colon-separated field must have at least one digit"
            if text[bad.start() - 1 : bad.start()] in {":", ""}
            else "unexpected character, want colon"
        ) + f" (at {go_quote(rest)})"
    long = re.search(r"[0-9a-fA-F]{5,}", text)
    if long:
        return f"each group must have 4 or less digits (at {go_quote(text[long.start() :])})"
    if text.count("::") > 1:
        return f"multiple :: in address (at {go_quote(text[text.rindex('::') + 1 :])})"
    parts = text.split(":")
    if len(parts) > 8:
        return f"trailing garbage after address (at {go_quote(':'.join(parts[8:]))})"
    return "address string too short"


def to_ip(text: str) -> IP:
    if "%" in text and ":" in text:
        raise CelError(f"IP address {go_quote(text)} with zone value is not allowed")
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise CelError(
            f"IP Address {go_quote(text)} parse error during conversion from string: "
            f"{_address_fault(text)}"
        ) from error
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise CelError(f"IPv4-mapped IPv6 address {go_quote(text)} is not allowed")
    return IP(found)


def to_cidr(text: str) -> CIDR:
    head = "network address parse error during conversion from string: "
    shown = f"{head}{head}netip.ParsePrefix({go_quote(text)}): "
    address, slash, bits = text.rpartition("/")
    if not slash:
        raise CelError(f"{shown}no '/'")
    try:
        found = ipaddress.ip_address(address)
    except ValueError as error:
        raise CelError(f"{shown}{_address_fault(address)}") from error
    if "%" in address:
        raise CelError(f"{shown}IPv6 zones cannot be present in a prefix")
    if not re.fullmatch(r"0|[1-9]\d*", bits):
        raise CelError(f"{shown}bad bits after slash: {go_quote(bits)}")
    if int(bits) > found.max_prefixlen:
        raise CelError(f"{shown}prefix length out of range")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise CelError(f"{head}IPv4-mapped IPv6 address {go_quote(text)} is not allowed")
    return CIDR(ipaddress.ip_interface(text))


def contains_ip(outer: CIDR, inner: Any) -> bool:
    try:
        found = to_ip(inner) if isinstance(inner, str) else inner
    except CelError as error:
        raise CelError(NO_OVERLOAD) from error
    network = outer.interface.network
    return bool(found.address.version == network.version and found.address in network)


def contains_cidr(outer: CIDR, inner: Any) -> bool:
    found = to_cidr(inner) if isinstance(inner, str) else inner
    theirs, mine = found.interface.network, outer.interface.network
    narrower = theirs.prefixlen >= mine.prefixlen
    return narrower and theirs.version == mine.version and theirs.network_address in mine


def _local_multicast(found: IP) -> bool:
    text = found.address
    if text.version == 4:
        return text in ipaddress.ip_network("224.0.0.0/24")
    return text.packed[0] == 0xFF and text.packed[1] & 0x0F == 0x02


def _global(found: IP) -> bool:
    at = found.address
    broadcast = str(at) == "255.255.255.255"
    return not (
        at.is_unspecified or at.is_loopback or at.is_multicast or at.is_link_local or broadcast
    )


def _canonical(text: str) -> bool:
    return str(to_ip(text).address) == text


def to_semver(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = _normalized(text)
    if not text:
        raise CelError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise CelError("No Major.Minor.Patch elements found")
    rest, _, build = parts[2].partition("+")
    last, dash, early = rest.partition("-")
    core = []
    for name, part in (("major", parts[0]), ("minor", parts[1]), ("patch", last)):
        if not part.isdigit() or not part.isascii():
            raise CelError(f"Invalid character(s) found in {name} number {go_quote(part)}")
        if len(part) > 1 and part[0] == "0":
            raise CelError(
                f"{name.title()} number must not contain leading zeroes {go_quote(part)}"
            )
        core.append(int(part))
    marks = [_early(p) for p in early.split(".")] if dash else []
    if "+" in parts[2]:
        for part in build.split("."):
            if not part:
                raise CelError("Build meta data is empty")
            if not PART.fullmatch(part):
                raise CelError(f"Invalid character(s) found in build meta data {go_quote(part)}")
    return Semver((core[0], core[1], core[2]), tuple(marks), text)


def _early(text: str) -> tuple[int, int, str]:
    if not text:
        raise CelError("Prerelease is empty")
    if text.isdigit():
        if len(text) > 1 and text[0] == "0":
            raise CelError(
                f"Numeric PreRelease version must not contain leading zeroes {go_quote(text)}"
            )
        return 0, int(text), ""
    if not PART.fullmatch(text):
        raise CelError(f"Invalid character(s) found in prerelease {go_quote(text)}")
    return 1, 0, text


def _normalized(text: str) -> str:
    parts = text.removeprefix("v").split(".", 2)
    for i, part in enumerate(parts):
        if len(part) > 1:
            bare = part.lstrip("0")
            parts[i] = bare if bare[:1].isdigit() else f"0{bare}"
    if len(parts) < 3:
        if re.search(r"[+-]", parts[-1]):
            raise CelError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _known(name: str, says: str) -> Callable[[str], list[str]]:
    test = formats.FORMATS[name]
    return lambda text: [] if test(text) else [says]


def _uri(text: str) -> list[str]:
    fault = url_fault(text)
    return [fault] if fault else []


FAULTS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.label,
    "dns1123Subdomain": names.subdomain,
    "dns1035Label": names.label_1035,
    "qualifiedName": names.qualified,
    "dns1123LabelPrefix": lambda t: names.name_faults("label", t, prefix=True),
    "dns1123SubdomainPrefix": lambda t: names.name_faults("subdomain", t, prefix=True),
    "dns1035LabelPrefix": lambda t: names.name_faults("label1035", t, prefix=True),
    "labelValue": names.label_value,
    "uri": _uri,
    "uuid": _known("uuid", "does not match the UUID format"),
    "byte": _known("byte", "invalid base64"),
    "date": _known("date", "invalid date"),
    "datetime": _known("date-time", "invalid datetime"),
}


def validate(wanted: Format, text: str) -> Optional:
    found = FAULTS[wanted.name](text)
    return Optional(True, list(found)) if found else NONE


def _named(name: str) -> Function:
    return lambda: Format(name)


KUBERNETES: dict[str, Function] = {
    "quantity": to_quantity,
    "isQuantity": works(to_quantity),
    "sign": lambda q: (q.amount > 0) - (q.amount < 0),
    "isInteger": works(as_integer),
    "asInteger": as_integer,
    "asApproximateFloat": lambda q: float(q.amount),
    "add": lambda q, other: Quantity(q.amount + _amount(other)),
    "sub": lambda q, other: Quantity(q.amount - _amount(other)),
    "isGreaterThan": lambda one, other: _order(one, other) > 0,
    "isLessThan": lambda one, other: _order(one, other) < 0,
    "compareTo": _order,
    "url": to_url,
    "isURL": lambda text: not url_fault(text),
    "getScheme": lambda u: u.parts.scheme,
    "getHost": _host,
    "getHostname": _hostname,
    "getPort": _port,
    "getEscapedPath": _path,
    "getQuery": lambda u: parse_qs(u.parts.query, keep_blank_values=True),
    "ip": lambda found: IP(found.interface.ip) if isinstance(found, CIDR) else to_ip(found),
    "isIP": works(to_ip),
    "ip.isCanonical": _canonical,
    "family": lambda i: i.address.version,
    "isUnspecified": lambda i: i.address.is_unspecified,
    "isLoopback": lambda i: i.address.is_loopback,
    "isLinkLocalMulticast": _local_multicast,
    "isLinkLocalUnicast": lambda i: i.address.is_link_local,
    "isGlobalUnicast": _global,
    "cidr": to_cidr,
    "isCIDR": works(to_cidr),
    "containsIP": contains_ip,
    "containsCIDR": contains_cidr,
    "masked": lambda c: CIDR(ipaddress.ip_interface(str(c.interface.network))),
    "prefixLength": lambda c: c.interface.network.prefixlen,
    "semver": to_semver,
    "isSemver": works(to_semver),
    "major": lambda v: v.core[0],
    "minor": lambda v: v.core[1],
    "patch": lambda v: v.core[2],
    "format.named": lambda name: Optional(True, Format(name)) if name in FAULTS else NONE,
    "validate": validate,
    **{f"format.{name}": _named(name) for name in FORMATS},
}
