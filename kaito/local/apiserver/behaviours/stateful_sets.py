"""StatefulSets."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours import counts
from kaito.local.apiserver.behaviours.claims import spec_warnings as claim_warnings
from kaito.local.apiserver.behaviours.pod_defaults import default_template
from kaito.local.apiserver.behaviours.pod_rules import check_template
from kaito.local.apiserver.behaviours.podspec.checks import by, chosen, not_negative
from kaito.local.apiserver.behaviours.podspec.claims import check_claim_spec
from kaito.local.apiserver.behaviours.templates import (
    check_running,
    check_selected,
    spec_warnings,
)
from kaito.local.apiserver.behaviours.values import labels
from kaito.local.apiserver.behaviours.workloads import SCALE, SPEC, STATUS_ONLY, check_numbers
from kaito.local.apiserver.fields import FieldError, denied, wrong
from kaito.local.apiserver.gotext import compact
from kaito.local.apiserver.meta import annotation_errors

Object = dict[str, Any]
MUTABLE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}
KEEPS_ALL = (
    "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 "
    "is recommended"
)
SAYS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)


def default(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if "type" not in strategy:
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    policy.setdefault("whenDeleted", "Retain")
    policy.setdefault("whenScaled", "Retain")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        claim.setdefault("metadata", {})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    default_template(spec.setdefault("template", {}))


def prepare(obj: Object) -> None:
    """Drop the field whose feature is off."""
    (obj["spec"]["updateStrategy"].get("rollingUpdate") or {}).pop("maxUnavailable", None)


def validate(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = _common(spec)
    if spec.get("serviceName"):
        errors += by(names.label, spec["serviceName"], "spec.serviceName")
    for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        errors += check_claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec")
    return errors


def _common(spec: Object) -> list[FieldError]:
    """What holds for new and old ones alike."""
    policy, template = spec.get("podManagementPolicy", ""), spec.get("template") or {}
    errors = check_numbers(spec, "replicas", "minReadySeconds")
    if policy not in {"OrderedReady", "Parallel"}:
        says = "must be 'OrderedReady' or 'Parallel'"
        errors.append(wrong("spec.podManagementPolicy", policy, says))
    errors += _strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    for name, value in (spec.get("persistentVolumeClaimRetentionPolicy") or {}).items():
        where = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
        errors += chosen(value, ("Retain", "Delete"), where)
    errors += not_negative((spec.get("ordinals") or {}).get("start"), "spec.ordinals.start")
    found, readable = check_selected(spec, "spec", "statefulset", "")
    if readable:
        meta, where = template.get("metadata") or {}, "spec.template"
        found += check_template(_as_run(spec, template), where)
        found += labels(meta.get("labels"), f"{where}.labels")
        found += annotation_errors(meta.get("annotations"), f"{where}.annotations")
    return errors + found + check_running(template, "spec.template", "StatefulSet")


def _as_run(spec: Object, template: Object) -> Object:
    """The template with the volumes that claims will be, and without names that it will get."""
    inner = {
        k: v
        for k, v in (template.get("spec") or {}).items()
        if k not in {"subdomain", "hostname", "volumes"}
    }
    claims = {c["metadata"].get("name", ""): None for c in spec.get("volumeClaimTemplates") or ()}
    volumes: list[Object] = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims
    ]
    given = (template.get("spec") or {}).get("volumes") or ()
    volumes += [v for v in given if v.get("name", "") not in claims]
    return {**template, "spec": {**inner, **({"volumes": volumes} if volumes else {})}}


def _strategy(strategy: Object, path: str) -> list[FieldError]:
    kind, rolling, where = (
        strategy.get("type"),
        strategy.get("rollingUpdate"),
        f"{path}.rollingUpdate",
    )
    if kind == "OnDelete":
        if rolling is None:
            return []
        shown = compact("RollingUpdateStatefulSetStrategy", rolling)
        return [wrong(where, shown, "only allowed for updateStrategy 'RollingUpdate'")]
    if kind != "RollingUpdate":
        shown = compact("StatefulSetUpdateStrategy", strategy)
        return [wrong(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    return not_negative((rolling or {}).get("partition"), f"{where}.partition")


def validate_update(new: Object, old: Object) -> list[FieldError]:
    errors = _common(new["spec"])

    def fixed(obj: Object) -> Object:
        return {k: v for k, v in obj["spec"].items() if k not in MUTABLE}

    if fixed(new) != fixed(old):
        errors.append(denied("spec", SAYS))
    return errors


def warnings(obj: Object) -> list[str]:
    found = spec_warnings(obj)
    for i, claim in enumerate(obj["spec"].get("volumeClaimTemplates") or ()):
        found += claim_warnings(claim["spec"], f"spec.volumeClaimTemplates[{i}]")
    keeps = (obj["spec"].get("revisionHistoryLimit") or 0) < 0
    return [*found, KEEPS_ALL] if keeps else found


STATEFUL_SETS = Behaviour(
    default=default,
    before_create=prepare,
    before_update=lambda new, old: prepare(new),
    validate=validate,
    validate_update=validate_update,
    validate_status=counts.STATEFUL_SET.check(),
    warnings=warnings,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=STATUS_ONLY,
    name_rule="label",
    scale=SCALE,
)
