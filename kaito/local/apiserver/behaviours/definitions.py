"""Custom resource definitions as objects: defaults and what they may say."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.custom.formats import unrecognized
from kaito.local.apiserver.custom.validating import validate, validate_update

Object = dict[str, Any]
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def default(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("scope", "Namespaced")
    names = spec.setdefault("names", {})
    if names.get("kind"):
        if not names.get("singular"):
            names["singular"] = names["kind"].lower()
        if not names.get("listKind"):
            names["listKind"] = names["kind"] + "List"
    conversion = spec.setdefault("conversion", {})
    conversion.setdefault("strategy", "None")
    hook = (conversion.get("webhook") or {}).get("clientConfig") or {}
    if "service" in hook:
        hook["service"].setdefault("port", 443)
    if "status" in obj and not obj["status"].get("storedVersions"):
        obj["status"]["storedVersions"] = _storage(spec)
    for version in spec.get("versions") or ():
        _schema_defaults((version.get("schema") or {}).get("openAPIV3Schema"))


def _schema_defaults(schema: Any) -> None:
    """Rules get nothing by default; empty parts of schemas are dropped as the server drops them."""
    if not isinstance(schema, dict):
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        for name in ("message", "messageExpression", "fieldPath"):
            if rule.get(name) == "":
                del rule[name]
    for part in ("properties", "patternProperties", "definitions"):
        for inner in (schema.get(part) or {}).values():
            _schema_defaults(inner)
    for part in ("items", "additionalProperties", "not"):
        _schema_defaults(schema.get(part))
    for part in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(part) or ():
            _schema_defaults(inner)


def warnings(obj: Object) -> list[str]:
    """Formats that no server knows are allowed, and ignored."""
    found: list[str] = []
    for version in obj["spec"].get("versions") or ():
        found += unrecognized((version.get("schema") or {}).get("openAPIV3Schema"))
    return [f'unrecognized format "{name}"' for name in dict.fromkeys(found)]


def _storage(spec: Object) -> list[str]:
    """The version that instances are stored in, as a list."""
    return [v.get("name", "") for v in spec.get("versions") or () if v.get("storage")][:1]


def before_create(obj: Object) -> None:
    obj["status"] = {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": _storage(obj["spec"]) or None,
    }


def before_update(new: Object, old: Object) -> None:
    stored = list((old.get("status") or {}).get("storedVersions") or ())
    for version in new["spec"].get("versions") or ():
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version["name"])
    new.setdefault("status", {})["storedVersions"] = stored


def hold(obj: Object, now: str) -> bool:
    """A definition stays until its instances are gone."""
    meta = obj["metadata"]
    if meta.get("deletionTimestamp"):
        return FINALIZER in (meta.get("finalizers") or ())
    meta["deletionTimestamp"] = now
    finalizers = meta.setdefault("finalizers", [])
    if FINALIZER not in finalizers:
        finalizers.append(FINALIZER)
    conditions = obj.setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [c for c in conditions if c.get("type") != "Terminating"]
    conditions.append(
        {
            "type": "Terminating",
            "status": "True",
            "lastTransitionTime": now,
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will "
            "begin soon",
        }
    )
    return True


DEFINITIONS = Behaviour(
    hold=hold,
    default=default,
    before_create=before_create,
    before_update=before_update,
    validate=validate,
    validate_update=validate_update,
    generation=True,
    has_status=True,
    name_warnings=warnings,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    blind_update=False,
)
