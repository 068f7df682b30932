"""What webhooks are asked: a write as an AdmissionReview."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.jsontext import TextError, parse_json
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.opaque import copied

Object = dict[str, Any]
DELETE_PARTS = ("gracePeriodSeconds", "preconditions", "orphanDependents", "propagationPolicy")


def shown_as(obj: Object, own: Kind, other: Kind) -> Object:
    """An object of one kind as another that shares its store shows it."""
    if own is other:
        return obj
    bare = {k: v for k, v in copied(obj).items() if k not in {"kind", "apiVersion"}}
    if not own.custom:
        bare = own.shape.write(bare) if own.shape is not None else bare
        bare = other.shape.read(bare) if other.shape is not None else bare
    return {"kind": other.kind, "apiVersion": other.api_version, **bare}


def question(
    review: Review, kind: Kind, uid: str, version: str = "v1", *, settled: bool = False
) -> Object:
    """The review of a write, whose objects are shown as `kind`.

    `settled`: nothing will change the object any more.
    """
    call, own = review.call, review.call.kind
    deleting = review.operation == "DELETE"
    user = call.user
    info: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    request: Object = {
        "uid": uid,
        "kind": _kind(kind, review.subresource),
        "resource": _resource(kind),
        "requestKind": _kind(own, review.subresource),
        "requestResource": _resource(own),
        "operation": review.operation,
        "userInfo": {k: v for k, v in info.items() if v}
        | ({"extra": user.extra} if user.extra else {}),
        "object": None if deleting else _object(review, kind, settled=settled),
        "oldObject": shown_as(review.old, own, kind) if review.old is not None else None,
        "dryRun": review.options.dry_run,
        "options": _options(review),
    }
    name = call.target.name
    if not deleting:
        name = name or (review.object.get("metadata") or {}).get("name", "")
    if name:
        request["name"] = name
    if own.namespaced:
        request["namespace"] = call.target.namespace
    elif own.plural == "namespaces" and not own.group and name:
        request["namespace"] = name
    if review.subresource:
        request["subResource"] = request["requestSubResource"] = review.subresource
    return {
        "kind": "AdmissionReview",
        "apiVersion": f"admission.k8s.io/{version}",
        "request": request,
    }


def _object(review: Review, kind: Kind, *, settled: bool) -> Object:
    """What is written; an update without a version is in the end one of what is stored."""
    obj = shown_as(review.object, review.call.kind, kind)
    if not settled or review.old is None or (obj.get("metadata") or {}).get("resourceVersion"):
        return obj
    version = (review.old.get("metadata") or {}).get("resourceVersion")
    return {**obj, "metadata": {**(obj.get("metadata") or {}), "resourceVersion": version}}


def _kind(kind: Kind, subresource: str) -> Object:
    found = kind.subresources.get(subresource) if subresource else None
    if found is None:
        return {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if not found.group and not found.version:
        return {"group": kind.group, "version": kind.version, "kind": found.kind}
    return {"group": found.group, "version": found.version, "kind": found.kind}


def _resource(kind: Kind) -> Object:
    return {"group": kind.group, "version": kind.version, "resource": kind.plural}


def _options(review: Review) -> Object:
    """The options of the write, as far as its author gave any."""
    query = review.call.query
    name = f"{review.operation.title()}Options"
    found: Object = {"kind": name, "apiVersion": "meta.k8s.io/v1"}
    if review.operation == "DELETE":
        found |= _delete_options(review)
    else:
        for part in ("fieldManager", "fieldValidation"):
            if query.get(part):
                found[part] = query.get(part)
    if review.options.dry_run:
        found["dryRun"] = ["All"]
    return found


def _delete_options(review: Review) -> Object:
    try:
        body = parse_json(review.call.request.body) if review.call.request.body else {}
    except TextError:
        return {}
    return {k: body[k] for k in DELETE_PARTS if k in body} if isinstance(body, dict) else {}
