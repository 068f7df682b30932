"""What is wrong with the spec of a Job, wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.indexes import IndexesError, intervals, size
from kaito.local.apiserver.behaviours.pod_rules import check_template
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    label_selector,
    not_negative,
)
from kaito.local.apiserver.behaviours.templates import unmatched
from kaito.local.apiserver.fields import (
    NOTHING,
    FieldError,
    Raw,
    duplicate,
    listed,
    required,
    too_long,
    too_many,
    wrong,
)
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
PREFIX = "batch.kubernetes.io/"
COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
MOST_PARALLEL, MOST_FAILED = 100_000, 100_000  # of indexed jobs
MANY = 100_000  # completions from which the next two limits hold
MOST_PARALLEL_OF_MANY, MOST_FAILED_OF_MANY = 10_000, 10_000
OF_MANY = f"when completions are above {MANY} and used with backoff limit per index"
MOST_RULES, MOST_CODES, LONGEST_MANAGER = 20, 255, 63
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
STATUSES = ("False", "True", "Unknown")
PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
NOT_A_PATH = 'must be a domain-prefixed path (such as "acme.io/foo")'


def check_job(job: Object, *, prefixed: bool = True) -> list[FieldError]:
    """Faults of a whole Job. `prefixed` asks for the labels of newer servers as well."""
    spec, meta = job.get("spec") or {}, job["metadata"]
    errors = [*_generated(job, prefixed=prefixed), *check_spec(spec)]
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        host = f"{meta.get('name', '')}-{completions - 1}"
        if names.label(host):
            why = f"will not able to create pod with invalid DNS label: {host}"
            errors.append(wrong("metadata.name", meta.get("name", ""), why))
    return errors


def _generated(job: Object, *, prefixed: bool) -> Iterator[FieldError]:
    """The labels and the selector by which a Job finds its own pods and no others."""
    spec = job.get("spec") or {}
    selector = spec.get("selector")
    if spec.get("manualSelector") or selector is None:
        return
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    uid, name = job["metadata"].get("uid", ""), job["metadata"].get("name", "")
    wanted = {"controller-uid": uid, "job-name": name}
    if prefixed:
        wanted |= {f"{PREFIX}{key}": value for key, value in wanted.items()}
    for key, value in wanted.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            yield required(path, f"must be '{value}'")
        elif labels[key] != value:
            yield wrong(path, labels, f"must be '{value}'")
    if not label_selector(selector, "") and unmatched(
        {"selector": selector, "template": {"metadata": {"labels": wanted}}}, ""
    ):
        yield wrong("spec.selector", selector, "`selector` not auto-generated")


def check_spec(spec: Object) -> list[FieldError]:
    """Faults of the spec of a Job that has its selector."""
    faults = label_selector(spec.get("selector"), "spec.selector")
    errors = check_part(spec, "spec") + faults
    if "selector" not in spec:
        errors.append(required("spec.selector"))
    return errors if faults else errors + unmatched(spec, "spec")


def check_part(spec: Object, path: str) -> list[FieldError]:
    """Faults of a spec without regard to its selector."""
    errors: list[FieldError] = []
    for name in COUNTS:
        errors += not_negative(spec.get(name), f"{path}.{name}")
    if "managedBy" in spec:
        errors += manager(spec["managedBy"], f"{path}.managedBy")
    mode = spec.get("completionMode", "NonIndexed")
    errors += chosen(mode, ("NonIndexed", "Indexed"), f"{path}.completionMode")
    errors += [*_indexed(spec, path, mode), *_failure_policy(spec, f"{path}.podFailurePolicy")]
    if "successPolicy" in spec:
        errors += _success_policy(spec, f"{path}.successPolicy")
    wanted = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    errors += chosen(spec.get("podReplacementPolicy"), wanted, f"{path}.podReplacementPolicy")
    errors += check_template(spec.get("template") or {}, f"{path}.template")
    return errors + _restarts(spec, f"{path}.template.spec.restartPolicy")


def manager(text: str, path: str, *, limit: int = LONGEST_MANAGER) -> list[FieldError]:
    """A path below a domain, which names who looks after an object."""
    if not text:
        return [required(path)]
    host, _, rest = text.partition("/")
    if not host or not rest:
        errors = [wrong(path, text, NOT_A_PATH)]
    else:
        errors = by(names.subdomain, host, path)
        if not PATH.fullmatch(rest):
            says = f"Invalid path (regex used for validation is '{PATH.pattern}')"
            errors.append(wrong(path, rest, says))
    return [*errors, too_long(path, limit)] if len(text) > limit else errors


def _indexed(spec: Object, path: str, mode: str) -> Iterator[FieldError]:
    parallel, whole = spec.get("parallelism", 0), spec.get("completions")
    per_index, failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if failed is not None and per_index is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if mode == "NonIndexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if name in spec:
                yield wrong(f"{path}.{name}", spec[name], "requires indexed completion mode")
    if mode != "Indexed":
        return
    if whole is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if parallel > MOST_PARALLEL:
        says = f"must be less than or equal to {MOST_PARALLEL} when completion mode is Indexed"
        yield wrong(f"{path}.parallelism", parallel, says)
    where = f"{path}.maxFailedIndexes"
    if failed is not None and whole is not None and failed > whole:
        yield wrong(where, failed, "must be less than or equal to completions")
    if failed is not None and failed > MOST_FAILED:
        yield wrong(where, failed, f"must be less than or equal to {MOST_FAILED}")
    if per_index is None or (whole or 0) <= MANY:
        return
    if failed is None:
        yield required(where, f"must be specified when completions is above {MANY}")
    elif failed > MOST_FAILED_OF_MANY:
        yield wrong(where, failed, f"must be less than or equal to {MOST_FAILED_OF_MANY} {OF_MANY}")
    if parallel > MOST_PARALLEL_OF_MANY:
        says = f"must be less than or equal to {MOST_PARALLEL_OF_MANY} {OF_MANY}"
        yield wrong(f"{path}.parallelism", parallel, says)


def at_most(limit: int, found: int, path: str) -> list[FieldError]:
    return [] if found <= limit else [too_many(path, found, limit)]


def _among(value: str, allowed: tuple[str, ...], path: str) -> list[FieldError]:
    """A value out of a list, which the message names where there is none."""
    if value:
        return chosen(value, allowed, path)
    listed_ = " ".join(f'"{a}"' for a in allowed)
    return [required(path, f"valid values: [{listed_}]")]


def _failure_policy(spec: Object, path: str) -> Iterator[FieldError]:
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or []
    yield from at_most(MOST_RULES, len(rules), f"{path}.rules")
    inner = (spec.get("template") or {}).get("spec") or {}
    known = {
        c.get("name", "")
        for part in ("containers", "initContainers")
        for c in inner.get(part) or ()
    }
    for i, rule in enumerate(rules):
        where, codes = f"{path}.rules[{i}]", rule.get("onExitCodes")
        conditions = rule.get("onPodConditions") or []
        action = rule.get("action", "")
        if action == "FailIndex" and "backoffLimitPerIndex" not in spec:
            says = "requires the backoffLimitPerIndex to be set"
            yield wrong(f"{where}.action", action, says)
        yield from _among(action, ACTIONS, f"{where}.action")
        if codes is not None:
            yield from _exit_codes(codes, f"{where}.onExitCodes", known)
        yield from _conditions(conditions, f"{where}.onPodConditions")
        if (codes is not None) == bool(conditions):
            both = "both OnExitCodes and OnPodConditions is not supported"
            one = "one of OnExitCodes and OnPodConditions is required"
            yield wrong(where, NOTHING, f"specifying {both if conditions else one}")


def _exit_codes(codes: Object, path: str, known: set[str]) -> Iterator[FieldError]:
    operator, values = codes.get("operator", ""), codes.get("values") or []
    yield from _among(operator, ("In", "NotIn"), f"{path}.operator")
    name = codes.get("containerName")
    if name is not None and name not in known:
        says = "must be one of the container or initContainer names in the pod template"
        yield wrong(f"{path}.containerName", name, says)
    if not values:
        yield wrong(f"{path}.values", codes.get("values"), "at least one value is required")
    yield from at_most(MOST_CODES, len(values), f"{path}.values")
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            yield wrong(f"{path}.values[{i}]", value, "must not be 0 for the In operator")
        if value in values[:i]:
            yield duplicate(f"{path}.values[{i}]", value)
    if values != sorted(values):
        yield wrong(f"{path}.values", values, "must be ordered")


def _conditions(conditions: list[Object], path: str) -> Iterator[FieldError]:
    yield from at_most(MOST_RULES, len(conditions), path)
    for i, pattern in enumerate(conditions):
        yield from by(names.qualified, pattern.get("type", ""), f"{path}[{i}].type")
        yield from _among(pattern.get("status", ""), STATUSES, f"{path}[{i}].status")


def _success_policy(spec: Object, path: str) -> Iterator[FieldError]:
    rules = spec["successPolicy"].get("rules") or []
    if spec.get("completionMode") != "Indexed":
        shown = Raw(compact("SuccessPolicy", spec["successPolicy"]))
        yield wrong(path, shown, "requires indexed completion mode")
        return
    if not rules:
        says = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{path}.rules", says)
    yield from at_most(MOST_RULES, len(rules), f"{path}.rules")
    for i, rule in enumerate(rules):
        yield from _success_rule(rule, f"{path}.rules[{i}]", spec.get("completions") or 0)


def _success_rule(rule: Object, path: str, completions: int) -> Iterator[FieldError]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        says = "at least one of succeededCount or succeededIndexes must be specified"
        yield required(path, says)
    total = 0
    if indexes is not None:
        try:
            total = size(intervals(indexes, completions))
        except IndexesError as error:
            says = f"error parsing succeededIndexes: {error}"
            yield wrong(f"{path}.succeededIndexes", indexes, says)
    if count is None:
        return
    where = f"{path}.succeededCount"
    yield from not_negative(count, where)
    if count > completions:
        says = f"must be less than or equal to {completions} (the number of specified completions)"
        yield wrong(where, count, says)
    if indexes is not None and count > total:
        says = (
            f"must be less than or equal to {total} (the number of indexes in the specified "
            "succeededIndexes field)"
        )
        yield wrong(where, count, says)


def _restarts(spec: Object, path: str) -> list[FieldError]:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy", "")
    if policy in {"Always", ""}:
        return [required(path, 'valid values: "OnFailure", "Never"')]
    if policy not in {"OnFailure", "Never"}:
        return [listed(path, policy, ("OnFailure", "Never"))]
    if policy != "Never" and "podFailurePolicy" in spec:
        return [wrong(path, policy, 'only "Never" is supported when podFailurePolicy is specified')]
    return []
