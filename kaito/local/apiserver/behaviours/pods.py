"""Pods: defaults, quality of service, what may change, grace."""

from __future__ import annotations

import copy
import json
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_defaults import default_pod, default_template
from kaito.local.apiserver.behaviours.pod_rules import check_spec
from kaito.local.apiserver.fields import FieldError, denied

Object = dict[str, Any]
NODE_FAULTS = [
    {
        "key": f"node.kubernetes.io/{k}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for k in ("not-ready", "unreachable")
]
SELECTORS = frozenset(
    {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    }
)
MUTABLE = (
    "spec.containers[*].image,spec.initContainers[*].image,spec.activeDeadlineSeconds,"
    "spec.tolerations (only additions to existing tolerations),"
    "spec.terminationGracePeriodSeconds (allow it to be set to 1 if it was previously "
    "negative)"
)


def quality(pod: Object) -> str:
    """BestEffort, Burstable or Guaranteed, from requests and limits of cpu and memory."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    requests: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    guaranteed = True
    for container in containers:
        resources = container.get("resources") or {}
        bounded = set()
        for part, total in (("requests", requests), ("limits", limits)):
            for name, text in (resources.get(part) or {}).items():
                amount = quantity.value(text)
                if name in {"cpu", "memory"} and amount > 0:
                    total[name] = total.get(name, 0) + amount
                    if part == "limits":
                        bounded.add(name)
        guaranteed = guaranteed and bounded == {"cpu", "memory"}
    if not requests and not limits:
        return "BestEffort"
    if guaranteed and requests == limits:
        return "Guaranteed"
    return "Burstable"


def before_create(pod: Object) -> None:
    pod["status"] = {"phase": "Pending", "qosClass": quality(pod)}
    if (pod.get("spec") or {}).get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": None,
            }
        ]


def before_status(new: Object, old: Object) -> None:
    owners = old["metadata"].get("ownerReferences")
    if owners:
        new["metadata"]["ownerReferences"] = owners
    else:
        new["metadata"].pop("ownerReferences", None)
    status = new.setdefault("status", {})
    status.setdefault("qosClass", (old.get("status") or {}).get("qosClass", "BestEffort"))


def validate(pod: Object) -> list[FieldError]:
    return check_spec(pod.get("spec") or {}, "spec")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    errors = check_spec(new.get("spec") or {}, "spec")
    fixed = copy.deepcopy(new.get("spec") or {})
    before = old.get("spec") or {}
    for part in ("containers", "initContainers"):
        for mine, theirs in zip(fixed.get(part) or (), before.get(part) or (), strict=False):
            mine["image"] = theirs.get("image", "")
    for name in ("activeDeadlineSeconds",):
        _keep(fixed, before, name)
    tolerations = fixed.get("tolerations") or []
    if all(t in tolerations for t in before.get("tolerations") or ()):
        _keep(fixed, before, "tolerations")
    if len(fixed.get("schedulingGates") or ()) <= len(before.get("schedulingGates") or ()):
        if before.get("schedulingGates"):
            _keep(fixed, before, "nodeSelector")
        _keep(fixed, before, "schedulingGates")
    if len(new["spec"].get("containers") or ()) != len(before.get("containers") or ()):
        return [*errors, denied("spec.containers", "pod updates may not add or remove containers")]
    if fixed != before:
        errors.append(
            denied(
                "spec",
                "pod updates may not change fields other than "
                f"`{MUTABLE.replace(',', '`,`')}`\n"
                f"{_difference(before, fixed)}",
            )
        )
    return errors


def _keep(new: Object, old: Object, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _difference(old: Object, new: Object) -> str:
    lines = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            lines.append(f"- {name}: {json.dumps(old.get(name), sort_keys=True)}")
            lines.append(f"+ {name}: {json.dumps(new.get(name), sort_keys=True)}")
    return "\n".join(lines)


def selectable(pod: Object) -> dict[str, str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return {
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase", ""),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": status.get("podIP", ""),
        "status.nominatedNodeName": status.get("nominatedNodeName", ""),
    }


def grace(pod: Object) -> int:
    return int((pod.get("spec") or {}).get("terminationGracePeriodSeconds") or 0)


PODS = Behaviour(
    default=default_pod,
    before_create=before_create,
    before_status=before_status,
    validate=validate,
    validate_update=validate_update,
    selectable=selectable,
    selectors=SELECTORS,
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(
        ("f:spec",),
        ("f:metadata", "f:deletionTimestamp"),
        ("f:metadata", "f:ownerReferences"),
    ),
    grace=grace,
)


def default_pod_template(obj: Object) -> None:
    default_template(obj.setdefault("template", {}))


POD_TEMPLATES = Behaviour(default=default_pod_template, generation=True)
