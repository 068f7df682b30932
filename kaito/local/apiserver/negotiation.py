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
PARTIAL, LISTED = "PartialObjectMetadata", "PartialObjectMetadataList"
AGGREGATED = f"{JSON};g={DISCOVERY};v=v2;as=APIGroupDiscoveryList"
FORMS = {"Table", PARTIAL, LISTED}


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
    listing: bool = False,
    routed: bool = True,
    plain: bool = False,
    watching: bool = False,
) -> Wanted:
    """The best clause that can be served. Raises StatusError (406) when there is none.

    Whether what is answered can take the form is found out when it is answered. `routed` is false
    for custom resources and lists of groups, whose paths are known to no router; `plain` is for
    answers that have no other form; `watching` for streams, which are never YAML.
    """
    header = request.headers.get("accept", "")
    if not header:
        return Wanted()
    found = clauses(header)
    for clause in found:
        media = SERVED.get(clause.media)
        if media is None or (watching and media == YAML):
            continue
        form = clause.parameters.get("as", "")
        if not form:
            return Wanted(media, pretty=clause.parameters.get("pretty") == "1")
        version = clause.parameters.get("v", "")
        meta = clause.parameters.get("g") == "meta.k8s.io" and version in {"v1", "v1beta1"}
        if form in FORMS and meta and not plain:
            return Wanted(media, form, version)
    if routed and not any(c.media in {*SERVED, PROTOBUF} for c in found):
        raise no_route(JSON, YAML, PROTOBUF, *(STREAMS if listing or watching else ()))
    raise not_acceptable(*(STREAMS if watching else ()))


def no_route(*accepted: str) -> StatusError:
    """406: the path answers in none of the encodings that were asked for."""
    listed = ", ".join(accepted)
    return StatusError(
        406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {listed}", {}
    )


def check_form(want: Wanted, called: str, *, listing: bool) -> None:
    """A list has no metadata of one object, nor one object that of a list. Raises StatusError."""
    if want.form == (PARTIAL if listing else LISTED):
        what = "a list" if listing else "not a list"
        raise StatusError(
            406,
            "NotAcceptable",
            f"you requested {want.form}, but the requested object is {what} ({called})",
        )


def discovery(request: Request, *, routed: bool) -> Wanted:
    """The form "" of classic discovery, or the aggregated one. Raises StatusError (406)."""
    for clause in clauses(request.headers.get("accept", "")):
        if clause.media not in SERVED:
            continue
        if not clause.parameters.get("as"):
            break
        asked = tuple(clause.parameters.get(p) for p in ("as", "g", "v"))
        if asked == ("APIGroupDiscoveryList", DISCOVERY, "v2"):
            return Wanted(SERVED[clause.media], AGGREGATED)
    return wanted(request, routed=routed, plain=True)
