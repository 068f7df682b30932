"""Object metadata: validation on creation and update, and the parts that the server owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    denied,
    required,
    too_long,
    unchangeable,
    wrong,
)

ANNOTATIONS_LIMIT = 256 * 1024  # bytes of keys and values together
MANAGER_LIMIT, SUBRESOURCE_LIMIT = 128, 256  # bytes
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
AFTER_ADMISSION = " after mutating admission happens"
STANDARD_FINALIZERS = {FOREGROUND, ORPHAN, "kubernetes"}
Metadata = dict[str, Any]


def validate(
    meta: Metadata, *, namespaced: bool, rule: str, custom: bool = False, prefixed: bool = False
) -> list[FieldError]:
    """What is wrong with an object's metadata, in the order the server checks it.

    `custom` kinds take finalizers without a domain; `prefixed` looks at generateName too.
    """
    errors: list[FieldError] = []
    prefix = meta.get("generateName", "")
    if prefix and prefixed:
        errors += [
            wrong("metadata.generateName", prefix, f)
            for f in names.name_faults(rule, prefix, prefix=True)
        ]
    name = meta.get("name", "")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [wrong("metadata.name", name, f) for f in names.name_faults(rule, name)]
    if namespaced:
        namespace = meta.get("namespace", "")
        if not namespace:
            errors.append(required("metadata.namespace"))
        else:
            errors += [wrong("metadata.namespace", namespace, f) for f in names.label(namespace)]
    elif meta.get("namespace"):
        errors.append(denied("metadata.namespace", "not allowed on this type"))
    generation = meta.get("generation", 0)
    if generation < 0:
        errors.append(
            wrong("metadata.generation", generation, "must be greater than or equal to 0")
        )
    errors += label_errors(meta.get("labels"), "metadata.labels")
    errors += annotation_errors(meta.get("annotations"), "metadata.annotations")
    errors += owner_errors(meta.get("ownerReferences") or [])
    errors += finalizer_errors(meta.get("finalizers") or [], custom=custom)
    errors += managed_errors(meta.get("managedFields") or [])
    return errors


def label_errors(labels: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in sorted((labels or {}).items()):
        errors += [wrong(path, key, f) for f in names.qualified(key)]
        errors += [wrong(path, value, f) for f in names.label_value(value)]
    return errors


def annotation_errors(annotations: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    total = 0
    for key, value in sorted((annotations or {}).items()):
        errors += [wrong(path, key, f) for f in names.qualified(key.lower())]
        total += len(key.encode()) + len(value.encode())
    if total > ANNOTATIONS_LIMIT:
        errors.append(too_long(path, ANNOTATIONS_LIMIT))
    return errors


def owner_errors(owners: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    controllers = ""
    for owner in owners:
        path = "metadata.ownerReferences"
        version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        _, slash, bare = version.rpartition("/")
        if not (bare if slash else version) or version.count("/") > 1:
            errors.append(wrong(f"{path}.apiVersion", version, "version must not be empty"))
        if not kind:
            errors.append(wrong(f"{path}.kind", kind, "must not be empty"))
        if not owner.get("name"):
            errors.append(wrong(f"{path}.name", owner.get("name", ""), "must not be empty"))
        if not owner.get("uid"):
            errors.append(wrong(f"{path}.uid", owner.get("uid", ""), "must not be empty"))
        if version in {"v1", "events.k8s.io/v1"} and kind == "Event":
            errors.append(
                wrong(
                    path,
                    Raw(owner_text(owner)),
                    f"{'' if slash else '/'}{version}, Kind=Event is disallowed from being an "
                    "owner",
                )
            )
        if owner.get("controller"):
            if controllers:
                errors.append(
                    wrong(
                        path,
                        Raw(owners_text(owners)),
                        "Only one reference can have Controller set "
                        f'to true. Found "true" in references for {controllers} and '
                        f"{kind}/{owner.get('name', '')}",
                    )
                )
            else:
                controllers = f"{kind}/{owner.get('name', '')}"
    return errors


def owner_text(owner: dict[str, Any]) -> str:
    return (
        f'{{"apiVersion":"{owner.get("apiVersion", "")}","kind":"{owner.get("kind", "")}",'
        f'"name":"{owner.get("name", "")}","uid":"{owner.get("uid", "")}"}}'
    )


def owners_text(owners: list[dict[str, Any]]) -> str:
    import json

    order = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return json.dumps([{k: o[k] for k in order if k in o} for o in owners], separators=(",", ":"))


def finalizer_errors(finalizers: list[str], *, custom: bool) -> list[FieldError]:
    """`custom` kinds take names that are not qualified too."""
    errors: list[FieldError] = []
    for text in finalizers:
        errors += [wrong("metadata.finalizers", text, f) for f in names.qualified(text)]
    if FOREGROUND in finalizers and ORPHAN in finalizers:
        errors.append(
            wrong(
                "metadata.finalizers",
                finalizers,
                f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set",
            )
        )
    return errors if custom else errors + _bare_finalizers(finalizers)


def managed_errors(entries: list[dict[str, Any]]) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, entry in enumerate(entries):
        path = f"metadata.managedFields[{i}]"
        if entry.get("operation") not in {"Apply", "Update"}:
            errors.append(
                wrong(
                    f"{path}.operation", entry.get("operation", ""), "must be `Apply` or `Update`"
                )
            )
        if entry.get("fieldsType", "") not in {"FieldsV1", ""}:
            errors.append(wrong(f"{path}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
        errors += manager_errors(entry.get("manager", ""), f"{path}.manager")
        if len(entry.get("subresource", "")) > SUBRESOURCE_LIMIT:
            errors.append(too_long(f"{path}.subresource", SUBRESOURCE_LIMIT))
    return errors


def manager_errors(manager: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(manager.encode()) > MANAGER_LIMIT:
        errors.append(too_long(path, MANAGER_LIMIT))
    at = 0
    for char in manager:
        if not char.isprintable():
            why = f"invalid character U+{ord(char):04X} (at position {at})"
            errors.append(wrong(path, manager, why))
        at += len(char.encode())
    return errors


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often a kind's own rules look at metadata again after the general ones did.

    Each time they report once more what they find: `updates` as changes, `wholes` as for a new
    object.
    """

    updates: int = 1
    wholes: int = 0


USUAL = Repeats()
TWICE = Repeats(1, 1)
WHOLE = Repeats(0, 1)
NEVER = Repeats(0, 0)
REPEATS = {
    **dict.fromkeys(
        (
            "configmaps",
            "secrets",
            "pods",
            "serviceaccounts",
            "persistentvolumeclaims",
            "nodes",
            "namespaces",
            "endpoints",
            "controllerrevisions",
            "jobs",
            "ingresses",
            "ingressclasses",
            "roles",
            "clusterroles",
            "rolebindings",
            "clusterrolebindings",
            "storageclasses",
            "csistoragecapacities",
            "volumeattributesclasses",
            "runtimeclasses",
        ),
        TWICE,
    ),
    **dict.fromkeys(
        (
            "limitranges",
            "csinodes",
            "volumeattachments",
            "endpointslices",
            "flowschemas",
            "prioritylevelconfigurations",
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
        ),
        WHOLE,
    ),
    "persistentvolumes": Repeats(0, 2),
    "events": NEVER,
    "poddisruptionbudgets": NEVER,
}
# Kinds that take finalizers without a domain.
LOOSE = {
    "customresourcedefinitions",
    "events",
    "leases",
    "poddisruptionbudgets",
    "runtimeclasses",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
}


def repeats(plural: str, subresource: str, *, custom: bool) -> Repeats:
    """The facts of one kind; custom resources share theirs."""
    if custom:
        return USUAL
    if subresource == "status":
        return NEVER if plural in {"poddisruptionbudgets", "cronjobs"} else USUAL
    return REPEATS.get(plural, USUAL)


def update_errors(
    new: Metadata,
    old: Metadata,
    *,
    namespaced: bool,
    rule: str,
    plural: str,
    custom: bool,
    again: Repeats,
) -> list[FieldError]:
    """All that is wrong with the metadata of an update, as often as the server says it."""
    whole = validate(new, namespaced=namespaced, rule="segment", custom=True)
    errors = [*whole, *validate_update(new, old)]
    if errors or new.get("generateName"):
        whole = validate(new, namespaced=namespaced, rule=rule, custom=True)
        errors += validate_update(new, old) * again.updates + whole * again.wholes
    if not custom and plural not in LOOSE:
        errors += _bare_finalizers(new.get("finalizers") or []) * (again.updates + again.wholes)
    return errors


def finalizer_warnings(new: Metadata, old: Metadata) -> list[str]:
    """What to warn of where a custom resource gets a finalizer that is not qualified."""
    known = {*STANDARD_FINALIZERS, *(old.get("finalizers") or ())}
    return [
        f'metadata.finalizers: "{text}": prefer a domain-qualified finalizer name to avoid '
        "accidental conflicts with other finalizer writers"
        for text in new.get("finalizers") or ()
        if "/" not in text and text not in known
    ]


def _bare_finalizers(finalizers: list[str]) -> list[FieldError]:
    return [
        wrong(
            f"metadata.finalizers[{i}]",
            text,
            "name is neither a standard finalizer name nor is it fully qualified",
        )
        for i, text in enumerate(finalizers)
        if "/" not in text and text not in STANDARD_FINALIZERS
    ]


def validate_update(new: Metadata, old: Metadata) -> list[FieldError]:
    """What an update may not change, and the parts that are looked at on each."""
    errors: list[FieldError] = []
    added = sorted({*(new.get("finalizers") or ())} - {*(old.get("finalizers") or ())})
    if old.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{f}"' for f in added)
        errors.append(
            denied(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )
        )
    errors += [
        unchangeable(f"metadata.{name}", new.get(name, ""))
        for name in ("name", "namespace", "uid")
        if new.get(name, "") != old.get(name, "")
    ]
    if new.get("creationTimestamp") != old.get("creationTimestamp"):
        errors.append(unchangeable("metadata.creationTimestamp", new.get("creationTimestamp")))
    if new.get("deletionTimestamp") != old.get("deletionTimestamp"):
        errors.append(unchangeable("metadata.deletionTimestamp", new.get("deletionTimestamp")))
    if new.get("deletionGracePeriodSeconds") != old.get("deletionGracePeriodSeconds"):
        errors.append(
            unchangeable(
                "metadata.deletionGracePeriodSeconds", new.get("deletionGracePeriodSeconds")
            )
        )
    if new.get("generation", 0) < old.get("generation", 0):
        errors.append(
            wrong("metadata.generation", new.get("generation", 0), "must not be decremented")
        )
    errors += label_errors(new.get("labels"), "metadata.labels")
    errors += annotation_errors(new.get("annotations"), "metadata.annotations")
    errors += owner_errors(new.get("ownerReferences") or [])
    errors += managed_errors(new.get("managedFields") or [])
    return errors


def without_repeated_owners(meta: Metadata, *, late: bool) -> str:
    """Drop repeated owner references; what to warn of, where there were any.

    `late` says that admission may have changed the object before.
    """
    unique: list[Any] = []
    repeated: list[str] = []
    for owner in meta.get("ownerReferences") or ():
        if owner in unique:
            repeated.append(owner.get("uid", ""))
        else:
            unique.append(owner)
    if not repeated:
        return ""
    meta["ownerReferences"] = unique
    return (
        f".metadata.ownerReferences contains duplicate entries{AFTER_ADMISSION if late else ''}; "
        "API server dedups owner references in 1.20+, and may reject such requests as early as "
        f"1.24; please fix your requests; duplicate UID(s) observed: {', '.join(repeated)}"
    )
