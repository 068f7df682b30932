"""Pod templates of workloads: how they are labelled, selected and run."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names, selectors
from kaito.local.apiserver.behaviours.pod_warnings import template_warnings
from kaito.local.apiserver.behaviours.podspec.checks import label_selector
from kaito.local.apiserver.fields import FieldError, denied, required, unsupported, wrong

Object = dict[str, Any]
NO_MATCH = "`selector` does not match template `labels`"
NAME_SAYS = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
    "behavior; a DNS label is recommended: "
)


def check_running(template: Object, path: str, owner: str) -> list[FieldError]:
    """Pods of a workload that never ends are started again and again."""
    spec = template.get("spec") or {}
    errors: list[FieldError] = []
    policy = spec.get("restartPolicy", "")
    if policy != "Always":
        errors.append(unsupported(f"{path}.spec.restartPolicy", policy, ["Always"]))
    if "activeDeadlineSeconds" in spec:
        errors.append(
            denied(
                f"{path}.spec.activeDeadlineSeconds",
                f"activeDeadlineSeconds in {owner} is not Supported",
            )
        )
    return errors


def check_selected(
    spec: Object, path: str, called: str, unreadable: str = "invalid label selector"
) -> tuple[list[FieldError], bool]:
    """Faults of the selector, and whether it could be read so that the template counts."""
    selector = spec.get("selector")
    faults = label_selector(selector, f"{path}.selector")
    errors = list(faults)
    if selector is None:
        errors.append(required(f"{path}.selector"))
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(
            wrong(f"{path}.selector", selector, f"empty selector is invalid for {called}")
        )
    if faults:
        errors.append(wrong(f"{path}.selector", selector, unreadable))
        return errors, False
    return errors + unmatched(spec, path), True


def unmatched(spec: Object, path: str) -> list[FieldError]:
    """The selector finds the pods of the template. A missing one finds none, an empty one all."""
    selector = spec.get("selector")
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if selector is not None and selectors.of_label_selector(selector)(labels or {}):
        return []
    return [wrong(f"{path}.template.metadata.labels", labels, NO_MATCH)]


def name_warnings(obj: Object) -> list[str]:
    """Names that pods cannot carry on as their hostname."""
    faults = names.label(obj["metadata"].get("name", ""))
    return [f"{NAME_SAYS}[{' '.join(faults)}]"] if faults else []


def spec_warnings(obj: Object) -> list[str]:
    """What is odd about the pods of a workload."""
    return template_warnings((obj.get("spec") or {}).get("template") or {}, "spec.template")
