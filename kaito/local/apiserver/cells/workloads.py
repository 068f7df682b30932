"""The cells of what runs pods."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.cells.pieces import (
    NONE,
    Object,
    containers,
    made,
    name,
    selector,
)
from kaito.local.apiserver.tables import age, duration


def deployment(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec)
    return [
        name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        made(obj, now),
        names,
        images,
        selector(spec.get("selector")),
    ]


def replica_set(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec)
    return [
        name(obj),
        spec.get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        made(obj, now),
        names,
        images,
        selector(spec.get("selector")),
    ]


def stateful_set(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec)
    return [
        name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        made(obj, now),
        names,
        images,
    ]


def daemon_set(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec)
    nodes = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    counts = [
        status.get(n, 0)
        for n in (
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        )
    ]
    picked = ",".join(f"{k}={v}" for k, v in sorted(nodes.items())) or NONE
    return [
        name(obj),
        *counts,
        picked,
        made(obj, now),
        names,
        images,
        selector(spec.get("selector")),
    ]


def job(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers(spec)
    wanted = spec.get("completions")
    succeeded = status.get("succeeded", 0)
    if wanted is not None:
        done = f"{succeeded}/{wanted}"
    else:
        parallel = spec.get("parallelism", 0)
        done = f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"
    took = ""
    if status.get("startTime"):
        begun = times.parse(status["startTime"]).timestamp()
        ended = status.get("completionTime")
        took = duration((times.parse(ended).timestamp() if ended else now) - begun)
    return [
        name(obj),
        _job_state(obj),
        done,
        took,
        made(obj, now),
        names,
        images,
        selector(spec.get("selector")),
    ]


def _job_state(obj: Object) -> str:
    conditions = {
        c["type"]: c
        for c in (obj.get("status") or {}).get("conditions") or ()
        if c.get("status") == "True"
    }
    for kind, shown in (("Complete", "Complete"), ("Failed", "Failed")):
        if kind in conditions:
            return shown
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "Suspended" in conditions:
        return "Suspended"
    if "FailureTarget" in conditions:
        return "FailureTarget"
    return "SuccessCriteriaMet" if "SuccessCriteriaMet" in conditions else "Running"


def cron_job(obj: Object, now: float) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    names, images = containers((spec.get("jobTemplate") or {}).get("spec") or {})
    last = status.get("lastScheduleTime")
    return [
        name(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        made(obj, now),
        names,
        images,
        NONE,
    ]


def revision(obj: Object, now: float) -> list[Any]:
    owners = [o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")]
    owner = NONE
    if owners:
        group = owners[0]["apiVersion"].rpartition("/")[0]
        kind = owners[0]["kind"].lower()
        owner = f"{kind}.{group}/{owners[0]['name']}" if group else f"{kind}/{owners[0]['name']}"
    return [name(obj), owner, obj.get("revision", 0), made(obj, now)]


def budget(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name(obj),
        str(spec["minAvailable"]) if "minAvailable" in spec else "N/A",
        str(spec["maxUnavailable"]) if "maxUnavailable" in spec else "N/A",
        status.get("disruptionsAllowed", 0),
        made(obj, now),
    ]


def scale(obj: Object, now: float) -> list[Any]:
    return [
        name(obj),
        (obj.get("spec") or {}).get("replicas", 0),
        (obj.get("status") or {}).get("replicas", 0),
        made(obj, now),
    ]
