"""Content negotiation: in which form and encoding an answer is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from kaito.local.apiserver.http import JSON, Request
from kaito.local.apiserver.status import StatusError

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = {JSON: JSON, YAML: YAML, "*/*": JSON}
DISCOVERY = "apidiscovery.k8s.io"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`form` is "" for the object itself, Table, PartialObjectMetadata or ...List."""

    media: str = JSON
    form: str = ""
    version: str = ""
    pretty: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    media: str
    parameters: dict[str, str]
    quality: float


def clauses(accept: str) -> list[Clause]:
    found = []
    for part in accept.split(","):
        media, *options = (p.strip() for p in part.split(";"))
        if not media:
            continue
        parameters = dict(o.partition("=")[::2] for o in options)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        found.append(Clause(media.lower(), parameters, quality))
    return sorted(found, key=lambda c: -c.quality)


def not_acceptable(*, streaming: bool = False, custom: bool = False) -> StatusError:
    listed = "application/json, application/yaml" + ("" if custom else f", {PROTOBUF}")
    return StatusError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: "
        + (f"{JSON}, {YAML}, {PROTOBUF}" if not custom else listed),
    )


def wanted(
    request: Request, *, listing: bool, custom: bool = False, plain: bool = False, called: str = ""
) -> Wanted:
    """The best clause that can be served. Raises StatusError (406) when there is none.

    `plain` is for answers that have no other form, such as Status bodies; `called` names the
    answer's type in refusals.
    """
    header = request.headers.get("accept", "")
    if not header:
        return Wanted()
    mismatch: StatusError | None = None
    for clause in clauses(header):
        media = SERVED.get(clause.media)
        if media is None:
            continue
        form = clause.parameters.get("as", "")
        if not form:
            return Wanted(media, pretty=clause.parameters.get("pretty") == "1")
        version = clause.parameters.get("v", "")
        if clause.parameters.get("g") != "meta.k8s.io" or version not in {"v1", "v1beta1"}:
            continue
        if form == "Table" and not plain:
            return Wanted(media, form, version)
        if (
            form == ("PartialObjectMetadataList" if listing else "PartialObjectMetadata")
            and not plain
        ):
            return Wanted(media, form, version)
        if form in {"PartialObjectMetadata", "PartialObjectMetadataList"} and called:
            is_list = "a list" if listing else "not a list"
            mismatch = StatusError(
                406,
                "NotAcceptable",
                f"you requested {form}, but the requested object is {is_list} ({called})",
            )
    if mismatch is not None:
        raise mismatch
    if not any(c.media in {*SERVED, PROTOBUF} for c in clauses(header)):
        streams = f", {JSON};stream=watch, {PROTOBUF};stream=watch" if listing else ""
        raise StatusError(
            406,
            "NotAcceptable",
            "406: Not Acceptable\n\nAvailable "
            f"representations: {JSON}, {YAML}, {PROTOBUF}{streams}",
            {},
        )
    raise not_acceptable(custom=custom)


def discovery(request: Request) -> str:
    """ "" for classic discovery, else the content type of the aggregated one. Raises 406."""
    header = request.headers.get("accept", "")
    if not header:
        return ""
    for clause in clauses(header):
        if clause.media not in SERVED:
            continue
        form = clause.parameters.get("as", "")
        if not form:
            return ""
        if (
            form == "APIGroupDiscoveryList"
            and clause.parameters.get("g") == DISCOVERY
            and clause.parameters.get("v") == "v2"
        ):
            return f"{JSON};g={DISCOVERY};v=v2;as=APIGroupDiscoveryList"
    raise StatusError(
        406,
        "NotAcceptable",
        f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}",
    )
