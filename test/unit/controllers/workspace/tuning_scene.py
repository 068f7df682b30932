"""A Workspace that tunes, its Job and its Pods as values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.kinds import CLAIMS, JOBS
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object, rfc3339
from test.unit.controllers.workspace.scene import (
    NOW,
    SETTINGS,
    after,
    decided,
    held,
    own_node,
    ready_machine,
    seen,
)

SIZE = "Standard_NC24ads_A100_v4"
TUNING: Object = {
    "preset": {"name": "phi-3-mini-128k-instruct"},
    "method": "lora",
    "input": {"urls": ["https://data.example.com/questions.jsonl"]},
    "output": {"image": "registry.example.com/adapters/a:1", "imagePushSecret": "push"},
}
JOB_UID = "uid-of-Job"
ORDER = ("data-downloader", "trainer", "pusher")


def tuned(**changes: Any) -> Object:
    """A Workspace that tunes; `changes` are of its part `tuning`, `metadata` is merged."""
    metadata = changes.pop("metadata", {})
    resource = {"instanceType": SIZE, **changes.pop("resource", {})}
    asked = {k: v for k, v in {**TUNING, **changes}.items() if v is not None}
    return held(inference=None, tuning=asked, resource=resource, metadata=metadata)


def ready(found: Object | None = None, **surroundings: Any) -> Observation:
    """Its node is ready, and nothing runs on it."""
    found = found or tuned()
    (asked,) = (o for o in decided(seen(found)).objects if o["kind"] == "Machine")
    name = asked["metadata"]["name"]
    order = Order.model_validate(
        {
            **asked,
            "metadata": {**asked["metadata"], "uid": f"uid-of-{name}"},
            "status": ready_machine(name).status.wire(),
        }
    )
    nodes = (own_node(name, **{"node.kubernetes.io/instance-type": SIZE}),)
    return seen(found, orders=(order,), nodes=nodes, **surroundings)


def written(observation: Observation, decision: Decision) -> Observation:
    """What is seen once a decision has been written, and nothing else has happened."""
    following = after(observation, decision)
    gone = {each.uid for each in decision.deletions}
    found = {o["kind"]: o for o in decision.objects}
    job = _made(found.get(JOBS.kind)) or observation.job
    claim = _made(found.get(CLAIMS.kind)) or observation.checkpoints
    orders = tuple(order for order in following.orders if order.metadata.uid not in gone)
    names = {order.status.node_name for order in orders}
    return replace(
        following,
        orders=orders,
        nodes=tuple(
            n for n in following.nodes if n.name in names or "kaito.sh/workspace" not in n.labels
        ),
        job=None if job and job["metadata"]["uid"] in gone else job,
        checkpoints=None if claim and claim["metadata"]["uid"] in gone else claim,
        revisions=_revised(observation.revisions, decision, gone),
    )


def running(found: Object | None = None, settings: Settings = SETTINGS) -> Observation:
    """Its Job is made, and has no Pod yet."""
    observation = ready(found)
    return written(observation, decided(observation, settings))


def pod(
    name: str = "w-1", *, phase: str = "Pending", job: str = JOB_UID, **containers: Any
) -> Object:
    """A Pod of the Job; containers by name with `-` as `_`: "running", an exit code, or an exit
    code and a message."""
    statuses = {
        each: _state(containers[each.replace("-", "_")])
        for each in ORDER
        if each.replace("-", "_") in containers
    }
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-of-{name}",
            "creationTimestamp": rfc3339(NOW),
            "ownerReferences": [{"kind": "Job", "name": "w", "uid": job, "controller": True}],
        },
        "status": {
            "phase": phase,
            "initContainerStatuses": [
                {"name": n, "state": s} for n, s in statuses.items() if n != "pusher"
            ],
            "containerStatuses": [
                {"name": n, "state": s} for n, s in statuses.items() if n == "pusher"
            ],
        },
    }


def ended(
    observation: Observation, type_: str, reason: str = "", message: str = "", **status: Any
) -> Observation:
    """The Job has ended, as its controller says."""
    assert observation.job is not None
    condition = {
        "type": type_,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": rfc3339(NOW + 60),
    }
    told = {"startTime": rfc3339(NOW), "conditions": [condition], **status}
    if type_ == "Complete":
        told["completionTime"] = rfc3339(NOW + 60)
    return replace(observation, job={**observation.job, "status": told})


def failed(
    observation: Observation, *pods: Object, reason: str = "PodFailurePolicy"
) -> Observation:
    """The Job has failed, for what these Pods say."""
    return ended(replace(observation, pods=pods), "Failed", reason)


def _state(said: object) -> Object:
    if said == "running":
        return {"running": {"startedAt": rfc3339(NOW)}}
    code, message = said if isinstance(said, tuple) else (said, "")
    found = {"exitCode": code, "message": message, "finishedAt": rfc3339(NOW)}
    return {"terminated": found | ({"reason": "OOMKilled"} if code == 137 else {})}


def _made(obj: Object | None) -> Object | None:
    if obj is None:
        return None
    metadata = {
        **obj["metadata"],
        "uid": f"uid-of-{obj['kind']}",
        "creationTimestamp": rfc3339(NOW),
    }
    return {**obj, "metadata": metadata}


def _revised(known: tuple[Object, ...], decision: Decision, gone: set[str]) -> tuple[Object, ...]:
    found = {each["metadata"]["name"]: each for each in known}
    if decision.revision is not None:
        name = decision.revision["metadata"]["name"]
        metadata = {**decision.revision["metadata"], "uid": f"uid-of-{name}"}
        found[name] = {**decision.revision, "metadata": metadata}
    return tuple(each for each in found.values() if each["metadata"]["uid"] not in gone)
