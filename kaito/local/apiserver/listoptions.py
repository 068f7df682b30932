"""The parameters of lists and watches: read, checked against each other, and made into tests."""

from __future__ import annotations

from dataclasses import dataclass

from kaito.local.apiserver import selectors
from kaito.local.apiserver.fields import FieldError, denied, unsupported
from kaito.local.apiserver.http import Query
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.scalars import LONGEST
from kaito.local.apiserver.status import StatusError, bad_request, invalid
from kaito.local.apiserver.storage import Record

MATCHES = ("Exact", "NotOlderThan")
NAMES = frozenset({"metadata.name", "metadata.namespace"})
# Kinds of the whole cluster whose own rule for fields leaves out the namespace.
NOWHERE = {"CertificateSigningRequest", "Namespace", "Node"}
MAX_REVISION = 2**64


@dataclass(slots=True)
class Selection:
    """Selectors of one request: tests over labels and over the selectable fields."""

    labels: selectors.Match | None
    fields: selectors.Match | None
    name: str = ""

    def takes(self, record: Record) -> bool:
        return (self.labels is None or self.labels(record.labels)) and (
            self.fields is None or self.fields(record.selectable)
        )

    @property
    def everything(self) -> bool:
        return self.labels is None and self.fields is None


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What was asked for. `initial` is None where sendInitialEvents was not sent."""

    labels: selectors.Match | None
    terms: list[selectors.Term]
    version: str
    match: str
    timeout: int | None
    limit: int
    continuation: str
    bookmarks: bool
    initial: bool | None

    def check_list(self) -> None:
        """Raises StatusError (422)."""
        _refuse(list_errors(self))

    def check_watch(self) -> None:
        """Raises StatusError (422)."""
        _refuse(watch_errors(self))

    def selection(self, kind: Kind, name: str = "") -> Selection:
        """Raises StatusError (400) for a field that the kind cannot be selected by."""
        terms = [*self.terms, *([selectors.Term("metadata.name", "=", name)] if name else ())]
        for term in terms:
            if not _selectable(kind, term.field):
                raise bad_request(unknown_field(kind, term.field))
        exact = [t.value for t in terms if t.field == "metadata.name" and t.operator == "="]
        return Selection(self.labels, selectors.field_match(terms), exact[0] if exact else "")


def read(query: Query, *, watching: bool = False) -> ListOptions:
    """Raises StatusError (400) for the first parameter that does not parse.

    A watch from no version or from zero counts as one that asks for initial events.
    """
    text = query.get("labelSelector")
    try:
        labels = selectors.labels(text) if text else None
        terms = selectors.field_terms(query.get("fieldSelector"))
    except selectors.SelectorError as error:
        raise bad_request(str(error)) from error
    version, match = query.get("resourceVersion"), query.get("resourceVersionMatch")
    initial = query.flag("sendInitialEvents") if "sendInitialEvents" in query else None
    if watching and initial is None and not match and version in {"", "0"}:
        initial, match = True, "NotOlderThan"
    return ListOptions(
        labels,
        terms,
        version,
        match,
        query.number("timeoutSeconds"),
        max(query.number("limit") or 0, 0),
        query.get("continue"),
        query.flag("allowWatchBookmarks"),
        initial,
    )


def _selectable(kind: Kind, field: str) -> bool:
    if field == "metadata.namespace" and not kind.namespaced:
        return not kind.custom and kind.kind not in NOWHERE
    if field in NAMES:
        return True
    return field in kind.behaviour.selectors and (kind.group, field) not in FOREIGN


# Events are one resource under two groups, which name its fields differently.
_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
FOREIGN = {
    *(("", f"regarding.{n}") for n in _ABOUT),
    *(("events.k8s.io", f"involvedObject.{n}") for n in _ABOUT),
    ("", "reportingController"),
    ("events.k8s.io", "reportingComponent"),
    ("events.k8s.io", "source"),
}


def unknown_field(kind: Kind, field: str) -> str:
    if kind.kind == "Job":
        return f'field label "{field}" not supported for Job'
    if kind.custom or kind.behaviour.selectors:
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def parse_revision(text: str, *, listing: bool) -> int | None:
    """The revision of a query; None when unset. Raises StatusError."""
    if not text:
        return None
    why = ""
    if not (text.isascii() and text.isdigit()):
        why = f'strconv.ParseUint: parsing "{text}": invalid syntax'
    elif int(text[:LONGEST]) >= MAX_REVISION:
        why = f'strconv.ParseUint: parsing "{text}": value out of range'
    if why:
        why = f'resourceVersion: Invalid value: "{text}": {why}'
        if listing:
            raise bad_request(f"invalid resource version: {why}")
        raise StatusError(500, "", why)
    return int(text)


def list_errors(options: ListOptions) -> list[FieldError]:
    """What contradicts itself among the parameters of a list."""
    errors: list[FieldError] = []
    match, version = options.match, options.version
    if match:
        if not version:
            errors.append(
                denied(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                )
            )
        if options.continuation:
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
    if options.initial is not None:
        errors.append(denied("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def watch_errors(options: ListOptions) -> list[FieldError]:
    """What contradicts itself among the parameters of a watch."""
    errors: list[FieldError] = []
    match, name = options.match, "resourceVersionMatch"
    if options.initial is not None and match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        errors.append(denied(name, why))
    if match and options.initial is None:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        errors.append(denied(name, why))
    if match and match != "NotOlderThan":
        errors.append(unsupported(name, match, ["NotOlderThan"]))
    if match and options.continuation:
        errors.append(denied(name, "resourceVersionMatch is forbidden when continue is provided"))
    return errors


def _refuse(errors: list[FieldError]) -> None:
    if errors:
        raise invalid("meta.k8s.io", "ListOptions", "", errors)
