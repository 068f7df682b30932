"""Jobs and CronJobs."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_defaults import default_template
from kaito.local.apiserver.behaviours.pod_rules import not_negative
from kaito.local.apiserver.behaviours.workloads import check_template
from kaito.local.apiserver.fields import FieldError, required, unchangeable, unsupported

Object = dict[str, Any]
PREFIX = "batch.kubernetes.io/"


def default_spec(spec: Object) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = spec["parallelism"] = 1
    spec.setdefault("parallelism", 1)
    if spec.get("backoffLimitPerIndex") is None:
        spec.setdefault("backoffLimit", 6)
    else:
        spec.setdefault("backoffLimit", 2**31 - 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault(
        "podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"
    )
    spec.setdefault("manualSelector", False)
    template(spec)


def template(spec: Object) -> None:
    inner = spec.setdefault("template", {})
    given = (inner.get("spec") or {}).get("restartPolicy")
    default_template(inner)
    if given is None:
        inner["spec"]["restartPolicy"] = "Always"


def default_job(job: Object) -> None:
    spec = job.setdefault("spec", {})
    default_spec(spec)
    labels = (spec["template"].get("metadata") or {}).get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


def before_create(job: Object) -> None:
    """Settle how a job finds its pods; its uid comes after this, so labels are filled later."""


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
    own = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    own.update(labels)
    spec["selector"] = {"matchLabels": {f"{PREFIX}controller-uid": uid}}
    meta.setdefault("labels", {}).update(labels)


def validate(job: Object) -> list[FieldError]:
    spec = job.get("spec") or {}
    errors: list[FieldError] = []
    for name in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        errors += not_negative(spec.get(name), f"spec.{name}")
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        errors.append(required("spec.completions", "when completion mode is Indexed"))
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    errors += check_template(spec)
    if policy == "Always":
        errors.append(
            required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
        )
    elif policy not in {"OnFailure", "Never"}:
        errors.append(
            unsupported("spec.template.spec.restartPolicy", policy, ["OnFailure", "Never"])
        )
    return errors


def validate_update(new: Object, old: Object) -> list[FieldError]:
    errors = validate(new)
    spec, before = new["spec"], old["spec"]
    if spec.get("completionMode") != "Indexed" and spec.get("completions") != before.get(
        "completions"
    ):
        errors.append(unchangeable("spec.completions", spec.get("completions")))
    if spec.get("selector") != before.get("selector"):
        errors.append(unchangeable("spec.selector", spec.get("selector")))
    suspended = before.get("suspend") and not (old.get("status") or {}).get("startTime")
    if spec.get("template") != before.get("template") and not suspended:
        errors.append(unchangeable("spec.template", spec.get("template")))
    if spec.get("completionMode") != before.get("completionMode"):
        errors.append(unchangeable("spec.completionMode", spec.get("completionMode")))
    return errors


def default_cron(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job = spec.setdefault("jobTemplate", {})
    job.setdefault("metadata", {})
    template(job.setdefault("spec", {}))


def validate_cron(obj: Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    errors: list[FieldError] = []
    if not spec.get("schedule"):
        errors.append(required("spec.schedule"))
    policy = spec.get("concurrencyPolicy")
    if policy not in {"Allow", "Forbid", "Replace"}:
        errors.append(unsupported("spec.concurrencyPolicy", policy, ["Allow", "Forbid", "Replace"]))
    return errors


JOBS = Behaviour(
    default=default_job,
    validate=validate,
    validate_update=validate_update,
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
    validate_update=lambda n, o: validate_cron(n),
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)
