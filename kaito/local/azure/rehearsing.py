"""Faults added and taken back over HTTP while the cluster runs, to rehearse an incident.

    kubectl create --raw /local/azure/faults -f fault.json     {"kind": "quota", "times": 2}
    kubectl get --raw /local/azure/faults
    kubectl delete --raw /local/azure/faults/1

The path is no part of Azure's and lets in the cluster's administrator alone. What is added is
forgotten when the cluster ends.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.status import StatusError, bad_request, method_not_allowed
from kaito.local.azure.effects import DESCRIPTIONS
from kaito.local.azure.faults import SLOW_SECONDS, Ask, FaultKind, Faults, PoolFault

PATH = "/local/azure/faults"


class FaultWire(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """A fault as JSON; every field but the kind may be absent."""

    kind: FaultKind
    on: Ask = Ask.CREATE
    pool: str = "*"
    vm_size: str = "*"
    times: int = 0
    seconds: float = SLOW_SECONDS
    status: int = 0
    code: str = ""
    message: str = ""
    id: str = ""

    def fault(self) -> PoolFault:
        """ValueError when it makes no sense."""
        return PoolFault(
            kind=self.kind,
            on=self.on,
            pool=self.pool,
            vm_size=self.vm_size,
            times=self.times,
            seconds=self.seconds,
            status=self.status,
            code=self.code,
            message=self.message,
        )


class Rehearsal:
    """Mount `handle` at PATH. `tokens` are the bearer tokens that are let in."""

    def __init__(self, faults: Faults, *, tokens: Collection[str]) -> None:
        self._faults = faults
        self._tokens = frozenset(tokens)

    async def handle(self, request: Request) -> Response:
        """Answer one request. StatusError (400, 401, 404, 405)."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token.strip() not in self._tokens:
            raise StatusError(401, "Unauthorized", "only the cluster's administrator is let in")
        name = request.path.removeprefix(PATH).strip("/")
        match request.method:
            case "GET" if not name:
                return Response.json(self._state())
            case "POST" if not name:
                return self._add(request.body)
            case "DELETE" if not name:
                self._faults.clear()
                return Response.json(self._state())
            case "DELETE":
                if self._faults.remove(name):
                    return Response.json(self._state())
                raise StatusError(404, "NotFound", f"there is no fault with the id {name!r}")
            case _:
                raise method_not_allowed()

    def _add(self, body: bytes) -> Response:
        try:
            fault = msgspec.json.decode(body, type=FaultWire).fault()
        except (ValueError, RecursionError) as error:
            raise bad_request(str(error)) from None
        return Response.json(_wire(self._faults.add(fault), fault), 201)

    def _state(self) -> dict[str, Any]:
        return {
            "faults": [_wire(name, fault) for name, fault in self._faults],
            "kinds": {kind.value: text for kind, text in DESCRIPTIONS.items()},
        }


def _wire(name: str, fault: PoolFault) -> FaultWire:
    return FaultWire(
        id=name,
        kind=fault.kind,
        on=fault.on,
        pool=fault.pool,
        vm_size=fault.vm_size,
        times=fault.times,
        seconds=fault.seconds,
        status=fault.status,
        code=fault.code,
        message=fault.message,
    )
