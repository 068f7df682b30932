"""Nodes from another cloud, in one file: a NodeSource for Hangar, and the daemon that uses it.

Hangar is a pretend cloud that rents machines by HTTP:

    POST   /machines        {"name", "size", "labels", "taints"}    201, 409 exists, 507 none free
    GET    /machines        all of them                             200
    GET    /machines/NAME   {"name", "size", "labels", "state"}     200, 404
    DELETE /machines/NAME                                           202, 404

A machine is booting, running, broken or leaving. When it runs, its kubelet joins the cluster with
the labels and taints that it was asked for with, the label hangar.example/machine with its name,
and the providerID hangar://NAME. Start it with HANGAR_URL and HANGAR_TOKEN in the environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import aiohttp

from kaito import runtime as kr
from kaito.controllers.machine import build, served_kinds
from kaito.provisioner import (
    Absent,
    Cause,
    CloudError,
    Failure,
    NodeRequest,
    Pool,
    PoolState,
    Way,
)
from kaito.provisioner.unshared import Unshared

SCHEME = "hangar://"
CALL_SECONDS = 20.0  # a call has to end within a minute, retries included
NAMESPACES: kr.Resource[kr.Object] = kr.Resource("", "v1", "namespaces", "Namespace", False)

STATES = {
    "booting": PoolState.CREATING,
    "running": PoolState.READY,
    "leaving": PoolState.DELETING,
    "broken": PoolState.FAILED,
}
# What to do after a refusal, by the status of the answer. What is not here may pass by itself.
REFUSALS = {
    400: (Way.HOPELESS, Cause.INVALID, "change the claim"),
    401: (Way.USER, Cause.AUTHENTICATION, "set HANGAR_TOKEN to a token that is valid"),
    403: (Way.USER, Cause.AUTHORIZATION, "let the token's owner rent machines"),
    429: (Way.RETRY, Cause.THROTTLED, ""),
    507: (Way.ANOTHER, Cause.ALLOCATION, "allow other sizes in the claim"),
}


class HangarSource(Unshared):
    """One machine for each claim. `session` has Hangar's address as its base."""

    name = "Hangar"
    cloud = "hangar"  # the catalogue has no prices of it, and no GPU counts
    pool_label = "hangar.example/machine"
    image_label = ""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def pool_of(self, provider_id: str) -> str | None:
        return provider_id.removeprefix(SCHEME) if provider_id.startswith(SCHEME) else None

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        wanted = {
            "name": request.name,
            "size": instance_type,
            "labels": dict(request.labels),  # they prove whose it is, so all must come back
            "taints": [f"{each.key}={each.value}:{each.effect}" for each in request.taints],
        }
        made = await self._ask("POST", "/machines", body=wanted, but=409)
        there = _read(made) if made is not None else await self.observe(request.name)
        if isinstance(there, Absent):
            raise CloudError(_failure(409, "it was there, and has vanished since"))
        return there  # of 409: whosever it is, the caller looks at its labels

    async def observe(self, name: str) -> Pool | Absent:
        found = await self._ask("GET", f"/machines/{name}", but=404)
        return Absent() if found is None else _read(found)

    async def pools(self) -> list[Pool]:
        return [_read(each) for each in await self._ask("GET", "/machines")]

    async def delete(self, pool: Pool) -> Pool | Absent:
        there = await self.observe(pool.name)
        if isinstance(there, Absent) or there.labels != pool.labels:
            return there  # gone, or another one of its name
        await self._ask("DELETE", f"/machines/{pool.name}", but=404)
        return await self.observe(pool.name)

    # Any: JSON.
    async def _ask(self, method: str, path: str, body: Any = None, but: int = 0) -> Any:
        """The answer; None for the status `but`. Every other failure is a CloudError."""
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with self._session.request(method, path, json=body, timeout=timeout) as answer:
                if answer.status == but:
                    return None
                if answer.status >= 400:
                    raise CloudError(_failure(answer.status, (await answer.text())[:500]))
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CloudError(
                Failure(
                    way=Way.RETRY,  # it may have been done all the same: the caller looks
                    cause=Cause.NETWORK,
                    code="",
                    message=f"Hangar does not answer: {error or type(error).__name__}",
                    advice="",
                )
            ) from error


def _read(wire: dict[str, Any]) -> Pool:
    state = STATES.get(wire["state"], PoolState.UPDATING)
    broken = _failure(500, wire.get("error", "it broke")) if state is PoolState.FAILED else None
    return Pool(
        name=wire["name"],
        state=state,
        said=wire["state"],
        instance_type=wire["size"],
        labels=wire["labels"],
        failure=broken,
    )


def _failure(status: int, text: str) -> Failure:
    way, cause, advice = REFUSALS.get(status, (Way.RETRY, Cause.SERVER, ""))
    return Failure(way=way, cause=cause, code=str(status), message=text, advice=advice)


async def run() -> None:
    config = await kr.load()
    headers = {"Authorization": f"Bearer {os.environ['HANGAR_TOKEN']}"}

    def connect(timeout: float = 30.0) -> kr.Client:
        transport = config.transport("kaito-hangar")
        return kr.Client(transport, field_manager="kaito-hangar", timeout=timeout)

    async with (
        connect() as client,
        aiohttp.ClientSession(os.environ["HANGAR_URL"], headers=headers) as session,
    ):
        lease = kr.LeaseSettings(name="kaito-hangar", namespace=config.namespace)
        manager = kr.Manager(client, name="kaito-hangar", lease=lease, connect=connect, warm=True)
        system = await client.get(NAMESPACES, kr.Key("", "kube-system"))
        build(
            manager,
            HangarSource(session),
            poll_seconds=15.0,
            cluster=system["metadata"]["uid"],  # tells this cluster's machines from another one's
            kinds=await served_kinds(client),
        )
        await manager.run(signals=True)


if __name__ == "__main__":
    sys.exit(kr.run_process(run(), name="kaito-hangar"))
