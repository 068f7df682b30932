"""Whether a URL leads to where public data can be, as far as it can be told from its spelling.

What a name resolves to is not looked at: who downloads does that, at the time.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

# Names that only a cluster, a host's own network or a cloud's metadata service answers to: RFC
# 6761, RFC 6762, and ICANN's reservation of .internal in 2024.
INSIDE = (".localhost", ".local", ".internal", ".svc")
# Azure's own services for virtual machines, at an address that looks public.
WIRE_SERVER = IPv4Address("168.63.129.16")
# IPv6 addresses that stand for an IPv4 address, and by how many bits it is followed.
EMBEDDING = (
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
)


def is_address(url: str) -> bool:
    """Whether a URL names a host and a port that can exist."""
    return _split(url) is not None


def leads_inside(url: str) -> bool:
    """Whether a URL, as it is written, names an address that no public data is at.

    Loopback, private, link-local and other special addresses in any spelling that resolvers take
    (decimal, octal and hexadecimal numbers too), names without a dot, and names of the cluster and
    of metadata services. False for what is no address.
    """
    parts = _split(url)
    if parts is None:
        return False
    host = (parts.hostname or "").rstrip(".").lower()
    address = _address(host)
    if address is None:
        return "." not in host or host.endswith(INSIDE)
    return not address.is_global or address.is_multicast or address == WIRE_SERVER


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        # Both are read when they are asked for, and may be none.
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return _number_address(host)
    if isinstance(found, IPv4Address):
        return found
    return found.ipv4_mapped or _embedded(found)


def _embedded(address: IPv6Address) -> IPv4Address | IPv6Address:
    for network, following in EMBEDDING:
        if address in network:
            return IPv4Address(int(address) >> following & 0xFFFFFFFF)
    return address


def _number_address(host: str) -> IPv4Address | None:
    """An IPv4 address as inet_aton takes it: one to four numbers, the last one filling up."""
    parts = host.split(".")
    if len(parts) > 4 or not all(re.fullmatch(r"0x[0-9a-f]+|[0-9]+", part) for part in parts):
        return None
    try:
        *first, last = [
            int(part, 16 if part.startswith("0x") else 8 if part.startswith("0") else 10)
            for part in parts
        ]
        value = last + sum(number << 8 * (3 - place) for place, number in enumerate(first))
        return IPv4Address(value)
    except ValueError:
        return None
