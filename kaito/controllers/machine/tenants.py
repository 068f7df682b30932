"""The Pods of Nodes that are being emptied: listed when a decision wants to know, and evicted.

They are not watched: a Node is emptied rarely, and the Pods of a cluster are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog

from kaito.controllers.machine.decision import DeletePod, Evict, PodWrite, Tenancy
from kaito.controllers.machine.kinds import PODS, Pod
from kaito.runtime import (
    ApiError,
    Call,
    Client,
    Clock,
    Conflict,
    Forbidden,
    NotFound,
    TooManyRequests,
)

EVICT_SECONDS = 5.0
"""For one eviction. Where the API server asks for a longer pause, the next look is soon enough."""

log = structlog.get_logger("kaito.controllers.machine")


class PodCalls(Protocol):
    """What may be done to Pods."""

    async def on(self, node: str) -> Sequence[Pod]:
        """The Pods that are bound to a Node."""

    async def evict(self, pod: Pod) -> str:
        """Ask a Pod to leave. Why it may not yet; "" when it goes, or is gone."""

    async def delete(self, pod: Pod, seconds: int) -> None:
        """Delete a Pod with so much grace. What is gone already counts as done."""


class Tenants:
    """Remembers, for each claim, who is on its Nodes and who was refused to leave."""

    def __init__(self, calls: PodCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._known: dict[str, Tenancy] = {}
        self._refused: dict[str, dict[str, str]] = {}

    def tenancy(self, claim: str) -> Tenancy | None:
        """What is known for the claim of this name; None before anybody has asked."""
        return self._known.get(claim)

    def forget(self, claim: str) -> None:
        """The claim is no more."""
        self._known.pop(claim, None)
        self._refused.pop(claim, None)

    async def look(self, claim: str, nodes: Sequence[str]) -> None:
        """List the Pods of these Nodes. Raises what the client raises, save Forbidden."""
        at = self._clock.now()
        try:
            # Mostly there is one Node.
            pods = [pod for node in nodes for pod in await self._calls.on(node)]
        except Forbidden as error:
            # Asking again soon changes nothing; somebody has to be told.
            self._known[claim] = Tenancy(pods=(), at=at, refused={}, trouble=str(error))
            return
        self._known[claim] = Tenancy(
            pods=tuple(pods), at=at, refused=dict(self._refused.get(claim, {}))
        )

    async def perform(self, claim: str, write: PodWrite) -> None:
        """Have a Pod leave. A refusal is remembered, and told at the next look."""
        match write:
            case DeletePod(pod, seconds):
                log.info("deleting pod", pod=str(pod.key), grace=seconds)
                await self._calls.delete(pod, seconds)
            case Evict(pod):
                refused = self._refused.setdefault(claim, {})
                refused[pod.metadata.uid] = await self._calls.evict(pod)


class ApiPods:
    """Through the API server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def on(self, node: str) -> Sequence[Pod]:
        """See PodCalls."""
        listing = await self._client.list(PODS, fields=f"spec.nodeName={node}")
        return listing.items

    async def evict(self, pod: Pod) -> str:
        """See PodCalls. Whatever stands in the way of one Pod must not hold up the others."""
        meta = pod.metadata
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta.name, "namespace": meta.namespace},
            "deleteOptions": {"preconditions": {"uid": meta.uid}},
        }
        call = Call(
            method="POST",
            path=PODS.path(meta.namespace, meta.name, "eviction"),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=msgspec.json.encode(body),
            timeout=EVICT_SECONDS,
        )
        try:
            await self._client.send(call)
        except (NotFound, Conflict):
            # It has gone, or another one has taken its name.
            return ""
        except TooManyRequests as error:
            return _budget(error)
        except ApiError as error:
            return str(error)
        return ""

    async def delete(self, pod: Pod, seconds: int) -> None:
        """See PodCalls."""
        options = {"gracePeriodSeconds": seconds, "preconditions": {"uid": pod.metadata.uid}}
        call = Call(
            method="DELETE",
            path=PODS.path(*pod.key),
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=msgspec.json.encode({"apiVersion": "v1", "kind": "DeleteOptions", **options}),
        )
        try:
            await self._client.send(call)
        except (NotFound, Conflict):
            return


def _budget(error: TooManyRequests) -> str:
    """The refusal with the cause that names the budget, where the server gives one."""
    causes = " ".join(cause.message for cause in error.causes)
    said = f"{error.status.message or error} {causes}".strip()
    return said.rstrip(".")
