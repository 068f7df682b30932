"""Content negotiation: in which form and encoding an answer is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from kaito.local.apiserver.http import JSON, Request
from kaito.local.apiserver.status import StatusError

YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = {JSON: JSON, YAML: YAML, "*/*": JSON}
STREAMS = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
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


def not_acceptable(*accepted: str) -> StatusError:
    """406: the encodings that the answer could have."""
    listed = ", ".join(accepted or (JSON, YAML, PROTOBUF))
    return StatusError(
        406, "NotAcceptable", f"only the following media types are accepted: {listed}"
    )


def wanted(
    request: Request,
    *,
    listing: bool,
    custom: bool = False,
    plain: bool = False,
    watching: bool = False,
    called: str = "",
) -> Wanted:
    """The best clause that can be served. Raises StatusError (406) when there is none.

    `plain` is for answers that have no other form, such as Status bodies; `watching` for streams,
    which are never YAML; `called` names the answer's type in refusals.
    """
    header = request.headers.get("accept", "")
    if not header:
        return Wanted()
    mismatch: StatusError | None = None
    for clause in clauses(header):
        media = SERVED.get(clause.media)
        if media is None or (watching and media == YAML):
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
        listed = ", ".join((JSON, YAML, PROTOBUF, *(STREAMS if listing or watching else ())))
        raise StatusError(
            406,
            "NotAcceptable",
            f"406: Not Acceptable\n\nAvailable representations: {listed}",
            {},
        )
    if watching:
        raise not_acceptable(*STREAMS)
    raise not_acceptable(*((JSON, YAML) if custom else ()))


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
    raise not_acceptable()
