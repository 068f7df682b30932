"""Resource quotas at work: what writes use up, and which of them ask for too much.

Only the status of a quota counts; a controller writes the limits into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.behaviours.pod_quality import quality
from kaito.local.apiserver.behaviours.podspec.resources import HUGE, REQUESTS, extended, native
from kaito.local.apiserver.behaviours.podspec.totals import asked, supported
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.creates import ownership
from kaito.local.apiserver.status import StatusError, forbidden

Object = dict[str, Any]
Amounts = dict[str, str]
IGNORED = {("", "bindings"), ("", "events"), ("events.k8s.io", "events")}
ALIASED = {"configmaps", "resourcequotas", "replicationcontrollers", "secrets"}
MEASURED = ("cpu", "memory", "ephemeral-storage")
POD_NAMES = {
    "pods",
    "count/pods",
    *(prefix + name for prefix in ("", REQUESTS, "limits.") for name in MEASURED),
}
DEMANDED = {prefix + name for prefix in ("", REQUESTS, "limits.") for name in ("cpu", "memory")}
DEVICES = "requests.deviceclass.resource.kubernetes.io/"
BY_CLASS = ".storageclass.storage.k8s.io/"
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
CLAIM_NAMES = ("persistentvolumeclaims", "requests.storage")
ENDED = {"Failed", "Succeeded"}
MANAGER = "kube-apiserver"


class ResourceQuotas:
    """Counts what is created, and refuses what a quota has no room for."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def mutate(self, review: Review) -> None:
        """Nothing is changed."""

    async def validate(self, review: Review) -> None:
        key = (review.call.kind.group, review.call.kind.plural)
        if not review.call.kind.namespaced or key in IGNORED or not _counted(review):
            return
        quotas = list(self._quotas(review.call.target.namespace))
        if not quotas:
            return
        spent = [(quota, self._spend(review, quota)) for quota in quotas]
        for quota, used in spent:
            if used and not review.options.dry_run:
                self._save(quota, used)

    def _quotas(self, namespace: str) -> Iterator[Object]:
        kind = self._core.kinds.get("", "v1", "resourcequotas")
        assert kind is not None
        bucket = self._core.store.buckets.get(kind.bucket)
        for key in bucket.keys(f"{namespace}/") if bucket is not None else ():
            quota = kind.value(bucket.objects[key]) if bucket is not None else {}
            if (quota.get("status") or {}).get("hard"):
                yield quota

    def _spend(self, review: Review, quota: Object) -> Amounts:
        """What is used after a write; empty where nothing changes. Raises StatusError."""
        new, status, name = review.object, quota["status"], quota["metadata"]["name"]
        hard, used = status["hard"], status.get("used") or {}
        names = [one for one in hard if _concerns(review, one)]
        if not names or not _in_scope(review, quota, new):
            return {}
        if _is_pods(review) and not (new["spec"].get("resources") or {}):
            missing = _unsaid(new["spec"], DEMANDED & set(names))
            if missing:
                raise _refused(review, f"failed quota: {name}: must specify {missing}")
        if any(one not in used for one in names):
            unknown = ",".join(sorted(names))
            raise _refused(review, f"status unknown for quota: {name}, resources: {unknown}")
        wanted = _usage(review, new)
        if review.old is not None and _in_scope(review, quota, review.old):
            wanted = _less(wanted, _usage(review, review.old))
        wanted = {n: text for n, text in wanted.items() if n in hard and quantity.value(text)}
        after = {n: quantity.added(used[n], text) for n, text in wanted.items() if n in used}
        over = sorted(n for n in after if quantity.value(after[n]) > quantity.value(hard[n]))
        if over and review.subresource != "status":
            raise _refused(
                review,
                f"exceeded quota: {name}, requested: {_shown(wanted, over)}, "
                f"used: {_shown(used, over)}, limited: {_shown(hard, over)}",
            )
        return {**used, **after} if after else {}

    def _save(self, quota: Object, used: Amounts) -> None:
        core, meta = self._core, quota["metadata"]
        kind = core.kinds.get("", "v1", "resourcequotas")
        assert kind is not None
        record = core.record(kind, meta["namespace"], meta["name"])
        if record is None:
            return
        live, new = kind.value(record), kind.value(record)
        new["status"]["used"] = used
        ownership(core.kinds, kind, "status").update(live, new, MANAGER, core.stamp())
        core.save(kind, new, expect=record.revision)


def _refused(review: Review, says: str) -> StatusError:
    kind = review.call.kind
    return forbidden(kind.group, kind.plural, review.object["metadata"].get("name", ""), says)


def _shown(amounts: Amounts, names: list[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names if name in amounts)


def _is_pods(review: Review) -> bool:
    return (review.call.kind.group, review.call.kind.plural) == ("", "pods")


def _counted(review: Review) -> bool:
    """Can the write change what is used?"""
    kind, created = review.call.kind, review.operation == "CREATE" and not review.subresource
    updated = review.operation == "UPDATE"
    if kind.group:
        return created
    if kind.plural == "pods" and updated and review.old is not None:
        if review.subresource:
            return review.subresource == "resize"
        return _terminating(review.object) != _terminating(review.old)
    if kind.plural == "services":
        return created or (updated and not review.subresource)
    if kind.plural == "persistentvolumeclaims":
        return created or (updated and review.subresource in {"", "status"})
    return created


def _concerns(review: Review, name: str) -> bool:
    """Is the resource of a quota about the kind?"""
    kind = review.call.kind
    if kind.group:
        return name == f"count/{kind.plural}.{kind.group}"
    if kind.plural == "pods":
        if name in POD_NAMES or name.startswith((HUGE, REQUESTS + HUGE)):
            return True
        return name.startswith(DEVICES) or (name.startswith(REQUESTS) and not native(name))
    if name == f"count/{kind.plural}":
        return True
    if kind.plural == "services":
        return name in {"services", "services.nodeports", "services.loadbalancers"}
    if kind.plural == "persistentvolumeclaims":
        return name in CLAIM_NAMES or name.endswith(tuple(BY_CLASS + one for one in CLAIM_NAMES))
    return kind.plural in ALIASED and name == kind.plural


def _usage(review: Review, obj: Object) -> Amounts:
    kind, spec = review.call.kind, obj.get("spec") or {}
    if kind.group:
        return {f"count/{kind.plural}.{kind.group}": "1"}
    counted = {f"count/{kind.plural}": "1"}
    if kind.plural == "pods":
        if (obj.get("status") or {}).get("phase") in ENDED:
            return counted
        return {**counted, **_computed(_whole(spec, "requests"), _whole(spec, "limits"))}
    if kind.plural == "services":
        return {**counted, "services": "1", **_service(spec)}
    if kind.plural == "persistentvolumeclaims":
        return {**counted, **_claim(obj)}
    return {**counted, kind.plural: "1"} if kind.plural in ALIASED else counted


def _whole(spec: Object, part: str) -> Amounts:
    own = (spec.get("resources") or {}).get(part) or {}
    total = {**asked(spec, part), **{n: text for n, text in own.items() if supported(n)}}
    for name, text in (spec.get("overhead") or {}).items():
        if part == "requests" or quantity.value(total.get(name, "0")):
            total[name] = quantity.added(total[name], text) if name in total else text
    return total


def _computed(requests: Amounts, limits: Amounts) -> Amounts:
    found = {"pods": "1"}
    for name in MEASURED:
        if name in requests:
            found[name] = found[REQUESTS + name] = requests[name]
        if name in limits:
            found[f"limits.{name}"] = limits[name]
    for name, text in requests.items():
        if name.startswith(HUGE):
            found[name] = found[REQUESTS + name] = text
        elif extended(name):
            found[REQUESTS + name] = text
    return found


def _unsaid(spec: Object, demanded: set[str]) -> str:
    """The containers that leave open what a quota needs to know, in words."""
    missing: dict[str, set[str]] = {}
    for part in ("containers", "initContainers"):
        for container in spec.get(part) or ():
            resources = container.get("resources") or {}
            said = _computed(resources.get("requests") or {}, resources.get("limits") or {})
            for name in demanded - set(said):
                missing.setdefault(name, set()).add(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def _service(spec: Object) -> Amounts:
    ports, kind = spec.get("ports") or [], spec.get("type")
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    counted = kind in {"NodePort", "LoadBalancer"}
    return {
        "services.nodeports": str(len(ports) if counted else 0),
        "services.loadbalancers": "1" if kind == "LoadBalancer" else "0",
    }


def _claim(claim: Object) -> Amounts:
    spec, found = claim.get("spec") or {}, {"persistentvolumeclaims": "1"}
    annotations = claim["metadata"].get("annotations") or {}
    named = annotations.get(OLD_CLASS) or spec.get("storageClassName")
    asking = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asking is not None:
        given = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage", "0")
        storage = max(asking, given, key=quantity.value)
        found["requests.storage"] = quantity.rounded(storage, Decimal(1))
    if named:
        found |= {f"{named}{BY_CLASS}{name}": text for name, text in found.items()}
    return found


def _less(wanted: Amounts, before: Amounts) -> Amounts:
    """What is wanted beyond what was had; never less than nothing."""
    found = {}
    for name, text in wanted.items():
        left = quantity.added(text, f"-{before[name]}") if name in before else text
        found[name] = left if quantity.value(left) > 0 else "0"
    return found


def _terminating(pod: Object) -> bool:
    return pod["spec"].get("activeDeadlineSeconds") is not None


def _in_scope(review: Review, quota: Object, obj: Object) -> bool:
    spec = quota.get("spec") or {}
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    scopes += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    kind = review.call.kind
    if kind.group or kind.plural not in {"pods", "persistentvolumeclaims"}:
        return not scopes
    rule = _pod_matches if kind.plural == "pods" else _claim_matches
    return all(rule(scope, obj) for scope in scopes)


def _pod_matches(scope: Object, pod: Object) -> bool:
    match scope["scopeName"]:
        case "Terminating":
            return _terminating(pod)
        case "NotTerminating":
            return not _terminating(pod)
        case "BestEffort":
            return quality(pod) == "BestEffort"
        case "NotBestEffort":
            return quality(pod) != "BestEffort"
        case "PriorityClass":
            name = pod["spec"].get("priorityClassName")
            return _selected(scope, {name} if name else set())
        case "CrossNamespacePodAffinity":
            return _crosses(pod["spec"].get("affinity") or {})
    return False


def _claim_matches(scope: Object, claim: Object) -> bool:
    if scope["scopeName"] != "VolumeAttributesClass":
        return False
    status = claim.get("status") or {}
    names = {
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return _selected(scope, {name for name in names if name})


def _selected(scope: Object, names: set[str]) -> bool:
    values = set(scope.get("values") or ())
    match scope["operator"]:
        case "In":
            return bool(names & values)
        case "NotIn":
            return not names or bool(names - values)
        case "Exists":
            return bool(names)
    return not names


def _crosses(affinity: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        own = affinity.get(kind) or {}
        terms = list(own.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        weighted = own.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [one.get("podAffinityTerm") or {} for one in weighted]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
