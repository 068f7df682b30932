"""Pods: what creation settles, what clients may select by, how they end."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import Behaviour, Part
from kaito.local.apiserver.behaviours import pod_updates
from kaito.local.apiserver.behaviours.pod_defaults import (
    default_addresses,
    default_pod,
    drop_disabled,
)
from kaito.local.apiserver.behaviours.pod_quality import quality
from kaito.local.apiserver.behaviours.pod_rules import check_new_pod
from kaito.local.apiserver.behaviours.pod_status import (
    keep_generations,
    status_warnings,
    validate_status,
)
from kaito.local.apiserver.behaviours.pod_warnings import app_armor, pod_warnings
from kaito.local.apiserver.behaviours.podspec.annotations import APP_ARMOR
from kaito.local.apiserver.behaviours.podspec.placement import label_key_terms
from kaito.local.apiserver.behaviours.podspec.security import containers_of

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
        "spec.host",
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


def before_create(pod: Object) -> None:
    spec = pod.get("spec") or {}
    pod["status"] = {"phase": "Pending", "qosClass": quality(pod)}
    drop_disabled(spec)
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
            }
        ]
    merge_label_keys(pod)
    settle_profiles(pod)


def settle_profiles(pod: Object) -> None:
    """What an old annotation says of a container's profile becomes a field."""
    annotations, spec = pod["metadata"].get("annotations") or {}, pod.get("spec") or {}
    if (spec.get("os") or {}).get("name") == "windows":
        return
    own = (spec.get("securityContext") or {}).get("appArmorProfile")
    for container, _ in containers_of(spec, ""):
        given = annotations.get(APP_ARMOR + container.get("name", ""))
        profile = None if given is None else app_armor(given)
        context = container.get("securityContext") or {}
        if profile is not None and profile != own and "appArmorProfile" not in context:
            container["securityContext"] = {**context, "appArmorProfile": profile}


def date_conditions(pod: Object, uid: str) -> None:
    """The first conditions are as old as the pod."""
    for condition in pod["status"].get("conditions") or ():
        condition["lastTransitionTime"] = pod["metadata"]["creationTimestamp"]


def merge_label_keys(pod: Object) -> None:
    """Terms that ask for the pod's own labels get the values that the pod has."""
    labels = pod["metadata"].get("labels") or {}
    for term in label_key_terms(pod.get("spec") or {}):
        selector = term.get("labelSelector")
        if selector is None:
            continue
        for part, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
            for key in term.get(part) or ():
                if key in labels:
                    rule = {"key": key, "operator": operator, "values": [labels[key]]}
                    selector.setdefault("matchExpressions", []).append(rule)


def before_update(new: Object, old: Object) -> None:
    drop_disabled(new.get("spec") or {})


def before_status(new: Object, old: Object) -> None:
    owners = old["metadata"].get("ownerReferences")
    if owners:
        new["metadata"]["ownerReferences"] = owners
    else:
        new["metadata"].pop("ownerReferences", None)
    status = new.setdefault("status", {})
    quality_before = (old.get("status") or {}).get("qosClass")
    if not status.get("qosClass") and quality_before:
        status["qosClass"] = quality_before
    default_addresses(status)
    keep_generations(new, old)


def selectable(pod: Object) -> dict[str, str]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return {
        "spec.host": spec.get("nodeName", ""),  # as old clients ask for it
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.restartPolicy": spec.get("restartPolicy", ""),
        "spec.schedulerName": spec.get("schedulerName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
        "status.phase": status.get("phase", ""),
        "status.podIP": status.get("podIP", ""),
        "status.nominatedNodeName": status.get("nominatedNodeName", ""),
    }


def grace(pod: Object) -> int:
    return int((pod.get("spec") or {}).get("terminationGracePeriodSeconds") or 0)


PODS = Behaviour(
    default=default_pod,
    before_create=before_create,
    after_identity=date_conditions,
    before_update=before_update,
    before_status=before_status,
    validate=check_new_pod,
    validate_update=pod_updates.validate_update,
    validate_status=validate_status,
    selectable=selectable,
    selectors=SELECTORS,
    name_warnings=pod_warnings,
    status_warnings=status_warnings,
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(
        ("f:spec",),
        ("f:metadata", "f:deletionTimestamp"),
        ("f:metadata", "f:ownerReferences"),
    ),
    grace=grace,
    parts={
        "ephemeralcontainers": Part(
            prepare=pod_updates.only_debugging, validate=pod_updates.validate_debugging
        ),
        "resize": Part(prepare=pod_updates.only_resizing, validate=pod_updates.validate_resizing),
    },
)
