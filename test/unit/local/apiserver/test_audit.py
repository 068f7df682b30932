"""What service accounts did with their rights: used, not used, asked for in vain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kaito.local.access import PATH, Access
from kaito.local.apiserver import ApiServer
from kaito.local.transport import InProcess
from kaito.runtime import Call, Client, Forbidden, Key, Object, Resource, Unauthorized

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROBOT = "default:robot"
ADMIN = "letmein"
JSON = {"Content-Type": "application/json", "Accept": "application/json"}
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
RULES = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"], "verbs": ["patch"]},
]


async def post(client: Client, path: str, body: Any) -> Any:
    call = Call(method="POST", path=path, body=msgspec.json.encode(body), headers=JSON)
    return msgspec.json.decode(await client.send(call))


async def enroll(client: Client) -> str:
    """A robot that may do what RULES say; its token."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    await post(client, accounts, {"metadata": {"name": "robot"}})
    await post(client, f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": RULES})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    binding = {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [subject]}
    await post(client, f"{RBAC}/clusterrolebindings", binding)
    issued = await post(client, f"{accounts}/robot/token", {"spec": {}})
    token: str = issued["status"]["token"]
    return token


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer(tokens={ADMIN: "admin"})
    await server.start()
    server.mount(PATH, Access(lambda: server.audit, tokens=[ADMIN]).handle)
    yield server
    await server.aclose()


def client(server: ApiServer, token: str = ADMIN) -> Client:
    return Client(InProcess(server, token=token))


def unused(server: ApiServer) -> list[str]:
    return [str(right) for right in server.audit.unused(ROBOT)]


async def test_a_right_counts_as_unused_until_it_is_used(server: ApiServer) -> None:
    robot = client(server, await enroll(client(server)))
    assert unused(server) == [
        "get configmaps (ClusterRole r)",
        "list configmaps (ClusterRole r)",
        "patch configmaps a (ClusterRole r)",
    ]
    await robot.list(CONFIG_MAPS)
    assert unused(server) == [
        "get configmaps (ClusterRole r)",
        "patch configmaps a (ClusterRole r)",
    ]


async def test_what_was_asked_for_in_vain_is_told_once(server: ApiServer) -> None:
    robot = client(server, await enroll(client(server)))
    for _ in range(2):
        with pytest.raises(Forbidden):
            await robot.patch(CONFIG_MAPS, Key("default", "b"), {"data": {}})
    assert [str(each) for each in server.audit.refused(ROBOT)] == ["patch configmaps b in default"]


async def test_a_question_about_rights_is_no_use_of_them(server: ApiServer) -> None:
    robot = client(server, await enroll(client(server)))
    attributes = {"verb": "get", "resource": "configmaps", "namespace": "default"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = await post(robot, path, {"spec": {"resourceAttributes": attributes}})
    assert answer["status"]["allowed"]
    assert "get configmaps (ClusterRole r)" in unused(server)


async def test_the_record_is_for_the_administrator_alone(server: ApiServer) -> None:
    token = await enroll(client(server))
    call = Call(method="GET", path=PATH)
    report = msgspec.json.decode(await client(server).send(call))
    assert report == {ROBOT: {"unused": unused(server), "refused": []}}
    with pytest.raises(Unauthorized):
        await client(server, token).send(call)


async def test_a_token_outlives_a_restart_as_the_data_does(tmp_path: Path) -> None:
    first = ApiServer(tokens={ADMIN: "admin"}, data_dir=tmp_path)
    await first.start()
    token = await enroll(client(first))
    await first.aclose()
    second = ApiServer(tokens={ADMIN: "admin"}, data_dir=tmp_path)
    await second.start()
    await client(second, token).list(CONFIG_MAPS)
    await second.aclose()
