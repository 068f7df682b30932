"""Addresses of pods: one of 10.244.0.0/16 each while the pod is there.

They lead nowhere. What talks to a pod goes through the API server's proxy.
"""

from __future__ import annotations

_FIRST = 10  # the lowest addresses of a network are for its routers
_COUNT = 0x10000 - _FIRST


class PodAddresses:
    """Hands out addresses by the pod's uid; the same uid gets the same address again."""

    def __init__(self) -> None:
        self._by_uid: dict[str, str] = {}
        self._used: set[str] = set()
        self._next = 0

    def keep(self, uid: str, address: str) -> None:
        """Note what an earlier run has handed out."""
        self._by_uid[uid] = address
        self._used.add(address)

    def of(self, uid: str) -> str:
        """The address of a pod. OverflowError when 65,000 pods hold all of them."""
        if uid in self._by_uid:
            return self._by_uid[uid]
        for _ in range(_COUNT):
            number = _FIRST + self._next % _COUNT
            self._next += 1
            address = f"10.244.{number >> 8}.{number & 0xFF}"
            if address not in self._used:
                self.keep(uid, address)
                return address
        raise OverflowError("Every address of 10.244.0.0/16 is held by a pod.")

    def release(self, uid: str) -> None:
        """The pod is gone."""
        address = self._by_uid.pop(uid, None)
        if address is not None:
            self._used.discard(address)
