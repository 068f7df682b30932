"""Objects inside of custom resources: they name their kind, and have metadata of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.fields import FieldError, required, wrong
from kaito.local.apiserver.meta import annotation_errors, finalizer_errors, label_errors

Object = dict[str, Any]
MIXED = "may have mixed case, but should otherwise match: "


def embedded_faults(value: Object, path: str) -> list[FieldError]:
    """Faults of what makes a value an object."""
    errors: list[FieldError] = []
    for name in ("apiVersion", "kind"):
        where, text = f"{path}.{name}", value.get(name)
        if text is None:
            errors.append(required(where))
        elif not text:
            errors.append(wrong(where, text, "must not be empty"))
        elif name == "kind":
            faults = names.label_1035(text.lower())
            errors += [wrong(where, text, MIXED + ",".join(faults))] if faults else []
        elif text.count("/") > 1:
            errors.append(wrong(where, text, f"unexpected GroupVersion string: {text}"))
    meta = value.get("metadata")
    return errors + (_metadata(meta, f"{path}.metadata") if isinstance(meta, dict) else [])


def _metadata(meta: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for part in ("name", "generateName"):
        text = meta.get(part) or ""
        errors += [wrong(f"{path}.{part}", text, f) for f in names.path_segment(text)]
    errors += label_errors(meta.get("labels") or {}, f"{path}.labels")
    errors += annotation_errors(meta.get("annotations") or {}, f"{path}.annotations")
    found = finalizer_errors(meta.get("finalizers") or [], custom=True)
    errors += [replace(e, field=e.field.replace("metadata", path, 1)) for e in found]
    return errors
