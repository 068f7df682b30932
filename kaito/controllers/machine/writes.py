"""What this controller may do to the Kubernetes API, one method for each kind of write.

A Protocol, so that the reconciler can be run against any store of objects; `ApiWrites` is the real
one. Locked patches carry a resourceVersion and are refused when somebody wrote in between.
"""

from __future__ import annotations

from typing import Protocol

from kaito.api import machine as api
from kaito.controllers.kinds import (
    MACHINES,
    NODES,
)
from kaito.controllers.machine.decision import (
    DeleteMachine,
    DeleteNode,
    PatchMachine,
    PatchNode,
    SetStatus,
    Tell,
    Write,
)
from kaito.runtime import Applier, Client, Conflict, EventRecorder, Key, NotFound, Object, Store


class Writes(Protocol):
    """Performs a decision's writes."""

    async def perform(self, name: str, uid: str, write: Write) -> None:
        """One write for the Machine `name`. What is gone already counts as done."""


class ApiWrites:
    """Through the API server."""

    def __init__(
        self, client: Client, machines: Store[api.Machine], recorder: EventRecorder
    ) -> None:
        self._client = client
        self._machines = machines
        self._applier = Applier(client)
        self._recorder = recorder

    async def perform(self, name: str, uid: str, write: Write) -> None:
        """See Writes. Raises the client's errors: Conflict means to look again."""
        try:
            await self._perform(Key("", name), uid, write)
        except NotFound:
            return

    async def _perform(self, key: Key, uid: str, write: Write) -> None:
        match write:
            case PatchMachine(patch):
                await self._client.patch(MACHINES, key, patch)
            case DeleteMachine(doomed):
                await self._client.delete(MACHINES, key, uid=doomed)
            case PatchNode(node, patch):
                await self._client.patch(NODES, Key("", node), patch)
            case DeleteNode(node, doomed):
                await self._delete_node(Key("", node), doomed)
            case SetStatus(status):
                names: Object = {
                    "apiVersion": api.API_VERSION,
                    "kind": api.KIND,
                    "metadata": {"name": key.name, "uid": uid},
                }
                await self._applier.apply_status(self._machines, {**names, "status": status})
            case Tell(type_, reason, message):
                regarding = {
                    "apiVersion": api.API_VERSION,
                    "kind": api.KIND,
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
