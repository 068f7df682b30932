"""Deployments, ReplicaSets, StatefulSets, DaemonSets, ControllerRevisions."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names, selectors
from kaito.local.apiserver.behaviour import Behaviour, ScalePaths
from kaito.local.apiserver.behaviours.pod_defaults import default_template
from kaito.local.apiserver.behaviours.pod_rules import check_spec, not_negative
from kaito.local.apiserver.fields import FieldError, denied, required, unchangeable, wrong
from kaito.local.apiserver.meta import annotation_errors, label_errors

Object = dict[str, Any]
ALWAYS = ["Always"]
SCALE = ScalePaths(".spec.replicas", ".status.replicas", ".spec.selector")
SET_SAYS = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)
SET_MUTABLE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}


def default_deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    default_template(spec.setdefault("template", {}))


def default_replica_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec.setdefault("template", {}))


def default_stateful_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
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


def default_daemon_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec.setdefault("template", {}))


def check_selector(spec: Object, path: str = "spec") -> list[FieldError]:
    """The selector is there, is not empty, and matches the template's labels."""
    errors: list[FieldError] = []
    selector = spec.get("selector")
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if selector is None:
        errors.append(required(f"{path}.selector"))
    else:
        errors += check_label_selector(selector, f"{path}.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            errors.append(
                wrong(f"{path}.selector", selector, "empty selector is invalid for deployment")
            )
    if selector is None or (not errors and not selectors.of_label_selector(selector)(labels or {})):
        errors.append(
            wrong(
                f"{path}.template.metadata.labels",
                labels,
                "`selector` does not match template `labels`",
            )
        )
    return errors


def check_label_selector(selector: Object, path: str) -> list[FieldError]:
    errors = []
    for key, value in sorted((selector.get("matchLabels") or {}).items()):
        errors += [wrong(f"{path}.matchLabels", key, f) for f in names.qualified(key)]
        errors += [wrong(f"{path}.matchLabels", value, f) for f in names.label_value(value)]
    for i, rule in enumerate(selector.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{i}]"
        operator, values = rule.get("operator", ""), rule.get("values") or []
        if operator in {"In", "NotIn"}:
            if not values:
                errors.append(
                    required(
                        f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"
                    )
                )
        elif operator in {"Exists", "DoesNotExist"}:
            if values:
                errors.append(
                    denied(
                        f"{where}.values",
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    )
                )
        else:
            errors.append(wrong(f"{where}.operator", operator, "not a valid selector operator"))
        errors += [
            wrong(f"{where}.key", rule.get("key", ""), f)
            for f in names.qualified(rule.get("key", ""))
        ]
    return errors


def check_template(
    spec: Object, path: str = "spec", *, restart: list[str] | None = None
) -> list[FieldError]:
    template = spec.get("template") or {}
    meta = template.get("metadata") or {}
    errors = label_errors(meta.get("labels"), f"{path}.template.labels")
    errors += annotation_errors(meta.get("annotations"), f"{path}.template.annotations")
    return errors + check_spec(template.get("spec") or {}, f"{path}.template.spec", restart=restart)


def percent(value: Any) -> int | None:
    """The number of a count or percentage; None where it is neither."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdigit():
        return int(value[:-1])
    return None


def check_amount(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int):
        return not_negative(value, path)
    if percent(value) is None:
        return [
            wrong(
                path,
                value,
                "a valid percent string must be a numeric string followed by "
                "an ending '%' (e.g. '1%',  or '93%', regex used for validation "
                "is '[0-9]+%')",
            )
        ]
    return []


def validate_deployment(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = not_negative(spec.get("replicas"), "spec.replicas")
    errors += check_selector(spec)
    errors += check_template(spec, restart=ALWAYS)
    errors += _strategy(spec.get("strategy") or {})
    errors += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    errors += not_negative(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        errors += not_negative(deadline, "spec.progressDeadlineSeconds")
        if deadline <= spec.get("minReadySeconds", 0):
            errors.append(
                wrong(
                    "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
                )
            )
    return errors


def _strategy(strategy: Object) -> list[FieldError]:
    path = "spec.strategy"
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            return [
                denied(
                    f"{path}.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'",
                )
            ]
        return []
    if kind != "RollingUpdate":
        from kaito.local.apiserver.fields import unsupported

        return [unsupported(f"{path}.type", kind, ["Recreate", "RollingUpdate"])]
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    where = f"{path}.rollingUpdate"
    errors = check_amount(rolling.get("maxUnavailable"), f"{where}.maxUnavailable")
    errors += check_amount(rolling.get("maxSurge"), f"{where}.maxSurge")
    if (
        not errors
        and not percent(rolling.get("maxUnavailable"))
        and not percent(rolling.get("maxSurge"))
    ):
        errors.append(
            wrong(
                f"{where}.maxUnavailable",
                rolling.get("maxUnavailable"),
                "may not be 0 when `maxSurge` is 0",
            )
        )
    most = rolling.get("maxUnavailable")
    if isinstance(most, str) and (percent(most) or 0) > 100:
        errors.append(wrong(f"{where}.maxUnavailable", most, "must not be greater than 100%"))
    return errors


def validate_deployment_update(new: Object, old: Object) -> list[FieldError]:
    errors = validate_deployment(new)
    if new["spec"].get("selector") != old["spec"].get("selector"):
        errors.append(unchangeable("spec.selector", new["spec"].get("selector")))
    return errors


STATUS_COUNTS = (
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
)


def validate_deployment_status(new: Object, old: Object) -> list[FieldError]:
    status = new.get("status") or {}
    errors: list[FieldError] = []
    for name in ("observedGeneration", *STATUS_COUNTS):
        errors += not_negative(status.get(name), f"status.{name}")
    total = status.get("replicas", 0)
    for name in ("updatedReplicas", "readyReplicas", "availableReplicas"):
        if status.get(name, 0) > total:
            errors.append(
                wrong(
                    f"status.{name}", status.get(name, 0), "cannot be greater than status.replicas"
                )
            )
    if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
        errors.append(
            wrong(
                "status.availableReplicas",
                status["availableReplicas"],
                "cannot be greater than readyReplicas",
            )
        )
    return errors


def validate_replica_set(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = not_negative(spec.get("replicas"), "spec.replicas")
    errors += not_negative(spec.get("minReadySeconds"), "spec.minReadySeconds")
    return errors + check_selector(spec) + check_template(spec, restart=ALWAYS)


def validate_replica_set_update(new: Object, old: Object) -> list[FieldError]:
    errors = validate_replica_set(new)
    if new["spec"].get("selector") != old["spec"].get("selector"):
        errors.append(unchangeable("spec.selector", new["spec"].get("selector")))
    return errors


def validate_stateful_set(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = not_negative(spec.get("replicas"), "spec.replicas")
    errors += check_selector(spec)
    return errors + check_template(spec, restart=ALWAYS)


def validate_stateful_set_update(new: Object, old: Object) -> list[FieldError]:
    errors = validate_stateful_set(new)

    def fixed(obj: Object) -> Object:
        return {k: v for k, v in obj["spec"].items() if k not in SET_MUTABLE}

    if fixed(new) != fixed(old):
        errors.append(denied("spec", SET_SAYS))
    return errors


def validate_daemon_set(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    return check_selector(spec) + check_template(spec, restart=ALWAYS)


def daemon_create(obj: Object) -> None:
    obj["metadata"].setdefault("annotations", {}).setdefault(
        "deprecated.daemonset.template.generation", "1"
    )


def default_daemon(obj: Object) -> None:
    default_daemon_set(obj)
    obj["metadata"].setdefault("annotations", {}).setdefault(
        "deprecated.daemonset.template.generation", "0"
    )


def daemon_before_create(obj: Object) -> None:
    obj["metadata"].setdefault("annotations", {})["deprecated.daemonset.template.generation"] = "1"


def daemon_before_update(new: Object, old: Object) -> None:
    key = "deprecated.daemonset.template.generation"
    before = int((old["metadata"].get("annotations") or {}).get(key, "1"))
    changed = new["spec"].get("template") != old["spec"].get("template")
    new["metadata"].setdefault("annotations", {})[key] = str(before + changed)


def default_revision(obj: Object) -> None:
    obj.setdefault("revision", 0)


def validate_revision(obj: Object) -> list[FieldError]:
    errors = []
    if obj.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    return errors + not_negative(obj.get("revision"), "revision")


def validate_revision_update(new: Object, old: Object) -> list[FieldError]:
    errors = validate_revision(new)
    if new.get("data") != old.get("data"):
        errors.append(unchangeable("data", new.get("data")))
    return errors


def same_labels(new: Object, old: Object) -> None:
    """Writes to /status leave the labels alone."""
    labels = old["metadata"].get("labels")
    if labels is None:
        new["metadata"].pop("labels", None)
    else:
        new["metadata"]["labels"] = labels


STATUS_ONLY = (("f:spec",), ("f:metadata", "f:labels"))
SPEC = (("f:status",),)
DEPLOYMENTS = Behaviour(
    default=default_deployment,
    validate=validate_deployment,
    validate_update=validate_deployment_update,
    validate_status=validate_deployment_status,
    before_status=same_labels,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=STATUS_ONLY,
    scale=SCALE,
)
REPLICA_SETS = Behaviour(
    default=default_replica_set,
    validate=validate_replica_set,
    validate_update=validate_replica_set_update,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=(("f:spec",),),
    scale=SCALE,
)
STATEFUL_SETS = Behaviour(
    default=default_stateful_set,
    validate=validate_stateful_set,
    validate_update=validate_stateful_set_update,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=(("f:spec",),),
    scale=SCALE,
)
DAEMON_SETS = Behaviour(
    default=default_daemon,
    before_create=daemon_before_create,
    before_update=daemon_before_update,
    validate=validate_daemon_set,
    validate_update=lambda n, o: validate_daemon_set(n),
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=(("f:spec",),),
)
REVISIONS = Behaviour(
    default=default_revision, validate=validate_revision, validate_update=validate_revision_update
)
REPLICATION_CONTROLLERS = Behaviour(
    default=default_replica_set,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=(("f:spec",),),
    scale=ScalePaths(".spec.replicas", ".status.replicas", ".spec.selector"),
    orphans_by_default=True,
    selectable=lambda o: {"status.replicas": str((o.get("status") or {}).get("replicas", 0))},
    selectors=frozenset({"status.replicas"}),
)
