"""Lists: what a list or a page of it holds, at which revision, under which selectors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kaito.local.apiserver import selectors
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.fields import FieldError, denied, unsupported
from kaito.local.apiserver.http import Query
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.status import StatusError, bad_request, expired, invalid
from kaito.local.apiserver.storage import Bucket, Compacted, Record

MATCHES = ("Exact", "NotOlderThan")
FUTURE_WAIT = 3.0  # seconds a read waits for a revision that has not happened yet
TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can "
    "start a new list without the continue parameter, or use the continue token in this response "
    "to retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the "
    "first chunk was returned and now may show up in the list."
)


@dataclass(slots=True)
class Selection:
    """Selectors of one request: tests over labels and over the selectable fields."""

    labels: selectors.Match | None
    fields: selectors.Match | None
    name: str = ""
    namespace: str = ""

    def takes(self, record: Record) -> bool:
        return (self.labels is None or self.labels(record.labels)) and (
            self.fields is None or self.fields(record.selectable)
        )

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None


def selection(kind: Kind, query: Query) -> Selection:
    """Raises StatusError where a selector does not parse or names an unknown field."""
    text = query.get("labelSelector")
    try:
        labels = selectors.labels(text) if text else None
        terms = selectors.field_terms(query.get("fieldSelector"))
    except selectors.SelectorError as error:
        raise bad_request(str(error)) from error
    found = Selection(labels, None)
    known = kind.behaviour.selectors
    for term in terms:
        if term.field not in {"metadata.name", "metadata.namespace"} and term.field not in known:
            raise bad_request(unknown_field(kind, term.field))
        if term.field == "metadata.namespace" and not kind.namespaced:
            raise bad_request(unknown_field(kind, term.field))
        if term.operator == "=" and term.field == "metadata.name":
            found.name = term.value
    found.fields = selectors.field_match(terms)
    return found


LABEL_KINDS = {
    "Pod",
    "Node",
    "Event",
    "Namespace",
    "ReplicaSet",
    "Secret",
    "Service",
    "ReplicationController",
    "Job",
    "CertificateSigningRequest",
    "ResourceSlice",
    "StatefulSet",
    "Deployment",
    "DaemonSet",
}


def unknown_field(kind: Kind, field: str) -> str:
    if kind.custom:
        return f"field label not supported: {field}"
    if not kind.behaviour.selectors:
        return (
            f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        )
    if kind.kind == "ReplicationController" or kind.kind in {
        "Pod",
        "Node",
        "Event",
        "Namespace",
        "Secret",
        "Service",
        "Job",
    }:
        return (
            f"field label not supported: {field}"
            if kind.kind != "Job"
            else f'field label "{field}" not supported for batchv1.Job'
        )
    return f"field label not supported: {field}"


def parse_revision(text: str, *, listing: bool) -> int | None:
    """The revision of a query; None when unset. Raises StatusError."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        if listing:
            raise bad_request(
                f'invalid resource version: resourceVersion: Invalid value: "{text}": {why}'
            )
        raise StatusError(500, "", f'resourceVersion: Invalid value: "{text}": {why}')
    return int(text)


def list_errors(query: Query) -> list[FieldError]:
    """What contradicts itself among the parameters of a list."""
    errors: list[FieldError] = []
    match, version = query.get("resourceVersionMatch"), query.get("resourceVersion")
    if match:
        if not version:
            errors.append(
                denied(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                )
            )
        if query.get("continue"):
            errors.append(
                denied(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden when continue is provided",
                )
            )
        if match not in MATCHES:
            errors.append(
                FieldError(
                    "resourceVersionMatch",
                    "Unsupported value",
                    match,
                    'supported values: "Exact", "NotOlderThan", ""',
                )
            )
        if match == "Exact" and version == "0":
            errors.append(
                denied(
                    "resourceVersionMatch",
                    'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
                )
            )
    if "sendInitialEvents" in query:
        errors.append(denied("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def watch_errors(query: Query) -> list[FieldError]:
    """What contradicts itself among the parameters of a watch."""
    errors: list[FieldError] = []
    match = query.get("resourceVersionMatch")
    if "sendInitialEvents" in query:
        if match != "NotOlderThan":
            errors.append(
                denied(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                )
            )
        if match and match != "NotOlderThan":
            errors.append(unsupported("resourceVersionMatch", match, ["NotOlderThan"]))
    elif match:
        errors.append(
            denied(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            )
        )
    if query.get("continue"):
        errors.append(denied("continue", "continue is forbidden for watch"))
    return errors


def check_options(errors: list[FieldError]) -> None:
    if errors:
        raise invalid("meta.k8s.io", "ListOptions", "", errors)


@dataclass(slots=True)
class Page:
    """The records of one answer and the list metadata that goes with them."""

    records: list[Record]
    revision: int
    continuation: str = ""
    remaining: int | None = None

    def metadata(self, *, custom: bool = False) -> dict[str, Any]:
        """Lists of custom resources always carry a continue token, if an empty one."""
        found: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if self.continuation or custom:
            found["continue"] = self.continuation
        if self.remaining is not None:
            found["remainingItemCount"] = self.remaining
        return found


def token(revision: int, start: str) -> str:
    text = json.dumps(
        {"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":")
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(text: str) -> tuple[int, str]:
    """Raises StatusError where the token is not one of ours."""
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = base64.b64decode(padded.encode(), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise bad_request(
            f"invalid continue token: continue key is not valid: illegal base64 data at input byte "
            f"{_bad_byte(text)}"
        ) from error
    try:
        found = json.loads(raw)
        if not isinstance(found, dict):
            raise ValueError
    except ValueError as error:
        from kaito.local.apiserver.jsontext import explain

        raise bad_request(
            f"invalid continue token: continue key is not valid: {explain(raw)}"
        ) from error
    if found.get("v") != "meta.k8s.io/v1":
        raise bad_request(
            "invalid continue token: continue key is not valid: server does not recognize this "
            f'encoded version "{found.get("v", "")}"'
        )
    if not found.get("rv"):
        raise bad_request(
            "invalid continue token: continue key is not valid: incorrect encoded start "
            "resourceVersion (version meta.k8s.io/v1)"
        )
    if not found.get("start"):
        raise bad_request(
            "invalid continue token: continue key is not valid: encoded start key empty "
            "(version meta.k8s.io/v1)"
        )
    return int(found["rv"]), str(found["start"])


def _bad_byte(text: str) -> int:
    for i, char in enumerate(text):
        if not (char.isascii() and (char.isalnum() or char in "-_")):
            return i
    return len(text)


class Lister:
    """Lists objects of any kind."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def page(self, kind: Kind, namespace: str, query: Query) -> Page:
        check_options(list_errors(query))
        chosen = selection(kind, query)
        continuation = query.get("continue")
        version = parse_revision(query.get("resourceVersion"), listing=True)
        limit = self._limit(query)
        if continuation and version:
            raise bad_request("specifying resource version is not allowed when using continue")
        bucket = self._core.store.bucket(kind.bucket)
        revision = self._core.store.revision
        state: dict[str, Record] | None = None
        start = ""
        if continuation:
            at, start = read_token(continuation)
            revision, state = self._continued(bucket, at, start)
        elif version and version > revision:
            await self.wait_for(version)
            revision = self._core.store.revision
        elif (version and query.get("resourceVersionMatch") == "Exact") or (
            version and limit and not query.get("resourceVersionMatch")
        ):
            revision = version
            state = self._at(bucket, version)
        return self._collect(kind, bucket, namespace, chosen, state, revision, limit, start)

    @staticmethod
    def _limit(query: Query) -> int:
        text = query.get("limit")
        if not text:
            return 0
        try:
            return max(int(text), 0)
        except ValueError as error:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error

    def _at(self, bucket: Bucket, revision: int) -> dict[str, Record]:
        try:
            return bucket.at(revision)
        except Compacted as error:
            raise expired("The resourceVersion for the provided list is too old.") from error

    def _continued(
        self, bucket: Bucket, at: int, start: str
    ) -> tuple[int, dict[str, Record] | None]:
        if at < 0:
            return self._core.store.revision, None
        try:
            return at, bucket.at(at)
        except Compacted as error:
            fresh = expired(TOO_OLD)
            fresh.details = None
            fresh.continuation = token(-1, start)
            raise fresh from error

    async def wait_for(self, revision: int) -> None:
        """Wait a little for a revision of the future. Raises StatusError when it does not come."""
        clock, store = self._core.clock, self._core.store
        deadline = clock.now() + FUTURE_WAIT
        while store.revision < revision:
            if clock.now() >= deadline:
                raise future(revision, store.revision)
            await clock.sleep(0.05)

    def _collect(
        self,
        kind: Kind,
        bucket: Bucket,
        namespace: str,
        chosen: Selection,
        state: dict[str, Record] | None,
        revision: int,
        limit: int,
        start: str,
    ) -> Page:
        prefix = f"{namespace}/" if namespace and kind.namespaced else ""
        objects = bucket.objects if state is None else state
        if chosen.name and (prefix or not kind.namespaced):
            found = objects.get(prefix + chosen.name)
            hit = [found] if found is not None and chosen.takes(found) else []
            return Page(hit, revision)
        if state is None:
            keys = list(bucket.keys(prefix, start))
        else:
            keys = sorted(k for k in state if k.startswith(prefix) and k > start)
        if not limit:
            if chosen.everything:
                return Page([objects[k] for k in keys], revision)
            return Page([r for k in keys if chosen.takes(r := objects[k])], revision)
        records: list[Record] = []
        for i, key in enumerate(keys):
            record = objects[key]
            if not chosen.takes(record):
                continue
            if len(records) == limit:
                left = len(keys) - i if chosen.everything else None
                return Page(records, revision, token(revision, records[-1].key), left)
            records.append(record)
        return Page(records, revision)


def future(wanted: int, present: int) -> StatusError:
    """504: the server has not seen this revision."""
    text = f"Too large resource version: {wanted}, current: {present}"
    return StatusError(
        504,
        "Timeout",
        f"Timeout: {text}",
        {
            "retryAfterSeconds": 1,
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
        },
        retry_after=1,
    )


_encode = msgspec.json.Encoder().encode


def list_body(kind: Kind, page: Page, item: Callable[[Record], bytes] | None = None) -> bytes:
    """The list's JSON, its items joined as they are stored."""
    item = item or kind.item
    items = b",".join([item(r) for r in page.records])
    version, named = {"apiVersion": kind.api_version}, {"kind": kind.list_kind}
    metadata = {"metadata": page.metadata(custom=kind.custom)}
    if kind.custom:
        head, tail = _encode(version), _encode({**named, **metadata})
        return b"".join((head[:-1], b',"items":[', items, b"],", tail[1:]))
    head = _encode({**named, **version, **metadata})
    return b"".join((head[:-1], b',"items":[', items, b"]}"))
