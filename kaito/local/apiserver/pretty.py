"""The last touch on an answer: an end of line, or indented text for people."""

from __future__ import annotations

import msgspec

from kaito.local.apiserver.http import JSON, Request, Response

PEOPLE = ("curl", "Wget", "Mozilla/5.0")
TRUE = {"1", "t", "T", "TRUE", "true", "True"}


def finish(request: Request, response: Response) -> None:
    """End a JSON text with a line, or indent it when asked to or when a person seems to read."""
    body = response.body
    if response.headers.get("content-type") != JSON or not isinstance(body, bytes):
        return
    if body[:2] == b"{\n":
        return
    if _for_people(request):
        response.body = indented(body)
    elif not body.endswith(b"\n"):
        response.body = body + b"\n"


def indented(text: bytes) -> bytes:
    return msgspec.json.format(text, indent=2)


def _for_people(request: Request) -> bool:
    asked = request.parameters().get("pretty") if "pretty" in request.query else ""
    if asked:
        return asked in TRUE
    return request.headers.get("user-agent", "").startswith(PEOPLE)
