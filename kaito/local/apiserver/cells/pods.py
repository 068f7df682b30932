"""The cells of a pod: readiness, the one word for its state, restarts."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.tables import age, duration

Object = dict[str, Any]
NONE = "<none>"


def restartable(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def pod(obj: Object, now: float) -> list[Any]:
    meta, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    inits = {c["name"]: c for c in spec.get("initContainers") or ()}
    total = len(spec.get("containers") or ()) + sum(restartable(c) for c in inits.values())
    reason, ready, restarts, last, initializing = _init_state(status, inits)
    reason = reason or _waiting_for_gates(status) or status.get("reason") or status.get("phase", "")
    if not initializing or _initialized(status):
        restarts = sum(
            s.get("restartCount", 0)
            for s in status.get("initContainerStatuses") or ()
            if restartable(inits.get(s.get("name", ""), {}))
        )
        running = False
        for found in reversed(status.get("containerStatuses") or []):
            restarts += found.get("restartCount", 0)
            last = max(last, _ended(found))
            state = found.get("state") or {}
            word = _word(state)
            if word:
                reason = word
            elif found.get("ready") and "running" in state:
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if _condition(status, "Ready") else "NotReady"
    if meta.get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    shown = str(restarts)
    if restarts and last:
        shown += f" ({duration(now - last)} ago)"
    return [
        meta.get("name", ""),
        f"{ready}/{total}",
        reason,
        shown,
        age(meta.get("creationTimestamp"), now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(spec, status),
    ]


def template(obj: Object, now: float) -> list[Any]:
    """The cells of a template that stands alone."""
    inner = obj.get("template") or {}
    found = (inner.get("spec") or {}).get("containers") or []
    labels = (inner.get("metadata") or {}).get("labels") or {}
    return [
        obj["metadata"].get("name", ""),
        ",".join(c.get("name", "") for c in found),
        ",".join(c.get("image", "") for c in found),
        ",".join(f"{k}={v}" for k, v in sorted(labels.items())) or NONE,
    ]


def _waiting_for_gates(status: Object) -> str:
    gated = "SchedulingGated"
    conditions = status.get("conditions") or ()
    return gated if any(c.get("reason") == gated for c in conditions) else ""


def _word(state: Object) -> str:
    """What a container's state says for its pod; empty when it says nothing."""
    waiting, ended = state.get("waiting") or {}, state.get("terminated")
    if waiting.get("reason"):
        return str(waiting["reason"])
    if ended is None:
        return ""
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _init_state(status: Object, inits: dict[str, Object]) -> tuple[str, int, int, float, bool]:
    reason, ready, restarts, last = "", 0, 0, 0.0
    for i, found in enumerate(status.get("initContainerStatuses") or ()):
        restarts += found.get("restartCount", 0)
        last = max(last, _ended(found))
        state = found.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if restartable(inits.get(found.get("name", ""), {})) and found.get("started"):
            ready += bool(found.get("ready"))
            continue
        if ended is not None:
            reason = f"Init:{_word(state)}"
        elif (state.get("waiting") or {}).get("reason") not in {None, "", "PodInitializing"}:
            reason = f"Init:{state['waiting']['reason']}"
        else:
            reason = f"Init:{i}/{len(inits)}"
        return reason, ready, restarts, last, True
    return reason, ready, restarts, last, False


def _initialized(status: Object) -> bool:
    return _condition(status, "Initialized")


def _condition(status: Object, kind: str) -> bool:
    return any(
        c.get("type") == kind and c.get("status") == "True" for c in status.get("conditions") or ()
    )


def _ended(found: Object) -> float:
    ended = ((found.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
    return times.parse(ended).timestamp() if ended else 0.0


def _gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or []
    if not gates:
        return NONE
    passed = sum(_condition(status, g.get("conditionType", "")) for g in gates)
    return f"{passed}/{len(gates)}"
