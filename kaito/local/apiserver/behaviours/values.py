"""What labels, addresses and ranges of addresses may be.

Each function gives the faults of one value at one path, and nothing for a value that is fine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from kaito.local.apiserver import names
from kaito.local.apiserver.fields import FieldError, wrong

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ADDRESS_SAYS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NETWORK_SAYS = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
PADDED = re.compile(r"(^|[./])0+(?=\d)")


def labels(pairs: dict[str, str] | None, path: str) -> list[FieldError]:
    """Keys and values as labels have them."""
    errors: list[FieldError] = []
    for key, value in sorted((pairs or {}).items()):
        errors += [wrong(path, key, fault) for fault in names.qualified(key)]
        errors += [wrong(path, value, fault) for fault in names.label_value(value)]
    return errors


def parse_address(text: str) -> Address | None:
    """The address as lenient readers understand it: leading zeros are decimal."""
    try:
        return ipaddress.ip_address(PADDED.sub(r"\1", text)) if "%" not in text else None
    except ValueError:
        return None


def mapped(found: Address | Network) -> bool:
    first = found.network_address if isinstance(found, Network) else found
    return isinstance(first, ipaddress.IPv6Address) and first.ipv4_mapped is not None


def address(value: str, path: str, known: Collection[str] = ()) -> list[FieldError]:
    """An address in one of its ordinary spellings, or one of those `known` from before."""
    if value in known:
        return []
    found = parse_address(value)
    if found is None:
        return [wrong(path, value, ADDRESS_SAYS)]
    if ":" not in value and PADDED.search(value):
        return [wrong(path, value, "must not have leading 0s")]
    if mapped(found):
        return [wrong(path, value, "must not be an IPv4-mapped IPv6 address")]
    return []


def exact_address(value: str, path: str) -> list[FieldError]:
    """An address spelled as it is printed."""
    errors = address(value, path)
    found = parse_address(value)
    if not errors and str(found) != value:
        errors.append(wrong(path, value, f'must be in canonical form ("{found}")'))
    return errors


def reachable(value: str, path: str) -> list[FieldError]:
    """An address that other machines can use."""
    found = parse_address(value)
    if found is None:
        return [wrong(path, value, "must be a valid IP address")]
    multicast = (
        found in ipaddress.ip_network("224.0.0.0/24")
        if found.version == 4
        else found in ipaddress.ip_network("ff02::/16")
    )
    refused = (
        (found.is_unspecified, f"may not be unspecified ({value})"),
        (found.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (
            found.is_link_local,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (
            multicast,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    )
    return [wrong(path, value, why) for is_so, why in refused if is_so]


def not_an_address(host: str, path: str) -> list[FieldError]:
    """A host is called by its name."""
    if parse_address(host) is None:
        return []
    return [wrong(path, host, "must be a DNS name, not an IP address")]


def parse_network(text: str) -> Network | None:
    head, slash, length = text.partition("/")
    if not slash or not length.isascii() or not length.isdigit() or parse_address(head) is None:
        return None
    try:
        return ipaddress.ip_network(PADDED.sub(r"\1", text), strict=False)
    except ValueError:
        return None


def network(value: str, path: str, known: Collection[str] = ()) -> list[FieldError]:
    """A range of addresses, or one of those `known` from before."""
    if value in known:
        return []
    found = parse_network(value)
    if found is None:
        return [wrong(path, value, NETWORK_SAYS)]
    if PADDED.search(value) and (":" not in value or PADDED.search(value.rpartition("/")[2])):
        return [wrong(path, value, "must not have leading 0s in IP or prefix length")]
    if mapped(found):
        return [wrong(path, value, "must not have an IPv4-mapped IPv6 address")]
    if parse_address(value.partition("/")[0]) != found.network_address:
        return [wrong(path, value, "must not have bits set beyond the prefix length")]
    return []


def address_warnings(value: str, path: str) -> list[str]:
    """Spellings that old objects may have and new ones should not."""
    found = parse_address(value)
    if found is None:
        return []
    if mapped(found) or (":" not in value and PADDED.search(value)):
        return [f'{path}: non-standard IP address "{value}" is invalid: use "{found}"']
    if found.version == 6 and str(found) != value:
        return [
            f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{found}")'
        ]
    return []


def network_warnings(value: str, path: str) -> list[str]:
    found = parse_network(value)
    if found is None:
        return []
    if found.version == 6 and str(found) != value:
        return [
            f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{found}")'
        ]
    return []
