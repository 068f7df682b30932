"""What a custom resource definition may say, checked when it is written."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.clientconfigs import config_faults
from kaito.local.apiserver.custom.extras import (
    column_faults,
    selectable_faults,
    subresource_faults,
)
from kaito.local.apiserver.custom.schemas import check_schema
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    denied,
    required,
    unchangeable,
    unsupported,
    wrong,
)

Object = dict[str, Any]
APPROVAL = "api-approved.kubernetes.io"
MOST_DEPRECATION = 256  # bytes of a warning
MIXED = "may have mixed case, but should otherwise match: "


def validate(obj: Object) -> list[FieldError]:
    """Every fault of a new definition."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    errors: list[FieldError] = []
    plural, group = (spec.get("names") or {}).get("plural", ""), spec.get("group", "")
    name = obj["metadata"].get("name")
    if name and name != f"{plural}.{group}":
        errors.append(
            wrong(
                "metadata.name",
                name,
                'must be spec.names.plural+"."+spec.group',
            )
        )
    errors += _spec(spec)
    errors += _stored(spec, status)
    errors += _approval(obj, group)
    return errors


def _spec(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    group = spec.get("group", "")
    if not group:
        errors.append(required("spec.group"))
    else:
        faults = names.subdomain(group)
        if faults:
            errors.append(wrong("spec.group", group, ",".join(faults)))
        elif "." not in group:
            errors.append(wrong("spec.group", group, "should be a domain with at least one dot"))
    errors += _one_of(spec.get("scope") or "", "spec.scope", ["Cluster", "Namespaced"])
    if spec.get("preserveUnknownFields"):
        errors.append(
            wrong(
                "spec.preserveUnknownFields",
                True,
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true "
                "in spec.versions[*].schema instead",
            )
        )
    errors += _versions(spec)
    found = spec.get("names") or {}
    errors += [
        required(f"spec.names.{n}")
        for n in ("plural", "singular", "kind", "listKind")
        if not found.get(n)
    ]
    errors += _names(found, "spec.names")
    errors += _conversion(spec.get("conversion") or {})
    return errors


def _one_of(value: str, path: str, allowed: list[str]) -> list[FieldError]:
    if not value:
        return [required(path)]
    return [] if value in allowed else [unsupported(path, value, allowed)]


def _versions(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    versions = spec.get("versions") or []
    shared = {part: _shared(versions, part) for part in PER_VERSION}
    known: list[str] = []
    for i, version in enumerate(versions):
        where, name = f"spec.versions[{i}]", version.get("name", "")
        known.append(name)
        faults = names.label_1035(name)
        if faults:
            errors.append(wrong(f"{where}.name", name, ",".join(faults)))
            if i == 0 and name:
                errors.append(wrong("spec.version", name, ",".join(faults)))
        if _schema(version) is None:
            errors.append(required(f"{where}.schema.openAPIV3Schema"))
        errors += _deprecation(version, f"{where}.deprecationWarning")
        errors += _parts(version, where, [p for p in PER_VERSION if not shared[p]])
    if versions:
        errors += _parts(versions[0], "spec", [p for p in PER_VERSION if shared[p]])
    says = []
    if len(set(known)) < len(known):
        says.append("must contain unique version names")
    if sum(bool(v.get("storage")) for v in versions) != 1:
        says.append("must have exactly one version marked as storage version")
    shown = Raw(go_versions(versions)) if versions else spec.get("versions")
    return errors + [wrong("spec.versions", shown, text) for text in says]


PER_VERSION = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


def _schema(version: Object) -> Object | None:
    found: Object | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return found


def _shared(versions: list[Object], part: str) -> bool:
    """Do all versions say the same? Then the server speaks of them as one."""
    return all(v.get(part) == versions[0].get(part) for v in versions)


def _parts(version: Object, path: str, parts: list[str]) -> list[FieldError]:
    """Faults of some parts of a version. At the top a schema is called validation."""
    errors: list[FieldError] = []
    schema = _schema(version)
    for part in parts:
        where = f"{path}.{part}"
        match part:
            case "schema":
                if schema is not None:
                    where = f"{path}.{'validation' if path == 'spec' else part}.openAPIV3Schema"
                    has_status = (version.get("subresources") or {}).get("status") is not None
                    errors += check_schema(schema, where, has_status=has_status)
            case "subresources":
                errors += subresource_faults(version.get(part), where)
            case "additionalPrinterColumns":
                errors += column_faults(version.get(part), where)
            case "selectableFields":
                says = (
                    "may only be set when validations.schema is included"
                    if path == "spec"
                    else "may only be set when `version.schema.openAPIV3Schema` is not included"
                )
                errors += selectable_faults(version.get(part), schema, where, says)
    return errors


def _deprecation(version: Object, path: str) -> list[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return []
    if not version.get("deprecated"):
        return [wrong(path, text, "can only be set for deprecated versions")]
    says = []
    if len(text.encode()) > MOST_DEPRECATION:
        says.append(f"must be <= {MOST_DEPRECATION} characters long")
    if not text:
        says.append("must not be an empty string")
    bad = next((i for i, c in enumerate(text) if not c.isprintable()), None)
    if bad is not None:
        says.append(
            "must only contain printable UTF-8 characters; non-printable character found at "
            f"index {len(text[:bad].encode())}"
        )
    return [wrong(path, text, s) for s in says]


def _names(found: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("plural", "singular", "kind", "listKind"):
        text = found.get(name, "")
        mixed = name in {"kind", "listKind"}
        faults = names.label_1035(text.lower() if mixed else text) if text else []
        if faults:
            errors.append(
                wrong(f"{path}.{name}", text, (MIXED if mixed else "") + ",".join(faults))
            )
    for part in ("shortNames", "categories"):
        for i, text in enumerate(found.get(part) or ()):
            faults = names.label_1035(text)
            if faults:
                errors.append(wrong(f"{path}.{part}[{i}]", text, ",".join(faults)))
    if found.get("kind") and found.get("kind") == found.get("listKind"):
        errors.append(
            wrong(f"{path}.listKind", found["listKind"], "kind and listKind may not be the same")
        )
    return errors


def _conversion(conversion: Object) -> list[FieldError]:
    where, strategy = "spec.conversion", conversion.get("strategy", "")
    errors = _one_of(strategy, f"{where}.strategy", ["None", "Webhook"])
    hook = conversion.get("webhook") or {}
    config, reviews = hook.get("clientConfig"), hook.get("conversionReviewVersions") or []
    whole = f"{where}.webhookClientConfig"
    if strategy != "Webhook":
        says = "should not be set when strategy is not set to Webhook"
        if config is not None:
            errors.append(denied(whole, says))
        if reviews:
            errors.append(denied(f"{where}.conversionReviewVersions", says))
        return errors
    if config is None:
        errors.append(required(whole, "required when strategy is set to Webhook"))
    else:
        errors += config_faults(config, whole, whole)
    return errors + _reviews(reviews, f"{where}.conversionReviewVersions")


def _reviews(reviews: list[str], path: str) -> list[FieldError]:
    """Versions of the question that a webhook understands."""
    if not reviews:
        return [required(path)]
    errors = []
    for i, name in enumerate(reviews):
        if name in reviews[:i]:
            errors.append(wrong(f"{path}[{i}]", name, "duplicate version"))
        else:
            errors += [wrong(f"{path}[{i}]", name, f) for f in names.label_1035(name)]
    if not {"v1", "v1beta1"} & set(reviews):
        errors.append(wrong(path, reviews, "must include at least one of v1, v1beta1"))
    return errors


def _stored(spec: Object, status: Object) -> list[FieldError]:
    stored, path = status.get("storedVersions") or [], "status.storedVersions"
    if not stored:
        shown = status.get("storedVersions")
        return [wrong(path, shown, "must have at least one stored version")]
    errors: list[FieldError] = []
    versions = spec.get("versions") or ()
    errors += [
        wrong(path, stored, f"must have the storage version {v.get('name', '')}")
        for v in versions
        if v.get("storage") and v.get("name", "") not in stored
    ]
    known = {v.get("name", "") for v in versions}
    errors += [
        wrong(
            f"{path}[{i}]",
            name,
            f"missing from spec.versions; {name} was previously a storage version, and must "
            "remain in spec.versions until a storage migration ensures no data remains persisted "
            f"in {name} and removes {name} from status.storedVersions",
        )
        for i, name in enumerate(stored)
        if name not in known
    ]
    return errors


def _approval(obj: Object, group: str) -> list[FieldError]:
    protected = group in {"k8s.io", "kubernetes.io"} or group.endswith(
        (".k8s.io", ".kubernetes.io")
    )
    if not protected:
        return []
    value = (obj["metadata"].get("annotations") or {}).get(APPROVAL, "")
    if value.startswith(("https://", "http://", "unapproved")):
        return []
    path = f"metadata.annotations[{APPROVAL}]"
    if not value:
        return [
            required(
                path,
                f'protected groups must have approval annotation "{APPROVAL}", see '
                "https://github.com/kubernetes/enhancements/pull/1111",
            )
        ]
    return [
        wrong(
            path,
            value,
            f'protected groups must have approval annotation "{APPROVAL}" with '
            'either a URL or a reason starting with "unapproved", see '
            "https://github.com/kubernetes/enhancements/pull/1111",
        )
    ]


def go_versions(versions: list[Object]) -> str:
    """Versions as the server prints its own structures, schemas left out."""
    import json

    shown = [
        {
            "Name": v.get("name", ""),
            "Served": bool(v.get("served")),
            "Storage": bool(v.get("storage")),
            "Deprecated": bool(v.get("deprecated")),
            "DeprecationWarning": v.get("deprecationWarning"),
            "Schema": None,
            "Subresources": None,
            "AdditionalPrinterColumns": None,
            "SelectableFields": None,
        }
        for v in versions
    ]
    return json.dumps(shown, separators=(",", ":"))


def validate_update(new: Object, old: Object) -> list[FieldError]:
    """Every fault of a changed definition; what was accepted before may stay."""
    errors = _spec(new["spec"]) if new["spec"] != old["spec"] else []
    spec, before = new["spec"], old["spec"]
    established = any(
        c.get("type") == "Established" and c.get("status") == "True"
        for c in (old.get("status") or {}).get("conditions") or ()
    )
    if established:
        if spec.get("scope") != before.get("scope"):
            errors.append(unchangeable("spec.scope", spec.get("scope")))
        for name in ("kind",):
            if spec["names"].get(name) != before["names"].get(name):
                errors.append(unchangeable(f"spec.names.{name}", spec["names"].get(name)))
    if spec.get("group") != before.get("group"):
        errors = [e for e in errors if e.field != "metadata.name"]
        errors.append(unchangeable("spec.group", spec.get("group")))
    if spec["names"].get("plural") != before["names"].get("plural"):
        errors.append(unchangeable("spec.names.plural", spec["names"].get("plural")))
    errors += _stored(spec, new.get("status") or {})
    return errors
