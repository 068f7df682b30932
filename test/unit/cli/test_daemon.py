"""What both daemons do before they work."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from kaito.cli.daemon import NAMESPACES, ensure_namespace
from kaito.cli.parser import CommandError
from kaito.local.apiserver import ApiServer
from kaito.local.transport import InProcess
from kaito.runtime import Call, Client, ClusterConfig, Key, NotFound

ADMIN = "letmein"
CONFIG = ClusterConfig(server="https://127.0.0.1:6443", origin="The kubeconfig k")
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer(tokens={ADMIN: "admin"})
    await server.start()
    yield server
    await server.aclose()


def client(server: ApiServer, token: str = ADMIN) -> Client:
    return Client(InProcess(server, token=token))


async def account(server: ApiServer) -> Client:
    """A service account without any right to namespaces, as config/rbac makes them."""
    path = "/api/v1/namespaces/default/serviceaccounts"
    for at, body in (
        (path, {"metadata": {"name": "robot"}}),
        (f"{path}/robot/token", {"spec": {}}),
    ):
        call = Call(method="POST", path=at, body=msgspec.json.encode(body), headers=JSON)
        made = msgspec.json.decode(await client(server).send(call))
    return client(server, made["status"]["token"])


async def test_the_namespace_of_the_lease_is_made_where_there_is_none(server: ApiServer) -> None:
    for _ in range(2):
        await ensure_namespace(client(server), "kaito-system", CONFIG)
        await client(server).get(NAMESPACES, Key("", "kaito-system"))


async def test_who_may_not_look_for_the_namespace_works_all_the_same(server: ApiServer) -> None:
    await ensure_namespace(await account(server), "kaito-system", CONFIG)
    with pytest.raises(NotFound):
        await client(server).get(NAMESPACES, Key("", "kaito-system"))


async def test_a_token_that_the_server_does_not_know_is_told_with_its_file(
    server: ApiServer,
) -> None:
    with pytest.raises(CommandError, match=r"The kubeconfig k: .* does not accept these"):
        await ensure_namespace(client(server, "wrong"), "kaito-system", CONFIG)
