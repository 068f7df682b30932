"""Admission reviews: what an API server asks a webhook, and what it is answered.

Pure: bytes in, bytes out. Both versions of the protocol have one shape; the answer has the version
of the question. A patch is the difference between the object as it was sent and as the handler
wants it, so fields that the handler does not know survive.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from kaito.runtime.errors import Cause
from kaito.runtime.resource import Key, Object

VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")

UID_LENGTH = 128  # characters; API servers write UUIDs
SAID = 300  # characters of what a decoder says, which may quote the body
# How API servers begin: the fields of an AdmissionReview and of its request in their order.
_HEAD = re.compile(
    rb'\s*\{"kind":\s*"AdmissionReview",\s*"apiVersion":\s*"(admission\.k8s\.io/v1(?:beta1)?)",'
    rb'\s*"request":\s*\{"uid":\s*"([0-9A-Za-z-]{1,%d})"' % UID_LENGTH
)

Operation: TypeAlias = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A request that the API server wants judged."""

    uid: str
    operation: Operation
    group: str
    version: str
    plural: str
    subresource: str
    kind: str
    key: Key
    """The name is "" where the server has yet to make one up from generateName."""
    object: Object | None
    """None for DELETE."""
    old: Object | None
    """As it is stored; None for CREATE."""
    user: str
    groups: tuple[str, ...]
    dry_run: bool
    """Whether nothing will be kept: leave no traces elsewhere either."""

    @property
    def deleting(self) -> bool:
        """Whether the object only waits for its finalizers. Refuse no such update: what cannot be
        changed any more cannot be deleted either."""
        metadata = (self.object or {}).get("metadata")
        return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))


class Denied(Exception):
    """A handler's no. The server passes `message` on; kubectl prints `causes` beside their fields.

    Without `reason` and `code` it is 422 Invalid when there are causes, else 403 Forbidden.
    """

    def __init__(
        self, message: str, *, causes: Sequence[Cause] = (), reason: str = "", code: int = 0
    ) -> None:
        super().__init__(message)
        self.causes = tuple(causes)
        self.reason = reason or ("Invalid" if causes else "Forbidden")
        self.code = code or (422 if causes else 403)


class NotAReview(ValueError):
    """The body is no AdmissionReview of a version that we speak."""


class TooDeep(Exception):
    """An object that nests deeper than can be read; `answer` refuses it."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("The object nests too deeply.")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Question:
    """A review, and in which version of the protocol it was asked."""

    api_version: str
    review: Review

    @staticmethod
    def read(body: bytes) -> Question:
        """NotAReview when it is none, TooDeep when only its head can be read."""
        try:
            sent = msgspec.json.decode(body, type=_Envelope)
        except RecursionError as error:
            raise _too_deep(body) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotAReview(f"The body is no AdmissionReview: {str(error)[:SAID]}.") from error
        if sent.kind != "AdmissionReview" or sent.api_version not in VERSIONS:
            raise NotAReview(f"The body is no AdmissionReview of {' or '.join(VERSIONS)}.")
        asked = sent.request
        return Question(
            sent.api_version,
            Review(
                uid=asked.uid,
                operation=asked.operation,
                group=asked.resource.group,
                version=asked.resource.version,
                plural=asked.resource.resource,
                subresource=asked.sub_resource,
                kind=asked.kind.kind,
                key=Key(asked.namespace, asked.name),
                object=asked.object,
                old=asked.old_object,
                user=asked.user_info.username,
                groups=asked.user_info.groups or (),
                dry_run=bool(asked.dry_run),
            ),
        )

    def admit(self, warnings: Sequence[str] = (), wanted: Object | None = None) -> bytes:
        """Yes; with `wanted`, the object shall become that."""
        response: Object = {"uid": self.review.uid, "allowed": True}
        if warnings:
            response["warnings"] = list(warnings)
        if wanted is not None:
            changes = list(differences(self.review.object or {}, wanted))
            if changes:
                patch = base64.b64encode(msgspec.json.encode(changes)).decode()
                response |= {"patchType": "JSONPatch", "patch": patch}
        return _answer(self.api_version, response)

    def deny(self, denied: Denied) -> bytes:
        """No, and why."""
        status = _status(denied)
        if denied.causes:
            status["details"] = {
                "name": self.review.key.name,
                "group": self.review.group,
                "kind": self.review.kind,
                "causes": [msgspec.to_builtins(cause) for cause in denied.causes],
            }
        return _refusal(self.api_version, self.review.uid, status)


def _status(denied: Denied) -> Object:
    return {
        "status": "Failure",
        "message": str(denied),
        "reason": denied.reason,
        "code": denied.code,
    }


def _refusal(api_version: str, uid: str, status: Object) -> bytes:
    return _answer(api_version, {"uid": uid, "allowed": False, "status": status})


def _answer(api_version: str, response: Object) -> bytes:
    return msgspec.json.encode(
        {"apiVersion": api_version, "kind": "AdmissionReview", "response": response}
    )


def _too_deep(body: bytes) -> TooDeep | NotAReview:
    head = _HEAD.match(body)
    if head is None:
        return NotAReview("The body nests too deeply to be read.")
    denied = Denied("The object nests too deeply to be judged.", reason="Invalid", code=422)
    return TooDeep(_refusal(head[1].decode(), head[2].decode(), _status(denied)))


# Any: JSON of a shape that only its kind knows.
def differences(before: Any, after: Any, path: str = "") -> Iterator[Mapping[str, Any]]:
    """The JSON patch (RFC 6902) that makes `after` of `before`. A list changes as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() - after.keys():
            yield {"op": "remove", "path": f"{path}/{_escaped(name)}"}
        for name, value in after.items():
            inner = f"{path}/{_escaped(name)}"
            if name in before:
                yield from differences(before[name], value, inner)
            else:
                yield {"op": "add", "path": inner, "value": value}
    elif msgspec.json.encode(before) != msgspec.json.encode(after):  # unlike ==, true is not 1
        yield {"op": "replace", "path": path, "value": after}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


class _Kind(msgspec.Struct):
    kind: str = ""


class _Resource(msgspec.Struct):
    group: str = ""
    version: str = ""
    resource: str = ""


class _User(msgspec.Struct):
    username: str = ""
    groups: tuple[str, ...] | None = None


class _Request(msgspec.Struct, rename="camel"):
    uid: Annotated[str, msgspec.Meta(max_length=UID_LENGTH)]
    operation: Operation
    resource: _Resource
    kind: _Kind
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    user_info: _User = msgspec.field(default_factory=_User)
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None
    dry_run: bool | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    request: _Request
