"""What may change in a pod: by its own path, by adding containers for debugging, by resizing."""

from __future__ import annotations

import difflib
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.behaviours.pod_quality import quality
from kaito.local.apiserver.behaviours.pod_rules import check_pod
from kaito.local.apiserver.behaviours.podspec.annotations import (
    MIRROR,
    check_annotations,
    check_changes,
)
from kaito.local.apiserver.behaviours.podspec.checks import between
from kaito.local.apiserver.behaviours.podspec.containers import padded_image
from kaito.local.apiserver.behaviours.podspec.placement import REQUIRED
from kaito.local.apiserver.fields import FieldError, denied, required, wrong
from kaito.local.apiserver.gotext import compact, pretty
from kaito.local.apiserver.opaque import copied

Object = dict[str, Any]
CONTAINERS = ("containers", "initContainers")
UPDATABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
AMOUNTS = {"limits", "requests", "overhead"}
SINGLE_AMOUNTS = {"sizeLimit", "divisor"}
MAPS = {*AMOUNTS, "nodeSelector"}
OF_POD = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


def same(new: Any, old: Any, key: str = "") -> bool:
    """Equal in meaning: an empty list or map is none, amounts count by their value."""
    if isinstance(new, dict) and isinstance(old, dict):
        inner = "amount" if key in AMOUNTS else ""
        return all(same(new.get(k), old.get(k), inner or k) for k in {*new, *old})
    if isinstance(new or old, list) or key in MAPS:
        new, old = new or [], old or []
        return len(new) == len(old) and all(map(same, new, old))
    if isinstance(new, str) and isinstance(old, str) and key in {"amount", *SINGLE_AMOUNTS}:
        return quantity.value(new) == quantity.value(old)
    return bool(new == old)


def validate_update(new: Object, old: Object) -> list[FieldError]:
    errors = check_pod(new) + _annotations(new, old)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for part in CONTAINERS:
        found = spec.get(part) or []
        if len(found) != len(before.get(part) or ()):
            says = "pod updates may not add or remove containers"
            return [*errors, denied(f"spec.{part}", says)]
        for i, container in enumerate(found):
            if not container.get("image"):
                errors.append(required(f"spec.{part}[{i}].image"))
            errors += padded_image(container, f"spec.{part}[{i}]")
    faults, stop = _deadline(spec.get("activeDeadlineSeconds"), before)
    errors += faults
    if stop:
        return errors
    errors += _tolerations(spec.get("tolerations") or [], before.get("tolerations") or [])
    errors += _gates(spec.get("schedulingGates") or [], before.get("schedulingGates") or [])
    if same(spec, before):
        return errors
    fixed = _kept(spec, before)
    if before.get("schedulingGates"):
        errors += _gated(fixed, before)
    if not same(fixed, before):
        says = f"pod updates may not change fields other than {UPDATABLE}\n"
        errors.append(denied("spec", says + difference("PodSpec", whole(before), whole(fixed))))
    return errors


def _annotations(new: Object, old: Object) -> list[FieldError]:
    """A server looks at annotations once more where it compares them with the old ones."""
    errors = check_changes(new["metadata"], old["metadata"])
    return errors + check_annotations(new["metadata"], new["spec"], "metadata.annotations")


def _deadline(value: int | None, before: Object) -> tuple[list[FieldError], bool]:
    """Faults of a deadline, and whether a server looks no further."""
    path, earlier = "spec.activeDeadlineSeconds", before.get("activeDeadlineSeconds")
    if value is None:
        says = "must not update from a positive integer to nil value"
        return ([] if earlier is None else [wrong(path, None, says)]), False
    errors = between(value, 0, 2**31 - 1, path)
    if not errors and earlier is not None and earlier < value:
        errors.append(wrong(path, value, "must be less than or equal to previous value"))
    return errors, bool(errors)


def _tolerations(new: list[Object], old: list[Object]) -> list[FieldError]:
    def lasting(toleration: Object) -> Object:
        return {k: v for k, v in toleration.items() if k != "tolerationSeconds"}

    known = [lasting(t) for t in new]
    if all(lasting(t) in known for t in old):
        return []
    says = "existing toleration can not be modified except its tolerationSeconds"
    return [denied("spec.tolerations", says)]


def _gates(new: list[Object], old: list[Object]) -> list[FieldError]:
    known = {g.get("name", "") for g in old}
    start = "only deletion is allowed, but found new scheduling gate"
    return [
        denied(f"spec.schedulingGates[{i}].name", f"{start} '{gate.get('name', '')}'")
        for i, gate in enumerate(new)
        if gate.get("name", "") not in known
    ]


def _keep(new: Object, old: Object, *names: str) -> None:
    for name in names:
        if name in old:
            new[name] = old[name]
        else:
            new.pop(name, None)


def _kept(spec: Object, before: Object) -> Object:
    """The new spec with everything put back that may change."""
    fixed: Object = copied(spec)
    for part in CONTAINERS:
        for mine, theirs in zip(fixed.get(part) or (), before.get(part) or (), strict=True):
            mine["image"] = theirs.get("image", "")
    _keep(fixed, before, "activeDeadlineSeconds", "schedulingGates", "tolerations")
    return fixed


def _gated(fixed: Object, before: Object) -> list[FieldError]:
    """A pod that waits behind gates may become choosier about nodes; puts the old choice back."""
    errors: list[FieldError] = []
    new, old = fixed.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(new.get(k) != v for k, v in old.items()):
        says = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(wrong("spec.nodeSelector", fixed.get("nodeSelector"), says))
    _keep(fixed, before, "nodeSelector")
    after, earlier = (s.get("affinity") or {} for s in (fixed, before))
    if not same(after.get("nodeAffinity"), earlier.get("nodeAffinity")):
        errors += _narrowed(after.get("nodeAffinity") or {}, earlier.get("nodeAffinity") or {})
        affinity = dict(after)
        _keep(affinity, earlier, "nodeAffinity")
        fixed["affinity"] = affinity
    return errors


def _narrowed(new: Object, old: Object) -> list[FieldError]:
    path = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
    before = (old.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
    after = (new.get(REQUIRED) or {}).get("nodeSelectorTerms") or []
    if before and len(before) != len(after):
        says = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [wrong(path, compact("LNodeSelectorTerm", after or None), says)]
    says = "only additions are allowed (no mutations or deletions)"
    return [
        wrong(f"{path}[{i}]", compact("NodeSelectorTerm", mine), says)
        for i, (mine, theirs) in enumerate(zip(after, before, strict=False))
        if not _only_more(mine, theirs)
    ]


def _only_more(new: Object, old: Object) -> bool:
    parts = ("matchExpressions", "matchFields")
    if not any(old.get(p) for p in parts):
        return not any(new.get(p) for p in parts)
    return all((new.get(p) or [])[: len(old.get(p) or ())] == (old.get(p) or []) for p in parts)


def whole(spec: Object) -> Object:
    """A spec as the server holds it: what concerns the host is part of the security context."""
    context = dict(spec.get("securityContext") or {})
    context.update({name: spec[name] for name in OF_POD if name in spec})
    return {**spec, "securityContext": context}


def difference(struct: str, old: Object, new: Object) -> str:
    """A unified diff of two values without the names of files."""
    lines = difflib.unified_diff(pretty(struct, old), pretty(struct, new), lineterm="")
    return "".join(f"{line}\n" for line in list(lines)[2:])


def only_debugging(new: Object, old: Object) -> None:
    """Of a new pod keep the ephemeral containers, all else is as before."""
    spec = dict(old["spec"])
    _keep(spec, new.get("spec") or {}, "ephemeralContainers")
    new["spec"] = spec


def validate_debugging(new: Object, old: Object) -> list[FieldError]:
    errors = check_pod(new) + _annotations(new, old)
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [denied("[]", "static pods do not support ephemeral containers")]
    path = "spec.ephemeralContainers"
    found = {c.get("name", ""): c for c in new["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name = container.get("name", "")
        start = f'existing ephemeral containers "{name}" may not be'
        if name not in found:
            errors.append(denied(path, f"{start} removed\n"))
        elif not same(found[name], container):
            changes = difference("EphemeralContainer", container, found[name])
            errors.append(denied(path, f"{start} changed\n{changes}"))
    return errors


def only_resizing(new: Object, old: Object) -> None:
    """Of a new pod keep resources and resize policies, unless its containers are others."""
    given, before = new.get("spec") or {}, old["spec"]

    def names(spec: Object, part: str) -> list[str]:
        return [c.get("name", "") for c in spec.get(part) or ()]

    if any(len(names(given, p)) != len(names(before, p)) for p in CONTAINERS):
        return
    spec = copied(before)
    for part in CONTAINERS:
        if names(given, part) != names(before, part):
            spec[part] = given.get(part)
            continue
        for mine, theirs in zip(spec.get(part) or (), given.get(part) or (), strict=True):
            _keep(mine, theirs, "resources", "resizePolicy")
    _keep(spec, given, "resources")
    new["spec"] = spec


def validate_resizing(new: Object, old: Object) -> list[FieldError]:
    errors = check_pod(new)
    spec, before, status = new["spec"], old["spec"], old.get("status") or {}
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [denied("[]", "static pods cannot be resized")]
    if (before.get("os") or {}).get("name") == "windows":
        return [denied("[]", "windows pods cannot be resized")]
    if (status.get("qosClass") or quality(old)) != quality(new):
        says = "Pod QOS Class may not change as a result of resizing"
        errors.append(wrong("spec", (new.get("status") or {}).get("qosClass", ""), says))
    running = (s for s in status.get("containerStatuses") or () if "running" in s.get("state", {}))
    if "resources" not in next(running, {"resources": {}}):
        errors.append(denied("spec", "Pod running on node without support for resize"))
    faults = _order(spec, before)
    if faults:
        return errors + faults
    errors += _removals(spec, before)
    fixed: Object = copied(spec)
    for part in CONTAINERS:
        for i, container in enumerate(before.get(part) or ()):
            resized = fixed[part][i]
            _restore(resized, container)
            if same(resized, container):
                continue
            if part == "containers":
                errors.append(denied("spec", "only cpu and memory resources are mutable"))
            elif container.get("restartPolicy") == "Always":
                says = "only cpu and memory resources for sidecar containers are mutable"
                errors.append(denied("spec", says))
    _restore(fixed, before)
    if not errors and not same(fixed, before):
        errors.append(denied("spec", "only cpu and memory resources are mutable"))
    return errors


def _order(spec: Object, before: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for part in CONTAINERS:
        new, old = spec.get(part) or [], before.get(part) or []
        if len(new) != len(old):
            says = f"{part} may not be added or removed on resize"
            errors.append(denied(f"spec.{part}", says))
            continue
        for i, (mine, theirs) in enumerate(zip(new, old, strict=True)):
            if mine.get("name") != theirs.get("name"):
                says = f"{part} may not be renamed or reordered on resize"
                errors.append(denied(f"spec.{part}[{i}].name", says))
    return errors


def _removals(spec: Object, before: Object) -> list[FieldError]:
    """Requests and limits may change but not go."""
    errors: list[FieldError] = []
    for part in ("initContainers", "containers"):
        for i, old in enumerate(before.get(part) or ()):
            new, where = spec[part][i], f"spec.{part}[{i}].resources"
            if part == "containers" or old.get("restartPolicy") == "Always":
                errors += _removed(new, old, where, "resource {} cannot be removed")
    return errors + _removed(
        spec, before, "spec.resources", "pod-level resource {} cannot be removed"
    )


def _removed(new: Object, old: Object, path: str, says: str) -> list[FieldError]:
    after, before = new.get("resources") or {}, old.get("resources") or {}
    return [
        denied(f"{path}.{kind}", says.format(kind))
        for kind in ("requests", "limits")
        if set(before.get(kind) or ()) - set(after.get(kind) or ())
    ]


def _restore(new: Object, old: Object) -> None:
    """Put back what a resize may change, cpu and memory."""
    after, before = new.get("resources") or {}, old.get("resources") or {}
    kept = {"claims": after["claims"]} if after.get("claims") else {}
    for kind in ("requests", "limits"):
        table = dict(after.get(kind) or {})
        _keep(table, before.get(kind) or {}, "cpu", "memory")
        if table:
            kept[kind] = table
    new["resources"] = kept
    if "resources" not in old and not kept:
        del new["resources"]
