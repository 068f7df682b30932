"""What a custom resource definition may say, checked when it is written."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.custom.jsonpaths import JsonPath, PathError
from kaito.local.apiserver.custom.schemas import check_schema
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    duplicate,
    required,
    unchangeable,
    unsupported,
    wrong,
)

Object = dict[str, Any]
APPROVAL = "api-approved.kubernetes.io"
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MIXED = "may have mixed case, but should otherwise match: "


def validate(obj: Object) -> list[FieldError]:
    """Every fault of a new definition."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    errors: list[FieldError] = []
    plural, group = (spec.get("names") or {}).get("plural", ""), spec.get("group", "")
    if obj["metadata"].get("name") != f"{plural}.{group}":
        errors.append(
            wrong(
                "metadata.name",
                obj["metadata"].get("name"),
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
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        errors.append(unsupported("spec.scope", spec.get("scope", ""), ["Cluster", "Namespaced"]))
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
    errors += _names(spec.get("names") or {}, "spec.names")
    errors += _conversion(spec.get("conversion") or {})
    return errors


def _versions(spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    versions = spec.get("versions") or []
    hoisted = _hoisted(versions)
    seen: set[str] = set()
    for i, version in enumerate(versions):
        where = f"spec.versions[{i}]"
        name = version.get("name", "")
        if name in seen:
            errors.append(
                wrong(
                    "spec.versions", Raw(go_versions(versions)), "must contain unique version names"
                )
            )
        seen.add(name)
        faults = names.label_1035(name)
        if faults:
            errors.append(wrong(f"{where}.name", name, ",".join(faults)))
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is None:
            errors.append(required(f"{where}.schema.openAPIV3Schema"))
    if sum(bool(v.get("storage")) for v in versions) != 1:
        errors.append(
            wrong(
                "spec.versions",
                Raw(go_versions(versions)),
                "must have exactly one version marked as storage version",
            )
        )
    if hoisted:
        version = versions[0]
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            errors += check_schema(schema, "spec.validation.openAPIV3Schema")
        errors += _extras(version, "spec")
        return errors
    for i, version in enumerate(versions):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if schema is not None:
            errors += check_schema(schema, f"spec.versions[{i}].schema.openAPIV3Schema")
        errors += _extras(version, f"spec.versions[{i}]")
    return errors


PER_VERSION = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


def _hoisted(versions: list[Object]) -> bool:
    """Do all versions say the same? Then the server speaks of them as one."""
    if not versions:
        return False
    first = {k: versions[0].get(k) for k in PER_VERSION}
    return all({k: v.get(k) for k in PER_VERSION} == first for v in versions)


def _extras(version: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        where = f"{path}.subresources.scale"
        for name, parent in (
            ("specReplicasPath", ".spec"),
            ("statusReplicasPath", ".status"),
            ("labelSelectorPath", ".status"),
        ):
            text = scale.get(name)
            if not text:
                if name != "labelSelectorPath":
                    errors.append(required(f"{where}.{name}"))
                continue
            try:
                JsonPath(text)
            except PathError:
                errors.append(
                    wrong(f"{where}.{name}", text, "should be a valid json path, but isn't")
                )
                continue
            if not text.startswith(parent + ".") and not (
                name == "labelSelectorPath" and text.startswith(".spec.")
            ):
                either = "either .spec or .status" if name == "labelSelectorPath" else parent
                errors.append(
                    wrong(f"{where}.{name}", text, f"should be a json path under {either}")
                )
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        errors += _column(column, f"{path}.additionalPrinterColumns[{i}]")
    seen: set[str] = set()
    for i, entry in enumerate(version.get("selectableFields") or ()):
        where = f"{path}.selectableFields[{i}]"
        text = entry.get("jsonPath", "")
        if not text:
            errors.append(required(f"{where}.jsonPath"))
        elif text in seen:
            errors.append(duplicate(f"{where}.jsonPath", text))
        elif not _known(version, text):
            errors.append(
                wrong(
                    f"{where}.jsonPath", text, "is an invalid path: does not refer to a valid field"
                )
            )
        seen.add(text)
    return errors


def _known(version: Object, path: str) -> bool:
    at = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    for part in path.strip(".").split("."):
        at = (at.get("properties") or {}).get(part)
        if at is None:
            return False
    return True


def _column(column: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not column.get("name"):
        errors.append(required(f"{path}.name"))
    kind = column.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", f"must be one of {','.join(COLUMN_TYPES)}"))
    elif kind not in COLUMN_TYPES:
        errors.append(wrong(f"{path}.type", kind, f"must be one of {','.join(COLUMN_TYPES)}"))
    form = column.get("format", "")
    if form and form not in COLUMN_FORMATS:
        errors.append(wrong(f"{path}.format", form, f"must be one of {','.join(COLUMN_FORMATS)}"))
    text = column.get("jsonPath", "")
    if not text:
        errors.append(required(f"{path}.jsonPath"))
    elif not errors:
        try:
            JsonPath(text)
        except PathError:
            errors.append(
                wrong(
                    f"{path}.jsonPath",
                    text,
                    "should be a valid json path, but isn't: unterminated array",
                )
            )
    return errors


def _names(found: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("plural", "singular", "kind", "listKind"):
        text = found.get(name, "")
        if not text and name in {"singular"}:
            continue
        if not text:
            errors.append(
                required(f"{path}.{name}")
                if name != "listKind"
                else wrong(f"{path}.{name}", text, names.label_1035(text)[0])
            )
            continue
        mixed = name in {"kind", "listKind"}
        faults = names.label_1035(text.lower() if mixed else text)
        if faults:
            errors.append(
                wrong(f"{path}.{name}", text, (MIXED if mixed else "") + ",".join(faults))
            )
    for i, text in enumerate(found.get("shortNames") or ()):
        faults = names.label_1035(text)
        if faults:
            errors.append(wrong(f"{path}.shortNames[{i}]", text, ",".join(faults)))
    for i, text in enumerate(found.get("categories") or ()):
        faults = names.label_1035(text)
        if faults:
            errors.append(wrong(f"{path}.categories[{i}]", text, ",".join(faults)))
    if found.get("kind") and found.get("kind") == found.get("listKind"):
        errors.append(
            wrong(f"{path}.listKind", found["listKind"], "kind and listKind may not be the same")
        )
    return errors


def _conversion(conversion: Object) -> list[FieldError]:
    strategy = conversion.get("strategy", "")
    if not strategy:
        return [required("spec.conversion.strategy")]
    if strategy not in {"None", "Webhook"}:
        return [unsupported("spec.conversion.strategy", strategy, ["None", "Webhook"])]
    hook = conversion.get("webhook")
    if strategy == "None" and hook is not None:
        from kaito.local.apiserver.fields import denied

        return [
            denied(
                "spec.conversion.webhookClientConfig",
                "should not be set when strategy is not set to Webhook",
            )
        ]
    if strategy == "Webhook" and (hook or {}).get("clientConfig") is None:
        return [
            required(
                "spec.conversion.webhookClientConfig", "required when strategy is set to Webhook"
            )
        ]
    return []


def _stored(spec: Object, status: Object) -> list[FieldError]:
    stored = status.get("storedVersions") or []
    if not stored:
        return [wrong("status.storedVersions", None, "must have at least one stored version")]
    errors: list[FieldError] = []
    known = {v.get("name") for v in spec.get("versions") or ()}
    for i, name in enumerate(stored):
        if name not in known:
            errors.append(
                wrong(
                    f"status.storedVersions[{i}]",
                    name,
                    "missing from spec.versions; " + name + " was previously a "
                    "storage version, and must remain in spec.versions until a "
                    "storage migration ensures no data remains persisted in "
                    f"{name} and removes {name} from status.storedVersions",
                )
            )
    storage = [v["name"] for v in spec.get("versions") or () if v.get("storage")]
    if storage and storage[-1] not in stored[:1] and len(storage) > 1:
        errors.append(
            wrong(
                "status.storedVersions", stored[:1], f"must have the storage version {storage[-1]}"
            )
        )
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
