"""Deployments, ReplicaSets, ReplicationControllers, DaemonSets and ControllerRevisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver.behaviour import Behaviour, ScalePaths
from kaito.local.apiserver.behaviours import counts
from kaito.local.apiserver.behaviours.amounts import amount, at_most_all, number
from kaito.local.apiserver.behaviours.pod_defaults import default_template
from kaito.local.apiserver.behaviours.pod_rules import check_template
from kaito.local.apiserver.behaviours.podspec.checks import label_selector, not_negative
from kaito.local.apiserver.behaviours.templates import (
    check_running,
    check_selected,
    name_warnings,
    spec_warnings,
    unmatched,
)
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    listed,
    required,
    unchangeable,
    wrong,
)
from kaito.local.apiserver.gotext import compact
from kaito.local.apiserver.status import bad_request
from kaito.local.apiserver.tables import TEMPLATE_GENERATION

Object = dict[str, Any]
SCALE = ScalePaths(".spec.replicas", ".status.replicas", ".spec.selector")
STATUS_ONLY = (("f:spec",),)
SPEC = (("f:status",),)


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


def check_numbers(spec: Object, *names: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in names:
        errors += not_negative(spec.get(name), f"spec.{name}")
    return errors


def validate_deployment(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = check_numbers(spec, "revisionHistoryLimit", "progressDeadlineSeconds")
    errors += validate_replica_set(obj) + _strategy(spec.get("strategy") or {}, "spec.strategy")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
        errors.append(
            wrong("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
        )
    return errors


def _strategy(strategy: Object, path: str) -> list[FieldError]:
    kind, rolling, where = (
        strategy.get("type"),
        strategy.get("rollingUpdate"),
        f"{path}.rollingUpdate",
    )
    if kind == "Recreate":
        says = "may not be specified when strategy `type` is 'Recreate'"
        return [] if rolling is None else [denied(where, says)]
    if kind != "RollingUpdate":
        shown = compact("DeploymentStrategy", strategy)
        return [listed(path, shown, ["Recreate", "RollingUpdate"])]
    most, surge = (rolling or {}).get("maxUnavailable", 0), (rolling or {}).get("maxSurge", 0)
    errors = amount(most, f"{where}.maxUnavailable") + amount(surge, f"{where}.maxSurge")
    if not number(most) and not number(surge):
        errors.append(wrong(f"{where}.maxUnavailable", most, "may not be 0 when `maxSurge` is 0"))
    return errors + at_most_all(most, f"{where}.maxUnavailable")


def default_replica_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_template(spec.setdefault("template", {}))


def validate_replica_set(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors = check_numbers(spec, "replicas", "minReadySeconds")
    found, readable = check_selected(spec, "spec", "deployment")
    if readable:
        template = spec.get("template") or {}
        found += check_template(template, "spec.template")
        found += check_running(template, "spec.template", "ReplicaSet")
    return errors + found


def keeps_selector(
    validate: Callable[[Object], list[FieldError]],
) -> Callable[[Object, Object], list[FieldError]]:
    """The rule for updates of a kind whose selector stays as it is."""

    def validate_update(new: Object, old: Object) -> list[FieldError]:
        errors = validate(new)
        selector = new["spec"].get("selector")
        if selector != old["spec"].get("selector"):
            errors.append(unchangeable("spec.selector", selector))
        return errors

    return validate_update


def default_daemon_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)
    elif "rollingUpdate" in strategy:
        strategy["rollingUpdate"] = {"maxUnavailable": 0, "maxSurge": 0} | strategy["rollingUpdate"]
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec.setdefault("template", {}))
    template_generation(obj)
    obj["metadata"].setdefault("annotations", {}).setdefault(TEMPLATE_GENERATION, "0")


def template_generation(obj: Object) -> int:
    """The count of templates that a DaemonSet has had. Raises StatusError where it is no number."""
    text = (obj["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "0")
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(
            'DaemonSet in version "v1" cannot be handled as a DaemonSet: strconv.ParseInt: '
            f'parsing "{text}": invalid syntax'
        ) from error


def create_daemon_set(obj: Object) -> None:
    obj["metadata"]["annotations"][TEMPLATE_GENERATION] = str(max(1, template_generation(obj)))


def update_daemon_set(new: Object, old: Object) -> None:
    changed = new["spec"].get("template") != old["spec"].get("template")
    counted = str(template_generation(old) + changed)
    new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = counted


def validate_daemon_set(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    selector, template = spec.get("selector"), spec.get("template") or {}
    errors = label_selector(selector, "spec.selector") or unmatched(spec, "spec")
    if selector is not None and not any(selector.values()):
        errors.append(wrong("spec.selector", selector, "empty selector is invalid for daemonset"))
    errors += check_template(template, "spec.template")
    errors += check_running(template, "spec.template", "DaemonSet")
    errors += check_numbers(spec, "minReadySeconds", "revisionHistoryLimit")
    return errors + _daemon_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")


def _daemon_strategy(strategy: Object, path: str) -> list[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate") or {}
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        shown = compact("DaemonSetUpdateStrategy", strategy)
        return [listed(path, shown, ["RollingUpdate", "OnDelete"])]
    errors: list[FieldError] = []
    for name in ("maxUnavailable", "maxSurge"):
        where = f"{path}.rollingUpdate.{name}"
        errors += amount(rolling.get(name, 0), where) + at_most_all(rolling.get(name, 0), where)
    most, surge = number(rolling.get("maxUnavailable", 0)), number(rolling.get("maxSurge", 0))
    if most and surge:
        says = "may not be set when maxUnavailable is non-zero"
        errors.append(wrong(f"{path}.rollingUpdate.maxSurge", rolling["maxSurge"], says))
    elif not most and not surge:
        says = "cannot be 0 when maxSurge is 0"
        errors.append(required(f"{path}.rollingUpdate.maxUnavailable", says))
    return errors


def default_revision(obj: Object) -> None:
    obj.setdefault("revision", 0)


def validate_revision(obj: Object) -> list[FieldError]:
    errors = not_negative(obj.get("revision"), "revision")
    if obj.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    elif not isinstance(obj["data"], dict):
        errors.append(required("data", "data must be a valid JSON object"))
    return errors


def validate_revision_update(new: Object, old: Object) -> list[FieldError]:
    errors = not_negative(new.get("revision"), "revision")
    if new.get("data") != old.get("data"):
        errors.append(unchangeable("data", new.get("data")))
    return errors


def default_controller(obj: Object) -> None:
    obj.setdefault("spec", {}).setdefault("replicas", 1)
    if "template" not in obj["spec"]:
        return
    default_template(obj["spec"]["template"])
    labels = (obj["spec"]["template"].get("metadata") or {}).get("labels")
    if labels:
        obj["spec"].setdefault("selector", dict(labels))
        obj["metadata"].setdefault("labels", dict(labels))


def validate_controller(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    selector, template = spec.get("selector") or {}, spec.get("template") or {}
    errors = check_numbers(spec, "replicas", "minReadySeconds")
    if not selector:
        errors.append(required("spec.selector"))
    if "template" not in spec:
        return [*errors, required("spec.template")]
    if selector:
        errors += unmatched({"selector": {"matchLabels": selector}, "template": template}, "spec")
    errors += check_template(template, "spec.template")
    return errors + check_running(template, "spec.template", "ReplicationController")


def same_labels(new: Object, old: Object) -> None:
    """Writes to /status leave the labels alone."""
    labels = old["metadata"].get("labels")
    if labels is None:
        new["metadata"].pop("labels", None)
    else:
        new["metadata"]["labels"] = labels


DEPLOYMENTS = Behaviour(
    default=default_deployment,
    validate=validate_deployment,
    validate_update=keeps_selector(validate_deployment),
    validate_status=counts.DEPLOYMENT.check(),
    before_status=same_labels,
    name_warnings=name_warnings,
    warnings=spec_warnings,
    generation=True,
    counts_annotations=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=(*STATUS_ONLY, ("f:metadata", "f:labels")),
    scale=SCALE,
)
REPLICA_SETS = Behaviour(
    default=default_replica_set,
    validate=validate_replica_set,
    validate_update=keeps_selector(validate_replica_set),
    validate_status=counts.REPLICA_SET.check(),
    name_warnings=name_warnings,
    warnings=spec_warnings,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=STATUS_ONLY,
    scale=SCALE,
)
DAEMON_SETS = Behaviour(
    default=default_daemon_set,
    before_create=create_daemon_set,
    before_update=update_daemon_set,
    validate=validate_daemon_set,
    validate_update=keeps_selector(validate_daemon_set),
    validate_status=counts.DAEMON_SET.check(),
    warnings=spec_warnings,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=STATUS_ONLY,
)
REVISIONS = Behaviour(
    default=default_revision, validate=validate_revision, validate_update=validate_revision_update
)
REPLICATION_CONTROLLERS = Behaviour(
    default=default_controller,
    validate=validate_controller,
    validate_update=lambda new, old: validate_controller(new),
    validate_status=counts.REPLICA_SET.check(),
    name_warnings=name_warnings,
    warnings=spec_warnings,
    generation=True,
    has_status=True,
    ignored=SPEC,
    status_ignored=STATUS_ONLY,
    scale=SCALE,
    orphans_by_default=True,
    selectable=lambda o: {"status.replicas": str((o.get("status") or {}).get("replicas", 0))},
    selectors=frozenset({"status.replicas"}),
)
