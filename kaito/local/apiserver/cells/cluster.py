"""The cells of what belongs to the cluster or to any application."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.cells.pieces import NONE, UNKNOWN, Object, made, name
from kaito.local.apiserver.tables import age


def node(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
    state = "Unknown" if ready is None else "Ready" if ready["status"] == "True" else "NotReady"
    if spec.get("unschedulable"):
        state += ",SchedulingDisabled"
    roles = []
    for label, value in sorted((obj["metadata"].get("labels") or {}).items()):
        if label.startswith("node-role.kubernetes.io/"):
            roles.append(label.partition("/")[2])
        elif label == "kubernetes.io/role" and value:
            roles.append(value)
    addresses = {a["type"]: a["address"] for a in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    return [
        name(obj),
        state,
        ",".join(sorted(r for r in roles if r)) or NONE,
        made(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage") or UNKNOWN,
        _kernel(info),
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def _kernel(info: Object) -> str:
    kernel, architecture = info.get("kernelVersion"), info.get("architecture")
    if not kernel:
        return UNKNOWN
    return f"{kernel} ({architecture})" if architecture else str(kernel)


def event(obj: Object, now: float) -> list[Any]:
    about = obj.get("involvedObject") or obj.get("regarding") or {}
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    series = obj.get("series") or {}
    last = (
        series.get("lastObservedTime")
        or obj.get("lastTimestamp")
        or obj.get("deprecatedLastTimestamp")
        or first
    )
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    component = (
        source.get("component")
        or obj.get("reportingComponent")
        or obj.get("reportingController")
        or ""
    )
    host = source.get("host") or obj.get("reportingInstance", "")
    where = ", ".join(s for s in (component, host) if s)
    target = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    if not about.get("name"):
        target = about.get("kind", "").lower()
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        about.get("fieldPath", ""),
        where,
        (obj.get("message") or obj.get("note", "")).strip(),
        age(first, now),
        count,
        name(obj),
    ]


def namespace(obj: Object, now: float) -> list[Any]:
    return [name(obj), (obj.get("status") or {}).get("phase", ""), made(obj, now)]


def secret(obj: Object, now: float) -> list[Any]:
    return [name(obj), obj.get("type", ""), len(obj.get("data") or ()), made(obj, now)]


def config_map(obj: Object, now: float) -> list[Any]:
    return [
        name(obj),
        len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
        made(obj, now),
    ]


def service_account(obj: Object, now: float) -> list[Any]:
    return [name(obj), made(obj, now)]


def quota(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    used = status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for key, hard in sorted((status.get("hard") or {}).items()):
        part = limits if key.startswith("limits") else requests
        part.append(f"{key}: {used.get(key, '0')}/{hard}")
    return [name(obj), ", ".join(requests), ", ".join(limits), made(obj, now)]


def lease(obj: Object, now: float) -> list[Any]:
    return [name(obj), (obj.get("spec") or {}).get("holderIdentity") or "", made(obj, now)]


def priority_class(obj: Object, now: float) -> list[Any]:
    return [
        name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        made(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


def aged(obj: Object, now: float) -> list[Any]:
    """A kind that shows nothing of its own."""
    return [name(obj), made(obj, now)]


def runtime_class(obj: Object, now: float) -> list[Any]:
    return [name(obj), obj.get("handler", ""), made(obj, now)]


def component(obj: Object, now: float) -> list[Any]:
    healthy = next((c for c in obj.get("conditions") or () if c.get("type") == "Healthy"), None)
    if healthy is None:
        return [name(obj), "Unknown", "", ""]
    state = "Healthy" if healthy.get("status") == "True" else "Unhealthy"
    return [name(obj), state, healthy.get("message", ""), healthy.get("error", "")]


def device_claim(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    states = ["deleted"] if obj["metadata"].get("deletionTimestamp") else []
    if "allocation" in status:
        states.append("allocated")
    if status.get("reservedFor"):
        states.append("reserved")
    return [name(obj), ",".join(states or ["pending"]), made(obj, now)]


def device_slice(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    pool = (spec.get("pool") or {}).get("name", "")
    return [name(obj), spec.get("nodeName", ""), spec.get("driver", ""), pool, made(obj, now)]
