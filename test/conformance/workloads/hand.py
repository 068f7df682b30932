"""Plays the kubelet: makes pods ready, lets them end, and looks at what the controllers do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kaito.runtime import rfc3339
from test.conformance.client import Answer, Api
from test.conformance.objects import Object, Space

APPS, BATCH = "/apis/apps/v1", "/apis/batch/v1"


def template(image: str = "a", policy: str = "Always", app: str = "a") -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {
            "schedulerName": "by-hand",
            "restartPolicy": policy,
            "containers": [{"name": "main", "image": image}],
        },
    }


def workload(name: str, replicas: int = 2, **spec: Any) -> Object:
    """The body of a Deployment, ReplicaSet or StatefulSet."""
    wanted = {"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}}
    return {"metadata": {"name": name}, "spec": wanted | {"template": template()} | spec}


def job(name: str = "j", policy: str = "Never", **spec: Any) -> Object:
    made = template(policy=policy)
    del made["metadata"]
    return {"metadata": {"name": name}, "spec": {"template": made, **spec}}


def change(image: str) -> Object:
    containers = [{"name": "main", "image": image}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def active(pod: Object) -> bool:
    over = pod["status"]["phase"] in ("Succeeded", "Failed")
    return not over and "deletionTimestamp" not in pod["metadata"]


@dataclass(frozen=True, slots=True)
class Hand:
    """Acts on one namespace."""

    api: Api
    ns: Space

    def apps(self, plural: str, name: str = "") -> str:
        return self.ns.path(APPS, plural, name)

    async def create(self, path: str, body: Object) -> Object:
        made: Object = (await self.api.create(path, body)).ok().body
        return made

    async def merge(self, path: str, body: Object) -> Object:
        merged: Object = (await self.api.merge(path, body)).ok().body
        return merged

    async def pods(self) -> list[Object]:
        found: list[Object] = (await self.api.get(self.ns.pods())).body["items"]
        return found

    async def until(self, path: str, holds: Callable[[Object], object]) -> Object:
        """The object once it is as wanted."""
        found: Object = (await self.api.until(path, lambda answer: _holds(answer, holds))).body
        return found

    async def orphan(self, path: str) -> None:
        """Delete an owner and leave what it owns; returns when it is gone."""
        (await self.api.delete(path, propagationPolicy="Orphan")).ok()
        await self.api.repeat(lambda: self.api.get(path), lambda answer: answer.status == 404)

    async def active(self, number: int, holds: Callable[[Object], object] = bool) -> list[Object]:
        """The active pods that are as wanted, once there are so many."""

        def found(body: Object) -> list[Object]:
            return [pod for pod in body["items"] if active(pod) and holds(pod)]

        body = await self.until(self.ns.pods(), lambda body: len(found(body)) == number)
        return found(body)

    async def ready(self, *pods: Object, when: str = "") -> None:
        """Let pods run and be ready."""
        condition = {
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": when or rfc3339(time.time()),
        }
        for pod in pods:
            path = self.ns.pods(pod["metadata"]["name"], "status")
            await self.merge(path, {"status": {"phase": "Running", "conditions": [condition]}})

    async def ended(self, pod: Object, code: int = 0, **status: Any) -> None:
        """Let a pod end with this exit code."""
        # Long ago: nobody waits out the pause after a failure.
        at = "2026-01-01T00:00:00Z"
        terminated = {"exitCode": code, "reason": "E", "startedAt": at, "finishedAt": at}
        container = {
            "name": "main",
            "image": "a",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"terminated": terminated},
        }
        phase = "Failed" if code else "Succeeded"
        told = {"phase": phase, "containerStatuses": [container], **status}
        await self.merge(self.ns.pods(pod["metadata"]["name"], "status"), {"status": told})

    async def told(self, reason: str, number: int = 1) -> Counter[str]:
        """The messages of Events with this reason, once there are so many of them."""

        def messages(body: Object) -> Counter[str]:
            events = [each for each in body["items"] if each["reason"] == reason]
            return Counter(each["message"] for each in events)

        found = await self.until(self.ns.events(), lambda body: messages(body).total() >= number)
        return messages(found)


def _holds(answer: Answer, holds: Callable[[Object], object]) -> bool:
    return answer.status == 200 and bool(holds(answer.body))


def owner_of(obj: Object) -> str:
    """The name of the controller of an object, "" for an orphan."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((each["name"] for each in owners if each.get("controller")), "")


def reasons(obj: Object) -> dict[str, tuple[str, str]]:
    """(status, reason) of each condition by type."""
    conditions = obj.get("status", {}).get("conditions") or ()
    return {each["type"]: (each["status"], each["reason"]) for each in conditions}
