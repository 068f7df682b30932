"""Jobs and CronJobs: defaults, the labels of a Job's pods, what may change."""

from __future__ import annotations

import json
from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.job_rules import PREFIX, check_job, check_part, check_spec
from kaito.local.apiserver.behaviours.job_status import validate_status
from kaito.local.apiserver.behaviours.pod_defaults import default_template
from kaito.local.apiserver.behaviours.pod_updates import whole
from kaito.local.apiserver.behaviours.pod_warnings import template_warnings
from kaito.local.apiserver.behaviours.podspec.checks import needs_choice, not_negative
from kaito.local.apiserver.behaviours.schedules import ScheduleError, check, zone_faults
from kaito.local.apiserver.behaviours.templates import name_warnings, spec_warnings
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    listed,
    required,
    unchangeable,
    wrong,
)
from kaito.local.apiserver.gotext import compact
from kaito.local.apiserver.opaque import copied

Object = dict[str, Any]
IMMUTABLE = {  # the struct that is printed of a part that may not change, where it is one
    "completionMode": "",
    "podFailurePolicy": "PodFailurePolicy",
    "backoffLimitPerIndex": "",
    "managedBy": "",
    "successPolicy": "SuccessPolicy",
    "selector": "",
}
METADATA = ("name", "generateName", "namespace", "labels", "annotations", "finalizers")
DIRECTIVES = ("nodeSelector", "tolerations", "schedulingGates")
LONGEST_CRON = 52  # characters of a name, to which Jobs add eleven
NO_ZONE = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
TWO_ZONES = "cannot use both timeZone field and TZ or CRON_TZ in schedule"


def default_job(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    replaced = "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", replaced)
    spec.setdefault("manualSelector", False)
    default_part(spec)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


def default_part(spec: Object) -> None:
    """What is filled into the spec of a Job wherever it stands."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    default_template(spec.setdefault("template", {}))


def label_pods(job: Object, uid: str) -> None:
    """The selector and labels by which a job finds its own pods."""
    spec, meta = job["spec"], job["metadata"]
    name = meta.get("name", "")  # a job without one is refused after this
    if spec.get("manualSelector"):
        return
    labels = {
        f"{PREFIX}controller-uid": uid,
        "controller-uid": uid,
        f"{PREFIX}job-name": name,
        "job-name": name,
    }
    template = spec["template"].setdefault("metadata", {})
    given = template.get("labels") or {}
    template["labels"] = {**labels, **given}
    matched = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    matched.setdefault(f"{PREFIX}controller-uid", uid)
    if (meta.get("labels") or {}) == given:
        meta["labels"] = dict(template["labels"])


def validate_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    known = ((before.get("template") or {}).get("metadata") or {}).get("labels") or {}
    prefixed = {f"{PREFIX}job-name", f"{PREFIX}controller-uid"} <= set(known)
    errors = check_job(new, prefixed=prefixed) + check_spec(spec)
    for name, struct in IMMUTABLE.items():
        if spec.get(name) != before.get(name):
            shown = compact(struct, spec[name]) if struct and name in spec else spec.get(name)
            errors.append(unchangeable(f"spec.{name}", shown))
    errors += _completions(spec, before)
    return errors + _template(spec["template"], before["template"], old)


def _completions(spec: Object, before: Object) -> list[FieldError]:
    path, count = "spec.completions", spec.get("completions")
    if count == before.get("completions"):
        return []
    if spec.get("completionMode") != "Indexed":
        return [unchangeable(path, count)]
    if count is None or count == spec.get("parallelism"):
        return []
    return [wrong(path, count, "can only be modified in tandem with spec.parallelism")]


def _template(new: Object, before: Object, old: Object) -> list[FieldError]:
    """Only a Job that has not begun lets its pods be placed, labelled and sized anew."""
    path, status = "spec.template", old.get("status") or {}
    conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
    idle = (
        old["spec"].get("suspend")
        and ("startTime" not in status or conditions.get("Suspended") == "True")
        and not status.get("active")
    )
    if not idle:
        return [] if new == before else [unchangeable(path, printed_template(new))]
    spec, kept = copied(new["spec"]), before["spec"]
    for name in DIRECTIVES:
        spec.pop(name, None)
        if name in kept:
            spec[name] = kept[name]
    _keep_affinity(spec, kept)
    for part in ("containers", "initContainers"):
        mine, theirs = spec.get(part) or [], kept.get(part) or []
        for one, other in zip(mine, theirs, strict=False):
            if len(mine) == len(theirs) and one.get("name") == other.get("name"):
                one["resources"] = other.get("resources", {})
    if spec == kept:
        return []
    return [unchangeable("spec.template.spec", compact("PodSpec", whole(new["spec"])))]


def _keep_affinity(spec: Object, kept: Object) -> None:
    affinity = {k: v for k, v in (spec.get("affinity") or {}).items() if k != "nodeAffinity"}
    nodes = (kept.get("affinity") or {}).get("nodeAffinity")
    if nodes is not None:
        affinity["nodeAffinity"] = nodes
    spec.pop("affinity", None)
    if affinity:
        spec["affinity"] = affinity


def printed_template(template: Object) -> Raw:
    """A template as the server prints it: its metadata beside its spec."""
    given = template.get("metadata") or {}
    shown = {name: given[name] for name in METADATA if name in given}
    for name in {"labels", "annotations"} & shown.keys():
        shown[name] = dict(sorted(shown[name].items()))
    meta = json.dumps(shown, separators=(",", ":"))
    spec = f'"Spec":{compact("PodSpec", whole(template.get("spec") or {}))}}}'
    return Raw(f"{meta[:-1]}{',' if len(meta) > 2 else ''}{spec}")


def default_cron(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job = spec.setdefault("jobTemplate", {})
    job.setdefault("metadata", {})
    default_part(job.setdefault("spec", {}))


def validate_cron(obj: Object, old: Object | None = None) -> list[FieldError]:
    spec = obj.get("spec") or {}
    before = (old or {}).get("spec") or {}
    errors = _schedule(spec, before)
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors += not_negative(spec.get(name), f"spec.{name}")
    zone = spec.get("timeZone")
    if zone is not None and zone != before.get("timeZone"):
        errors += [wrong("spec.timeZone", zone, fault) for fault in zone_faults(zone)]
    policies = ("Allow", "Forbid", "Replace")
    errors += needs_choice(spec.get("concurrencyPolicy", ""), policies, "spec.concurrencyPolicy")
    job, path = (spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec"
    errors += check_part(job, path)
    if "selector" in job:
        errors.append(
            wrong(f"{path}.selector", job["selector"], "`selector` will be auto-generated")
        )
    if job.get("manualSelector"):
        errors.append(listed(f"{path}.manualSelector", True, ("nil", "false")))
    name = obj["metadata"].get("name", "")
    if old is None and len(name) > LONGEST_CRON:
        says = f"must be no more than {LONGEST_CRON} characters"
        errors.append(wrong("metadata.name", name, says))
    return errors


def _schedule(spec: Object, before: Object) -> list[FieldError]:
    path, text = "spec.schedule", spec.get("schedule", "")
    if not text:
        return [required(path)]
    errors: list[FieldError] = []
    try:
        check(text)
    except ScheduleError as error:
        errors.append(wrong(path, text, str(error)))
    if "TZ" in text:
        if "TZ" not in before.get("schedule", ""):
            errors.append(wrong(path, text, NO_ZONE))
        elif "timeZone" in spec:
            errors.append(wrong(path, text, TWO_ZONES))
    return errors


def cron_warnings(obj: Object) -> list[str]:
    job = (obj["spec"].get("jobTemplate") or {}).get("spec") or {}
    return template_warnings(job.get("template") or {}, "spec.jobTemplate.spec.template")


JOBS = Behaviour(
    default=default_job,
    validate=check_job,
    validate_update=validate_update,
    validate_status=validate_status,
    name_warnings=name_warnings,
    warnings=spec_warnings,
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    after_identity=label_pods,
    orphans_by_default=True,
    selectable=lambda o: {"status.successful": str((o.get("status") or {}).get("succeeded", 0))},
    selectors=frozenset({"status.successful"}),
)
CRON_JOBS = Behaviour(
    default=default_cron,
    validate=validate_cron,
    validate_update=validate_cron,
    name_warnings=name_warnings,
    warnings=cron_warnings,
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)
