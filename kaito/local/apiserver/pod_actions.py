"""What is done to a pod and not written into it: binding it to a node, evicting it.

Both answer a Status. An eviction is a deletion that disruption budgets may refuse.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaito.local.apiserver import bodies, selectors
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import check_namespace, ownership
from kaito.local.apiserver.deleteoptions import DeleteOptions, of_body
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.options import write_options
from kaito.local.apiserver.rendering import render
from kaito.local.apiserver.status import (
    StatusError,
    bad_request,
    conflict,
    not_found,
    plain_failure,
)
from kaito.local.apiserver.storage import Record

Object = dict[str, Any]
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
DISRUPTED = "Cannot evict pod as it would violate the pod's disruption budget."
ALLOWED = "DisruptionAllowed"
ENDED = {"Succeeded", "Failed", "Pending"}  # phases in which nobody counts on a pod
BUSY_RETRY = 10  # seconds after which to ask again while a budget is being worked out


def set_condition(status: Object, condition: Object, now: str) -> None:
    """Add or replace a condition of a pod; its time moves only with its status."""
    conditions = status.setdefault("conditions", [])
    for i, known in enumerate(conditions):
        if known.get("type") == condition["type"]:
            if known.get("status") == condition["status"]:
                now = known.get("lastTransitionTime") or now
            conditions[i] = {**condition, "lastProbeTime": None, "lastTransitionTime": now}
            return
    conditions.append({**condition, "lastProbeTime": None, "lastTransitionTime": now})


def disrupted(message: str, retry: int = 0) -> StatusError:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": message}]}
    if retry:
        details["retryAfterSeconds"] = retry
    return StatusError(429, "TooManyRequests", DISRUPTED, details, retry_after=retry or None)


class PodActions:
    """Serves pods/binding and pods/eviction."""

    def __init__(self, core: Core, handlers: Handlers) -> None:
        self._core = core
        self._handlers = handlers

    def _pod(self, call: Call) -> tuple[Object, Record]:
        kind = call.kind
        record = self._core.record(kind, call.target.namespace, call.target.name)
        if record is None:
            raise not_found(kind.group, kind.plural, call.target.name)
        return kind.value(record), record

    def _done(self, call: Call) -> Response:
        return render({**SUCCESS}, self._handlers.want(call).media, 201)

    async def bind_named(self, call: Call) -> Response:
        """Bind the pod that the body names, which is the old way. Raises StatusError."""
        options = write_options(call, "CreateOptions")
        kinds = self._core.kinds
        body = bodies.read_as(kinds, "V1Binding", call.request, "Binding", "v1", options)
        meta, target = body.setdefault("metadata", {}), call.target
        check_namespace(call, body)
        if not meta.get("name"):
            raise bad_request("Name parameter required.")
        pods = self._core.kinds.get("", "v1", "pods")
        assert pods is not None
        goal = replace(target, plural="pods", name=meta["name"], subresource="binding")
        return await self.bind(replace(call, target=goal, kind=pods))

    async def bind(self, call: Call) -> Response:
        """Assign a pod to a node, once. Raises StatusError."""
        options = write_options(call, "CreateOptions")
        kinds = self._core.kinds
        body = bodies.read_as(kinds, "V1Binding", call.request, "Binding", "v1", options)
        meta, goal = body.setdefault("metadata", {}), body.get("target") or {}
        check_namespace(call, body)
        if meta.get("name", "") != call.target.name:
            raise bad_request("name in URL does not match name in Binding object")
        faults = []
        if goal.get("kind") not in {None, "", "Node"}:
            faults.append(
                f'target.kind: Unsupported value: "{goal["kind"]}": supported values: "Node", '
                '"<empty>"'
            )
        if not goal.get("name"):
            faults.append("target.name: Required value")
        if faults:
            raise plain_failure(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
        pod, record = self._pod(call)
        self._same(call, meta, pod)
        fault = self._unbindable(pod)
        if fault:
            raise conflict("", "pods/binding", call.target.name, f"pod {call.target.name} {fault}")
        pod["spec"]["nodeName"] = goal["name"]
        pod["status"].pop("nominatedNodeName", None)
        for part in ("annotations", "labels"):
            if meta.get(part):
                pod["metadata"][part] = {**(pod["metadata"].get(part) or {}), **meta[part]}
        scheduled = {"type": "PodScheduled", "status": "True"}
        set_condition(pod["status"], scheduled, self._core.stamp())
        if not options.dry_run:
            self._core.save(call.kind, pod, expect=record.revision)
        return self._done(call)

    @staticmethod
    def _same(call: Call, meta: Object, pod: Object) -> None:
        """The pod is the very one that was meant. Raises StatusError."""
        found, name = pod["metadata"], call.target.name
        key = f"/registry/pods/{call.kind.key(call.target.namespace, name)}"
        for part, shown in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            if meta.get(part) and meta[part] != found[part]:
                raise conflict(
                    "",
                    "pods",
                    name,
                    f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, "
                    f"AdditionalErrorMsg: Precondition failed: {shown} in precondition: "
                    f"{meta[part]}, {shown} in object meta: {found[part]}",
                )

    @staticmethod
    def _unbindable(pod: Object) -> str:
        if pod["metadata"].get("deletionTimestamp"):
            return "is being deleted, cannot be assigned to a host"
        node = pod["spec"].get("nodeName")
        if node:
            return f'is already assigned to node "{node}"'
        if pod["spec"].get("schedulingGates"):
            return "has non-empty .spec.schedulingGates"
        return ""

    async def evict(self, call: Call) -> Response:
        """Delete a pod unless a budget forbids it. Raises StatusError."""
        options = write_options(call, "CreateOptions")
        kinds = self._core.kinds
        body = bodies.read_as(
            kinds, "V1Eviction", call.request, "Eviction", "policy/v1", options, "policy/v1beta1"
        )
        if (body.get("metadata") or {}).get("name", "") != call.target.name:
            raise bad_request("name in URL does not match name in Eviction object")
        wanted = of_body(body.get("deleteOptions") or {})
        wanted.dry_run = wanted.dry_run or options.dry_run
        pod, _ = self._pod(call)
        status = pod.get("status") or {}
        if status.get("phase") not in ENDED and not pod["metadata"].get("deletionTimestamp"):
            self._spend_budget(call, pod, wanted)
        self._announce(call, wanted)
        target = call.target
        await self._handlers.deleter.delete(call, target.namespace, target.name, wanted)
        return self._done(call)

    def _announce(self, call: Call, options: DeleteOptions) -> None:
        """Say in the pod's conditions why it goes."""
        if options.dry_run:
            return
        pod, record = self._pod(call)
        self._handlers.deleter.check(call.kind, pod, options)
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        set_condition(pod["status"], condition, self._core.stamp())
        saved = self._core.save(call.kind, pod, expect=record.revision)
        if options.resource_version:
            options.resource_version = str(saved.revision)

    def _covering(self, call: Call, kind: Kind, pod: Object) -> list[tuple[Object, Record]]:
        bucket = self._core.store.bucket(kind.bucket)
        labels = pod["metadata"].get("labels") or {}
        found = []
        for key in bucket.keys(f"{call.target.namespace}/"):
            budget = kind.value(bucket.objects[key])
            selector = (budget.get("spec") or {}).get("selector")
            if selectors.of_label_selector(selector)(labels):
                found.append((budget, bucket.objects[key]))
        return found

    def _spend_budget(self, call: Call, pod: Object, options: DeleteOptions) -> None:
        """Take one disruption from the budget that covers a pod. Raises StatusError."""
        kind = self._core.kinds.get("policy", "v1", "poddisruptionbudgets")
        assert kind is not None
        covering = self._covering(call, kind, pod)
        if not covering:
            return
        if len(covering) > 1:
            raise plain_failure(
                "This pod has more than one PodDisruptionBudget, which the "
                "eviction subresource does not support."
            )
        budget, record = covering[0]
        status = budget.setdefault("status", {})
        if not _ready(pod) and _unhealthy_may_go(budget):
            return
        refuse_spent(budget)
        if options.dry_run:
            return
        live, now = kind.value(record), self._core.stamp()
        status["disruptionsAllowed"] -= 1
        if not status["disruptionsAllowed"]:
            _exhaust(status, now)
        status.setdefault("disruptedPods", {})[call.target.name] = now
        rules = ownership(self._core.kinds, kind, "status")
        rules.update(live, budget, "kube-apiserver", now)
        self._core.save(kind, budget, expect=record.revision)


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _unhealthy_may_go(budget: Object) -> bool:
    """A pod that is not ready counts for nothing where enough others are."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget["status"]
    wanted = status.get("desiredHealthy", 0)
    return bool(wanted > 0 and status.get("currentHealthy", 0) >= wanted)


def refuse_spent(budget: Object) -> None:
    """Raises StatusError where a budget allows no disruption now."""
    name, status = budget["metadata"]["name"], budget["status"]
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        says = f"The disruption budget {name} is still being processed by the server."
        raise disrupted(says, BUSY_RETRY)
    if status.get("disruptionsAllowed", 0) > 0:
        return
    conditions = status.get("conditions") or ()
    said: Object = next((c for c in conditions if c.get("type") == ALLOWED), {})
    message = said.get("message", "") if said.get("status") == "False" else ""
    wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    closed = f"The disruption budget {name} does not allow evicting pods currently"
    if message and said.get("reason") == "SyncFailed":
        raise disrupted(f"{closed} because it failed sync: {message}")
    if healthy <= wanted:
        raise disrupted(
            f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
        )
    raise disrupted(f"{closed} ({said.get('reason', '')}): {message}" if message else closed)


def _exhaust(status: Object, now: str) -> None:
    """Say that the budget is used up."""
    condition = {
        "type": ALLOWED,
        "status": "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now,
        "reason": "InsufficientPods",
        "message": "",
    }
    others = [c for c in status.get("conditions") or () if c.get("type") != ALLOWED]
    status["conditions"] = [*others, condition]
