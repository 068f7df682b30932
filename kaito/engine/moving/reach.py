"""Which addresses may be connected to for data that a user names by URL. Pure.

kaito.api.addresses judges the spelling of a URL when a Workspace is written; here it is the very
address of a connection, whatever name led to it. A test shows that both agree.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

GLOBAL_UNICAST = IPv6Network("2000::/3")  # RFC 4291, as IANA gives it out
# IPv6 addresses that stand for an IPv4 address, and by how many bits it is followed.
EMBEDDING = (
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
)
# Where clouds tell a machine its identity and secrets: nobody may allow these.
METADATA: tuple[Network, ...] = (
    IPv4Network("169.254.0.0/16"),  # link-local, and the usual metadata service
    IPv6Network("fe80::/10"),
    IPv6Network("fd00:ec2::254/128"),  # AWS
    IPv4Network("168.63.129.16/32"),  # Azure's wire server
    IPv4Network("100.100.100.200/32"),  # Alibaba
    IPv4Network("192.0.0.192/32"),  # Oracle
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be connected to: public addresses, and these networks."""

    allowed: tuple[Network, ...] = ()

    def permits(self, text: str) -> bool:
        """Whether an address, as sockets and resolvers write it, may be connected to.

        Never what no data is at: link-local, multicast and unspecified addresses, and those of
        metadata services. False for what is no address.
        """
        try:
            spelled = ipaddress.ip_address(text)
        except ValueError:
            return False
        meant = _meant(spelled)
        if _never(spelled) or _never(meant):
            return False
        return any(each in net for net in self.allowed for each in (spelled, meant)) or (
            _public(meant)
        )


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks as they are written. ValueError for what is none."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _meant(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        for network, following in EMBEDDING:
            if address in network:
                return IPv4Address(int(address) >> following & 0xFFFFFFFF)
    return address


def _never(address: Address) -> bool:
    return (
        address.is_multicast
        or address.is_unspecified
        or any(address in network for network in METADATA)
    )


def _public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_reserved
