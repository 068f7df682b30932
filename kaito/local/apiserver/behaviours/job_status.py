"""What a write to the status of a Job may say.

Some conditions go together, some exclude each other, counters only grow.
Most rules hold only for writes that touch what they are about, so that old states stay writable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver.behaviours.indexes import IndexesError, intervals, overlap
from kaito.local.apiserver.behaviours.podspec.checks import not_negative
from kaito.local.apiserver.fields import NOTHING, FieldError, duplicate, required, wrong

Object = dict[str, Any]
COUNTS = ("active", "succeeded", "failed", "ready", "terminating")
PATH = "status.conditions"
# Conditions that exclude each other, and where one asks for another: (condition, other, shown).
EXCLUDED = (
    ("Complete", "Failed", "Failed=true"),
    ("Complete", "FailureTarget", "FailureTarget=true"),
    ("SuccessCriteriaMet", "Failed", "Failed=true"),
    ("SuccessCriteriaMet", "FailureTarget", "FailureTarget=true"),
)
NEEDED = (("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet"))


def _true(status: Object) -> set[str]:
    conditions = status.get("conditions") or ()
    return {c.get("type", "") for c in conditions if c.get("status") == "True"}


def validate_status(new: Object, old: Object) -> list[FieldError]:
    spec, status, before = new.get("spec") or {}, new.get("status") or {}, old.get("status") or {}
    holds, held = _true(status), _true(before)
    changed = {n for n in {*status, *before} if status.get(n) != before.get(n)}
    changed |= holds ^ held
    finished = {"Complete", "Failed"}
    if bool(holds & finished) != bool(held & finished):
        changed.add("finished")
    errors: list[FieldError] = []
    for name in COUNTS:
        errors += not_negative(status.get(name), f"status.{name}")
    return [
        *errors,
        *_conditions(spec, holds, held, changed),
        *_finished(spec, status, bool(holds & finished), changed),
        *_times(spec, status, before, holds, changed),
        *_counters(spec, status, before, changed),
        *_uncounted(status.get("uncountedTerminatedPods") or {}),
        *_indexes(spec, status, changed),
    ]


def _conditions(
    spec: Object, holds: set[str], held: set[str], changed: set[str]
) -> Iterator[FieldError]:
    for one, other, shown in EXCLUDED:
        if {one, other} <= holds and (one != "Complete" or {one, other} & changed):
            yield wrong(PATH, NOTHING, f"cannot set {one}=True and {shown} conditions")
    for one, other in NEEDED:
        touched = {one, "failedIndexes"} if one == "Failed" else {one, other}
        if one in holds and other not in holds and touched & changed:
            says = f"cannot set {one}=True condition without the {other}=true condition"
            yield wrong(PATH, NOTHING, says)
    for one in ("Failed", "Complete", "FailureTarget"):
        if one in held - holds:
            yield wrong(PATH, NOTHING, f"cannot disable the terminal {one}=True condition")
    met = "SuccessCriteriaMet"
    if met in held - holds:
        yield wrong(PATH, NOTHING, f"cannot disable the {met}=True condition")
    if "Complete" in held and met in holds - held:
        says = f"cannot set {met}=True for Job already has Complete=true conditions"
        yield wrong(PATH, NOTHING, says)
    if "successPolicy" in spec and "Complete" in holds and met not in holds:
        says = f"cannot set Complete=True for Job with SuccessPolicy unless {met}=True"
        yield wrong(PATH, NOTHING, says)


def _finished(
    spec: Object, status: Object, finished: bool, changed: set[str]
) -> Iterator[FieldError]:
    if not finished:
        return
    for name in ("active", "terminating"):
        if (status.get(name) or 0) > 0 and {"finished", name} & changed:
            says = f"{name}>0 is invalid for finished job"
            yield wrong(f"status.{name}", status[name], says)
    idle = spec.get("suspend") and spec.get("completions") == 0
    if "startTime" not in status and {"finished", "startTime"} & changed and not idle:
        yield required("status.startTime", "startTime is required for finished job")
    uncounted = status.get("uncountedTerminatedPods") or {}
    if any(uncounted.values()) and {"finished", "uncountedTerminatedPods"} & changed:
        says = "must be empty for finished job"
        yield wrong("status.uncountedTerminatedPods", uncounted, says)


def _times(
    spec: Object, status: Object, before: Object, holds: set[str], changed: set[str]
) -> Iterator[FieldError]:
    start, end, complete = (
        status.get("startTime"),
        status.get("completionTime"),
        "Complete" in holds,
    )
    path = "status.completionTime"
    if {"Complete", "completionTime"} & changed:
        if end and not complete:
            says = "cannot set completionTime when there is no Complete=True condition"
            yield wrong(path, end, says)
        if complete and not end:
            yield required(path, "completionTime is required for Complete jobs")
    if {"startTime", "completionTime"} & changed and start and end and end < start:
        yield wrong(path, end, "must be equal to or after `startTime`")
    if end and before.get("completionTime", end) != end:
        yield wrong(path, end, "field is immutable")
    resuming = _condition(before, "Suspended") == "True"
    resuming = resuming and _condition(status, "Suspended") == "False"
    fixed = "startTime" in before and not resuming and not spec.get("suspend")
    if fixed and "startTime" in changed:
        says = "field is immutable for unsuspended job once set"
        yield wrong("status.startTime", start, says)


def _condition(status: Object, kind: str) -> str:
    conditions = status.get("conditions") or ()
    return next((c.get("status", "") for c in conditions if c.get("type") == kind), "")


def _counters(
    spec: Object, status: Object, before: Object, changed: set[str]
) -> Iterator[FieldError]:
    indexed = spec.get("completionMode") == "Indexed"
    elastic = indexed and spec.get("completions") == spec.get("parallelism")
    for name in ("failed", *(() if elastic else ("succeeded",))):
        if status.get(name, 0) < before.get(name, 0):
            says = f"cannot decrease the {name} counter"
            yield wrong(f"status.{name}", status.get(name, 0), says)
    ready = status.get("ready") or 0
    if ready > status.get("active", 0) and {"ready", "active"} & changed:
        yield wrong("status.ready", ready, "cannot set more ready pods than active")


def _uncounted(uncounted: Object) -> Iterator[FieldError]:
    seen: set[str] = set()
    for part in ("succeeded", "failed"):
        for i, uid in enumerate(uncounted.get(part) or ()):
            path = f"status.uncountedTerminatedPods.{part}[{i}]"
            if not uid:
                yield wrong(path, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(path, uid)
            seen.add(uid)


def _indexes(spec: Object, status: Object, changed: set[str]) -> Iterator[FieldError]:
    whole = spec.get("completions")
    done, failed = status.get("completedIndexes", ""), status.get("failedIndexes")
    if "completedIndexes" in changed:
        yield from _readable("completedIndexes", done, whole)
        if done and spec.get("completionMode") != "Indexed":
            says = "cannot set non-empty completedIndexes when non-indexed completion mode"
            yield wrong("status.completedIndexes", done, says)
    if "failedIndexes" in changed and failed is not None:
        if "backoffLimitPerIndex" in spec:
            yield from _readable("failedIndexes", failed, whole)
        else:
            says = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            yield wrong("status.failedIndexes", failed, says)
    if {"completedIndexes", "failedIndexes"} & changed and done and failed and whole is not None:
        shared = overlap(done, failed, whole)
        if shared is not None:
            says = f"failedIndexes and completedIndexes overlap at index: {shared}"
            yield wrong("status.failedIndexes", failed, says)


def _readable(name: str, text: str, completions: int | None) -> Iterator[FieldError]:
    if completions is None:
        return
    try:
        intervals(text, completions)
    except IndexesError as error:
        yield wrong(f"status.{name}", text, f"error parsing {name}: {error}")
