"""OpenAPI v3: the index of group versions and one document for each."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.kinds import Kinds
from kaito.local.apiserver.schema import TypeTable
from kaito.local.apiserver.status import no_page

Object = dict[str, Any]


class OpenApi:
    """Answers /openapi/v3 and below."""

    def __init__(self, kinds: Kinds, types: TypeTable) -> None:
        self._kinds = kinds
        self._types = types

    def answer(self, request: Request, parts: list[str]) -> Response:
        raise no_page()
