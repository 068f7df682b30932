"""What may be written into the status of a pod."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours import values
from kaito.local.apiserver.behaviours.podspec.annotations import check_annotations, check_changes
from kaito.local.apiserver.behaviours.podspec.checks import by, chosen, owner_id
from kaito.local.apiserver.fields import FieldError, denied, duplicate, required, wrong
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
KINDS = {
    "containerStatuses": "containers",
    "initContainerStatuses": "initContainers",
    "ephemeralContainerStatuses": "ephemeralContainers",
}
OWN_CONDITIONS = {"PodScheduled", "Ready", "Initialized"}
GENERATION_SAYS = "must be a non-negative integer"
HEALTH = ("Healthy", "Unhealthy", "Unknown")


def keep_generations(new: Object, old: Object) -> None:
    """A generation once observed stays where a writer leaves it out."""
    status, before = new.get("status") or {}, old.get("status") or {}
    if not status.get("observedGeneration") and before.get("observedGeneration"):
        status["observedGeneration"] = before["observedGeneration"]
    known: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        generation = condition.get("observedGeneration", 0)
        known.setdefault(condition.get("type", ""), []).append(generation)
    for condition in status.get("conditions") or ():
        earlier = known.get(condition.get("type", ""))
        generation = earlier.pop(0) if earlier else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def validate_status(new: Object, old: Object) -> list[FieldError]:
    status, before = new.get("status") or {}, old.get("status") or {}
    spec = old.get("spec") or {}
    errors = check_changes(new["metadata"], old["metadata"])
    errors += check_annotations(new["metadata"], spec, "metadata.annotations")
    errors += _conditions(status.get("conditions") or [])
    errors += _nomination(status, before, bool(spec.get("nodeName")))
    if status.get("observedGeneration", 0) < 0:
        where = "status.observedGeneration"
        errors.append(wrong(where, status["observedGeneration"], GENERATION_SAYS))
    if status.get("qosClass", "") != before.get("qosClass", ""):
        errors.append(wrong("status.qosClass", status.get("qosClass"), "field is immutable"))
    for part in KINDS:
        errors += _returns(status.get(part) or [], before.get(part) or [], part, spec)
    errors += _claims(status.get("resourceClaimStatuses") or [], spec)
    for part in ("podIPs", "hostIPs"):
        errors += _addresses(status, before, part)
    for part in KINDS:
        for i, container in enumerate(status.get(part) or ()):
            where = f"status.{part}[{i}]"
            errors += _user(container, where, (spec.get("os") or {}).get("name", "linux"))
            errors += _devices(container, where, part, spec)
    return errors


def _conditions(conditions: list[Object]) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, condition in enumerate(conditions):
        where, kind = f"status.conditions[{i}]", condition.get("type", "")
        generation = condition.get("observedGeneration", 0)
        if generation < 0:
            errors.append(wrong(f"{where}.observedGeneration", generation, GENERATION_SAYS))
        if kind not in OWN_CONDITIONS:
            errors += by(names.qualified, kind, f"{where}.Type")
    return errors


def _nomination(status: Object, before: Object, bound: bool) -> list[FieldError]:
    name, path = status.get("nominatedNodeName", ""), "status.nominatedNodeName"
    if not name or name == before.get("nominatedNodeName", ""):
        return []
    errors = by(names.subdomain, name, path)
    if bound:
        says = "may not be set on pods that are already bound to a node"
        errors.append(denied(path, says))
    return errors


def restarts(container: Object, spec: Object, code: int) -> bool:
    """Does a container run again after it ended with a code?"""
    policy = container.get("restartPolicy")
    if policy is not None:
        for rule in container.get("restartPolicyRules") or ():
            codes = rule.get("exitCodes") or {}
            inside = code in (codes.get("values") or ())
            if inside == (codes.get("operator") == "In"):
                return True
    policy = policy or spec.get("restartPolicy", "Always")
    return bool(policy == "Always" or (policy == "OnFailure" and code != 0))


def _returns(new: list[Object], old: list[Object], part: str, spec: Object) -> list[FieldError]:
    """Containers that ended and do not restart stay ended."""
    everywhere = (c for p in ("containers", "initContainers") for c in spec.get(p) or ())
    rules = (r for c in everywhere for r in c.get("restartPolicyRules") or ())
    if KINDS[part] != "ephemeralContainers" and any(
        r.get("action") == "RestartAllContainers" for r in rules
    ):
        return []
    errors: list[FieldError] = []
    known = {c.get("name", ""): c for c in spec.get(KINDS[part]) or ()}
    for i, earlier in enumerate(old):
        ended = (earlier.get("state") or {}).get("terminated")
        if ended is None:
            continue
        name = earlier.get("name", "")
        mine = next((s for s in new if s.get("name", "") == name), None)
        if mine is None or "terminated" in (mine.get("state") or {}):
            continue
        container = known.get(name) if KINDS[part] != "ephemeralContainers" else None
        if container is None or not restarts(container, spec, ended.get("exitCode", 0)):
            says = "may not be transitioned to non-terminated state"
            errors.append(denied(f"status.{part}[{i}].state", says))
    return errors


def _claims(statuses: list[Object], spec: Object) -> list[FieldError]:
    known = {c.get("name", "") for c in spec.get("resourceClaims") or ()}
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, status in enumerate(statuses):
        where, name = f"status.resourceClaimStatuses[{i}]", status.get("name", "")
        if name not in known:
            says = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(wrong(f"{where}.name", name, says))
        if name in seen:
            errors.append(duplicate(f"{where}.name", name))
        seen.add(name)
        if status.get("resourceClaimName") is not None:
            errors += by(names.subdomain, status["resourceClaimName"], f"{where}.resourceClaimName")
    return errors


def _addresses(status: Object, before: Object, part: str) -> list[FieldError]:
    """One address of each family at most, all of them real."""
    path = f"status.{part}"
    found = [a.get("ip", "") for a in status.get(part) or ()]
    kept = {a.get("ip", "") for a in before.get(part) or ()}
    errors: list[FieldError] = []
    if part == "hostIPs" and found and found[0] != status.get("hostIP", ""):
        errors.append(wrong(f"{path}[0].ip", found[0], "must be equal to `hostIP`"))
    for i, address in enumerate(found):
        errors += values.address(address, f"{path}[{i}]", kept)
    if len(found) > 1:
        families = [a.version for a in map(values.parse_address, found) if a is not None]
        if len(families) < len(found):
            bad = next(a for a in found if values.parse_address(a) is None)
            why = f"failed to check for dual stack with error:invalid IP[{found.index(bad)}]: {bad}"
            errors.append(FieldError(path, "Internal error", detail=why))
        if len(found) > 2 or len(set(families)) < 2:
            shown = compact("LPodIP" if part == "podIPs" else "LHostIP", status[part])
            says = "may specify no more than one IP for each IP family"
            errors.append(wrong(path, shown, says))
    return errors


def _user(container: Object, path: str, system: str) -> list[FieldError]:
    user = (container.get("user") or {}).get("linux")
    if user is None:
        return []
    where = f"{path}.user.linux"
    if system == "windows":
        return [denied(where, "cannot be set for a windows pod")]
    errors = owner_id(user.get("uid", 0), f"{where}.uid")
    errors += owner_id(user.get("gid", 0), f"{where}.gid")
    for i, group in enumerate(user.get("supplementalGroups") or ()):
        errors += owner_id(group, f"{where}.supplementalGroups[{i}]")
    return errors


def _devices(container: Object, path: str, part: str, spec: Object) -> list[FieldError]:
    """The health of devices that a container was given."""
    found = container.get("allocatedResourcesStatus") or []
    where = f"{path}.allocatedResourcesStatus"
    if part == "ephemeralContainerStatuses":
        says = "must not be specified in container status"
        return [denied(where, says)] if found else []
    name = container.get("name", "")
    own = next((c for c in spec.get(KINDS[part]) or () if c.get("name") == name), None)
    errors: list[FieldError] = []
    for i, entry in enumerate(found):
        if own is not None:
            errors += _device_name(entry.get("name", ""), own, f"{where}[{i}].name")
        errors += _device_health(entry.get("resources") or [], f"{where}[{i}].resources")
    return errors


def _device_name(name: str, container: Object, path: str) -> list[FieldError]:
    resources = container.get("resources") or {}
    known: Collection[str] = resources.get("requests") or {}
    says = "must match one of the container's resource requests"
    if name.startswith("claim:"):
        claims = resources.get("claims") or ()
        known = {
            f"claim:{c.get('name', '')}" + (f"/{c['request']}" if c.get("request") else "")
            for c in claims
        }
        says = (
            "must match one of the container's resource claims in a format "
            "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
        )
    return [] if name in known else [wrong(path, name, says)]


def _device_health(resources: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, entry in enumerate(resources):
        where, found = f"{path}[{i}]", entry.get("resourceID", "")
        errors += chosen(entry.get("health", ""), HEALTH, f"{where}.health")
        if entry.get("message") == "":
            errors.append(required(f"{where}.message", "must be non-empty if specified"))
        if found in seen:
            errors.append(duplicate(f"{where}.resourceID", found))
        seen.add(found)
    return errors


def status_warnings(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    return [
        text
        for part in ("podIPs", "hostIPs")
        for i, address in enumerate(status.get(part) or ())
        for text in values.address_warnings(address.get("ip", ""), f"status.{part}[{i}].ip")
    ]
