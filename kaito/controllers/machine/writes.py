"""What this controller may do to claims and Nodes, one method for each kind of write.

A Protocol, so that the reconciler can be run against any store of objects; `ApiWrites` is the real
one. Locked patches carry a resourceVersion and are refused when somebody wrote in between.
"""

from __future__ import annotations

from typing import Protocol

from kaito.controllers.kinds import NODES
from kaito.controllers.machine.decision import (
    DeleteClaim,
    DeleteNode,
    ObjectWrite,
    PatchClaim,
    PatchNode,
    SetStatus,
    Tell,
)
from kaito.provisioner.claim import Claim
from kaito.runtime import Applier, Client, Conflict, EventRecorder, Key, NotFound, Object, Store


class Writes(Protocol):
    """Performs a decision's writes."""

    async def perform(self, name: str, uid: str, write: ObjectWrite) -> None:
        """One write for the claim `name`. What is gone already counts as done."""


class ApiWrites:
    """Through the API server."""

    def __init__(self, client: Client, claims: Store[Claim], recorder: EventRecorder) -> None:
        self._client = client
        self._claims = claims
        self._applier = Applier(client)
        self._recorder = recorder

    async def perform(self, name: str, uid: str, write: ObjectWrite) -> None:
        """See Writes. Raises the client's errors: Conflict means to look again."""
        try:
            await self._perform(Key("", name), uid, write)
        except NotFound:
            return

    async def _perform(self, key: Key, uid: str, write: ObjectWrite) -> None:
        kind = self._claims.resource
        match write:
            case PatchClaim(patch):
                await self._client.patch(kind, key, patch)
            case DeleteClaim(doomed):
                await self._client.delete(kind, key, uid=doomed)
            case PatchNode(node, patch):
                await self._client.patch(NODES, Key("", node), patch)
            case DeleteNode(node, doomed):
                await self._delete_node(Key("", node), doomed)
            case SetStatus(status):
                names: Object = {
                    "apiVersion": kind.api_version,
                    "kind": kind.kind,
                    "metadata": {"name": key.name, "uid": uid},
                }
                await self._applier.apply_status(self._claims, {**names, "status": status})
            case Tell(type_, reason, message):
                regarding = {
                    "apiVersion": kind.api_version,
                    "kind": kind.kind,
                    "name": key.name,
                    "uid": uid,
                }
                self._recorder.event(regarding, type=type_, reason=reason, message=message)

    async def _delete_node(self, key: Key, uid: str) -> None:
        try:
            await self._client.delete(NODES, key, uid=uid)
        except Conflict:
            # Another Node has taken the name: the one that was meant is gone.
            return
