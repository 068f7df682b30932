"""Continue tokens: where the next page of a list begins, and at which revision."""

from __future__ import annotations

import base64
import json
import posixpath

from kaito.local.apiserver.jsontext import explain
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.status import StatusError, bad_request

VERSION = "meta.k8s.io/v1"
TYPES = {"v": ("string", str), "rv": ("int64", int), "start": ("string", str)}


def token(revision: int, last: str) -> str:
    """A token for the page after the key `last`, relative to the list; -1 is now."""
    text = json.dumps({"v": VERSION, "rv": revision, "start": last + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(text: str) -> tuple[int, str]:
    """The revision and the first possible key. Raises StatusError (400)."""
    wrong = next((i for i, c in enumerate(text) if not _base64(c)), None)
    if wrong is None and len(text) % 4 == 1:
        wrong = len(text) - 1
    if wrong is not None:
        raise _refused(f"illegal base64 data at input byte {wrong}")
    found = _fields(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if found["v"] != VERSION:
        raise _refused(f"server does not recognize this encoded version {found['v']}")
    if not found["rv"]:
        raise _refused(f"incorrect encoded start resourceVersion (version {VERSION})")
    start = str(found["start"])
    if not start:
        raise _refused(f"encoded start key empty (version {VERSION})")
    key = start if start.startswith("/") else "/" + start
    if posixpath.normpath(key) != key:
        raise _refused(start)
    return int(found["rv"]), key[1:]


def _fields(raw: bytes) -> dict[str, str | int]:
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise _refused(explain(raw)) from error
    if not isinstance(found, dict):
        raise _refused(
            f"json: cannot unmarshal {json_kind(found)} into Go value of type storage.continueToken"
        )
    fields: dict[str, str | int] = {}
    for name, (go, python) in TYPES.items():
        value = found.get(name)
        fields[name] = python() if value is None else value
        if type(fields[name]) is not python:
            raise _refused(
                f"json: cannot unmarshal {json_kind(value)} into Go struct field "
                f"continueToken.{name} of type {go}"
            )
    return fields


def _base64(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in "-_")


def _refused(why: str) -> StatusError:
    return bad_request(f"invalid continue token: continue key is not valid: {why}")
