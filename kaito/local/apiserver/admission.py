"""Admission: everything that may change or refuse a write between decoding and storing.

Plugins run in order; a plugin mutates, validates or both. Webhooks are plugins too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from kaito.local.apiserver.core import Call
from kaito.local.apiserver.options import WriteOptions

Object = dict[str, Any]


@dataclass(slots=True)
class Review:
    """One write under review. Mutating plugins may replace `object`."""

    operation: str
    call: Call
    object: Object
    old: Object | None
    options: WriteOptions
    subresource: str = ""
    name: str = ""


class Plugin(Protocol):
    async def mutate(self, review: Review) -> None: ...

    async def validate(self, review: Review) -> None: ...


@dataclass(slots=True)
class Admission:
    """The chain of plugins."""

    plugins: list[Plugin] = field(default_factory=list)

    async def mutate(self, review: Review) -> None:
        for plugin in self.plugins:
            await plugin.mutate(review)

    async def validate(self, review: Review) -> None:
        for plugin in self.plugins:
            await plugin.validate(review)
