"""The cells of built-in kinds: what kubectl shows of an object in one line."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.scales import selector_text
from kaito.local.apiserver.tables import age, duration

Object = dict[str, Any]
NONE, UNKNOWN = "<none>", "<unknown>"


def name(obj: Object) -> str:
    found: str = obj["metadata"].get("name", "")
    return found


def made(obj: Object, now: float) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def containers(spec: Object) -> tuple[str, str]:
    """Names and images of a template's containers."""
    found = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return (",".join(c.get("name", "") for c in found), ",".join(c.get("image", "") for c in found))


def selector(value: Any) -> str:
    return selector_text(value) or NONE


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


def service(obj: Object, now: float) -> list[Any]:
    spec = obj["spec"]
    kind = spec.get("type", "ClusterIP")
    ports = ",".join(
        f"{p['port']}:{p['nodePort']}/{p['protocol']}"
        if p.get("nodePort")
        else f"{p['port']}/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports") or ()
    )
    return [
        name(obj),
        kind,
        spec.get("clusterIP") or NONE,
        _outside(obj, kind),
        ports or NONE,
        made(obj, now),
        selector(spec.get("selector")),
    ]


def _outside(obj: Object, kind: str) -> str:
    spec = obj["spec"]
    fixed = ",".join(spec.get("externalIPs") or ())
    if kind == "ExternalName":
        return spec.get("externalName") or NONE
    if kind == "LoadBalancer":
        found = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        shown = ",".join(i.get("ip") or i.get("hostname", "") for i in found)
        return ",".join(s for s in (shown, fixed) if s) or "<pending>"
    return fixed or NONE


def ingress(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = ",".join(r.get("host") or "*" for r in spec.get("rules") or ()) or "*"
    found = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    address = ",".join(i.get("ip") or i.get("hostname", "") for i in found)
    return [
        name(obj),
        spec.get("ingressClassName") or NONE,
        hosts,
        address,
        "80, 443" if spec.get("tls") else "80",
        made(obj, now),
    ]


def endpoints(obj: Object, now: float) -> list[Any]:
    found = [
        f"{a.get('ip')}:{p.get('port')}"
        for s in obj.get("subsets") or ()
        for p in s.get("ports") or ()
        for a in s.get("addresses") or ()
    ]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [name(obj), shown or NONE, made(obj, now)]


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
    where = ", ".join(s for s in (component, source.get("host", "")) if s)
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


MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def modes(found: Any) -> str:
    return ",".join(MODES[m] for m in MODES if m in (found or ()))


def claim(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    capacity = (status.get("capacity") or {}).get("storage", "") if bound else ""
    return [
        name(obj),
        phase,
        spec.get("volumeName", ""),
        capacity,
        modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        made(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def volume(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ref = spec.get("claimRef") or {}
    owner = f"{ref.get('namespace', '')}/{ref.get('name', '')}" if ref else ""
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        name(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        owner,
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        made(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def quota(obj: Object, now: float) -> list[Any]:
    status = obj.get("status") or {}
    used = status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for key, hard in sorted((status.get("hard") or {}).items()):
        part = limits if key.startswith("limits") else requests
        part.append(f"{key}: {used.get(key, '0')}/{hard}")
    return [name(obj), ", ".join(requests), ", ".join(limits), made(obj, now)]


def revision(obj: Object, now: float) -> list[Any]:
    owners = [o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")]
    owner = NONE
    if owners:
        group = owners[0]["apiVersion"].rpartition("/")[0]
        kind = owners[0]["kind"].lower()
        owner = f"{kind}.{group}/{owners[0]['name']}" if group else f"{kind}/{owners[0]['name']}"
    return [name(obj), owner, obj.get("revision", 0), made(obj, now)]


def autoscaler(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ref = spec.get("scaleTargetRef") or {}
    return [
        name(obj),
        f"{ref.get('kind', '')}/{ref.get('name', '')}",
        _targets(spec, status),
        str(spec["minReplicas"]) if "minReplicas" in spec else "<unset>",
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        made(obj, now),
    ]


def _targets(spec: Object, status: Object) -> str:
    shown = []
    for metric in spec.get("metrics") or ():
        part = metric.get((metric.get("type") or "")[:1].lower() + (metric.get("type") or "")[1:])
        target = (part or {}).get("target") or {}
        wanted = (
            f"{target['averageUtilization']}%"
            if "averageUtilization" in target
            else target.get("averageValue") or target.get("value") or UNKNOWN
        )
        label = f"{part['name']}: " if part and "name" in part else ""
        shown.append(f"{label}{UNKNOWN}/{wanted}")
    return ", ".join(shown) or NONE


def lease(obj: Object, now: float) -> list[Any]:
    return [name(obj), (obj.get("spec") or {}).get("holderIdentity") or "", made(obj, now)]


def network_policy(obj: Object, now: float) -> list[Any]:
    return [name(obj), selector((obj.get("spec") or {}).get("podSelector")), made(obj, now)]


def budget(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        name(obj),
        str(spec["minAvailable"]) if "minAvailable" in spec else "N/A",
        str(spec["maxUnavailable"]) if "maxUnavailable" in spec else "N/A",
        status.get("disruptionsAllowed", 0),
        made(obj, now),
    ]


def binding(obj: Object, now: float) -> list[Any]:
    ref = obj.get("roleRef") or {}
    found: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        shown = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            shown = f"{subject.get('namespace', '')}/{shown}"
        found.setdefault(subject.get("kind", ""), []).append(shown)
    return [
        name(obj),
        f"{ref.get('kind', '')}/{ref.get('name', '')}",
        made(obj, now),
        ", ".join(found["User"]),
        ", ".join(found["Group"]),
        ", ".join(found["ServiceAccount"]),
    ]


def priority_class(obj: Object, now: float) -> list[Any]:
    return [
        name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        made(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


def storage_class(obj: Object, now: float) -> list[Any]:
    default = (obj["metadata"].get("annotations") or {}).get(
        "storageclass.kubernetes.io/is-default-class"
    ) == "true"
    return [
        name(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        made(obj, now),
    ]


def webhooks(obj: Object, now: float) -> list[Any]:
    return [name(obj), len(obj.get("webhooks") or ()), made(obj, now)]


def scale(obj: Object, now: float) -> list[Any]:
    return [
        name(obj),
        (obj.get("spec") or {}).get("replicas", 0),
        (obj.get("status") or {}).get("replicas", 0),
        made(obj, now),
    ]


def _kernel(info: Object) -> str:
    kernel, architecture = info.get("kernelVersion"), info.get("architecture")
    if not kernel:
        return UNKNOWN
    return f"{kernel} ({architecture})" if architecture else str(kernel)
