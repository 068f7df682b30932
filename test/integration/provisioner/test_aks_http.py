"""What the AKS adapter makes of answers that are none, and of ways to Azure that lead elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from kaito.local.apiserver.front import HttpsFront
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.apiserver.watches import Cut
from kaito.provisioner import Absent, Cause, CloudError, CredentialKind, Failure, Pool, Way
from kaito.provisioner import node_request as request_of
from kaito.provisioner.aks import AksNodeSource, edge
from kaito.runtime import SystemClock
from kaito.runtime.clock import Timer
from test.integration.provisioner.conftest import TOKEN, Azure
from test.unit.provisioner.machines import A100, NAME, machine

JSON = {"content-type": "application/json"}
REQUEST = request_of(machine())


class Hasty(SystemClock):
    """Neither pauses nor waits long for anything."""

    async def sleep(self, seconds: float) -> None:
        return

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return super().call_later(0.2, callback)


async def refused(source: AksNodeSource) -> Failure:
    with pytest.raises(CloudError) as caught:
        await source.observe(NAME)
    return caught.value.failure


async def cut_off() -> AsyncIterator[bytes]:
    yield b'{"name": "ws'
    raise Cut("in the middle")


async def dribbling() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: Response(200, {"content-type": "text/html"}, b"<html>Sign in</html>"),
        lambda: Response(200, JSON, b"<html>Sign in</html>"),
        lambda: Response(200, JSON, b""),
        lambda: Response(200, JSON, b"[]"),
        lambda: Response(200, JSON, b'"pool"'),
        lambda: Response(200, JSON, b"null"),
        lambda: Response(200, JSON, b"{}"),
        lambda: Response(200, JSON, b"\xff\xfe"),
        lambda: Response(200, JSON, b"[" * 100_000),
        lambda: Response(200, {**JSON, "content-encoding": "gzip"}, b"not gzip"),
        lambda: Response(200, JSON, cut_off()),
        lambda: Response(204),
    ],
)
async def test_an_answer_that_is_no_pool_is_asked_for_again_and_then_told(
    azure: Azure, answer: Callable[[], Response]
) -> None:
    async with azure.source() as source:
        azure.answers = [answer() for _ in range(3)]
        failure = await refused(source)
        assert (failure.cause, failure.way) == (Cause.NETWORK, Way.RETRY)
        assert len(azure.sent) == 3
        assert await source.observe(NAME) == Absent()


@pytest.mark.parametrize("body", [b"{}", b'{"value": null}', b"[]", b"<html>", b'{"value": {}}'])
async def test_a_list_that_is_none_is_not_taken_for_an_empty_one(azure: Azure, body: bytes) -> None:
    async with azure.source() as source:
        azure.answers = [Response(200, JSON, body) for _ in range(3)]
        with pytest.raises(CloudError) as caught:
            await source.pools()
        assert caught.value.failure.cause is Cause.NETWORK
        assert await source.pools() == []


async def test_an_answer_that_never_ends_is_given_up(azure: Azure) -> None:
    async with azure.source(Hasty()) as source:
        azure.answers = [Response(200, JSON, dribbling()) for _ in range(3)]
        failure = await refused(source)
    assert failure.cause is Cause.NETWORK
    assert "no whole answer came within 20 seconds" in failure.message


async def test_a_deletion_whose_steps_never_end_is_given_up(azure: Azure) -> None:
    async with azure.source() as source:
        await source.launch(REQUEST, A100)
        await azure.finish()
        mine = await source.observe(NAME)
        assert isinstance(mine, Pool)
    async with azure.source(Hasty()) as source:
        azure.answers = [Response(200, JSON, dribbling()) for _ in range(9)]
        with pytest.raises(CloudError) as caught:
            await source.delete(mine)
    assert (caught.value.failure.cause, caught.value.failure.way) == (Cause.NETWORK, Way.RETRY)


async def test_an_answer_without_an_end_in_size_is_not_read(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "ANSWER_LIMIT", 1000)
    async with azure.source() as source:
        azure.answers = [Response(500, JSON, b" " * 2000) for _ in range(3)]
        failure = await refused(source)
    assert failure.cause is Cause.NETWORK
    assert "more than 1000 bytes" in failure.message


async def test_a_long_refusal_is_told_in_short(azure: Azure) -> None:
    words = b'{"error": {"code": "Weird", "message": "%b"}}' % (b"long " * 100_000)
    async with azure.source() as source:
        azure.answers = [Response(418, JSON, words)]
        assert len(str(await refused(source))) < 800


@asynccontextmanager
async def elsewhere(azure: Azure) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Another address, and what it hears."""
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(
        listen, "127.0.0.1", 0, ssl=azure.pki.server_context(), ssl_shutdown_timeout=1
    )
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(azure: Azure, status: int) -> None:
    async with elsewhere(azure) as (url, heard), azure.source() as source:
        azure.answers = [Response(status, {"location": f"{url}/x"}) for _ in range(3)]
        failure = await refused(source)
        assert failure.cause is Cause.NETWORK
        assert str(status) in failure.message
    assert heard == []


async def test_the_next_page_of_another_host_is_not_asked_for(azure: Azure) -> None:
    async with elsewhere(azure) as (url, heard), azure.source() as source:
        page = f'{{"value": [], "nextLink": "{url}/pools?page=2"}}'.encode()
        azure.answers = [Response(200, JSON, page) for _ in range(3)]
        with pytest.raises(CloudError, match="check AZURE_RESOURCE_MANAGER_URL"):
            await source.pools()
    assert heard == []


@pytest.mark.parametrize(
    "header",
    [
        {"retry-after": "7"},
        {"retry-after-ms": "7000"},
        {"x-ms-retry-after-ms": "7000", "retry-after": "90"},
        {"retry-after": formatdate(SystemClock().now() + 3600, usegmt=True)},
    ],
)
async def test_how_long_to_stay_away_is_read_in_every_form(
    azure: Azure, header: dict[str, str]
) -> None:
    async with azure.source() as source:
        azure.answers = [Response(429, {**JSON, **header}, b'{"error": {"code": "Throttled"}}')]
        failure = await refused(source)
    assert failure.cause is Cause.THROTTLED
    assert failure.retry_after == (900.0 if "GMT" in header.get("retry-after", "") else 7.0)


async def test_a_token_that_ends_on_its_way_is_replaced_once(azure: Azure) -> None:
    expired = b'{"error": {"code": "ExpiredAuthenticationToken", "message": "expired"}}'
    async with azure.source() as source:
        azure.answers = [Response(401, JSON, expired)]
        assert await source.observe(NAME) == Absent()
        azure.answers = [Response(401, JSON, expired)] * 9
        assert (await refused(source)).way is Way.USER
    assert len(azure.sent) == 4


@pytest.mark.parametrize(
    ("api_version", "sent"), [("2025-01-01", "2025-01-01"), ("", "2026-08-01")]
)
async def test_the_api_version_of_the_settings_is_asked_for(
    azure: Azure, api_version: str, sent: str
) -> None:
    async with azure.source(api_version=api_version) as source:
        await source.observe(NAME)
    [request] = azure.sent
    assert request.parameters().get("api-version") == sent


async def test_tags_and_taints_of_the_start_arrive_as_the_settings_say(azure: Azure) -> None:
    pools = azure.settings().pools
    tagged = type(pools)(tags={"team": "ml"}, starting_taints=True)
    async with azure.source(pools=tagged, api_version="2026-07-02-preview") as source:
        await source.launch(REQUEST, A100)
    shown = azure.endpoint.pool(NAME)
    assert shown is not None
    assert shown.properties["tags"] == {"team": "ml"}
    assert shown.properties["nodeInitializationTaints"] == ["karpenter.sh/unregistered=:NoExecute"]


class Authority:
    """Gives out tokens for assertions that it knows, as Microsoft Entra does."""

    def __init__(self, azure: Azure) -> None:
        self.known = "first"
        self.asked: list[dict[str, list[str]]] = []
        self.broken = False
        azure.server.mount(f"/{azure.endpoint.account.tenant}/", self.handle)

    async def handle(self, request: Request) -> Response:
        form = parse_qs(request.body.decode())
        self.asked.append(form)
        if self.broken:
            raise Cut("broken")
        if form["client_assertion"] != [self.known]:
            said = b'{"error": "invalid_client", "error_description": "AADSTS700024: expired."}'
            return Response(401, JSON, said)
        token = f'{{"token_type": "Bearer", "expires_in": 0, "access_token": "{TOKEN}"}}'
        return Response(200, JSON, token.encode())


@asynccontextmanager
async def federated(azure: Azure) -> AsyncIterator[tuple[Authority, Path, AksNodeSource]]:
    authority = Authority(azure)
    file = azure.directory / "assertion"
    file.write_text("first\n")
    async with azure.source(
        credential=CredentialKind.WORKLOAD_IDENTITY,
        tenant=azure.endpoint.account.tenant,
        client="client",
        federated_token_file=str(file),
        authority=azure.front.url,
        audience="https://audience.example.com",
    ) as source:
        yield authority, file, source


async def test_a_workload_identity_exchanges_its_file_for_a_token(azure: Azure) -> None:
    async with federated(azure) as (authority, _, source):
        assert await source.observe(NAME) == Absent()
    [form] = authority.asked
    assert form["client_id"] == ["client"]
    assert form["scope"][0].startswith("https://audience.example.com/.default")


async def test_a_federated_token_that_was_renewed_is_used_at_once(azure: Azure) -> None:
    async with federated(azure) as (authority, file, source):
        assert await source.observe(NAME) == Absent()
        authority.known = "second"
        failure = await refused(source)
        assert failure.way is Way.USER
        assert "AADSTS700024" in failure.message
        file.write_text("second\n")
        assert await source.observe(NAME) == Absent()


async def test_a_federated_token_that_is_missing_needs_the_user(azure: Azure) -> None:
    async with federated(azure) as (_, file, source):
        file.unlink()
        failure = await refused(source)
        assert failure.way is Way.USER
        assert "no token" in failure.message
    assert azure.sent == []


async def test_an_authority_that_breaks_off_may_come_back(azure: Azure) -> None:
    async with federated(azure) as (authority, _, source):
        authority.broken = True
        async with asyncio.timeout(20):
            assert (await refused(source)).way is Way.RETRY
        authority.broken = False
        assert await source.observe(NAME) == Absent()


@asynccontextmanager
async def managed(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Request]]:
    """A machine that has the managed identity `mine`, and what it is asked."""
    asked: list[Request] = []

    async def identity(request: Request) -> Response:
        asked.append(request)
        if request.parameters().get("client_id") != "mine":
            return Response.json({"message": "no such identity"}, 400)
        token = {"access_token": TOKEN, "expires_on": "4102444800", "token_type": "Bearer"}
        return Response.json({**token, "resource": request.parameters().get("resource")})

    server = ApiServer()
    server.mount("/identity", identity)
    front = HttpsFront(server)
    await server.start()
    await front.start()
    for name in ("AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")  # asks no programs of this machine
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{front.url}/identity")
    monkeypatch.setenv("IDENTITY_HEADER", "secret")
    try:
        yield asked
    finally:
        await front.aclose()
        await server.aclose()


async def test_the_default_chain_finds_the_managed_identity_of_the_settings(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        managed(azure, monkeypatch) as asked,
        azure.source(
            credential=CredentialKind.DEFAULT, client="mine", audience="https://a.example.com"
        ) as source,
    ):
        assert await source.observe(NAME) == Absent()
    assert [request.parameters().get("client_id") for request in asked] == ["mine"]
    assert asked[0].parameters().get("resource") == "https://a.example.com"


async def test_a_chain_without_a_token_says_what_each_of_its_links_said(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        managed(azure, monkeypatch),
        azure.source(credential=CredentialKind.DEFAULT, client="other") as source,
    ):
        failure = await refused(source)
    assert failure.way is Way.USER
    for link in (
        "EnvironmentCredential",
        "WorkloadIdentityCredential",
        "ManagedIdentityCredential",
    ):
        assert f"{link}: " in failure.message


async def test_the_proxy_of_the_environment_is_used(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", azure.front.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with proxy, azure.source() as source:
        assert await source.observe(NAME) == Absent()
    assert asked
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{azure.front.port} ".encode())


async def test_conditions_that_azure_ignores_delete_nothing_of_somebody_else(
    azure: Azure,
) -> None:
    async with azure.source() as source:
        await source.launch(REQUEST, A100)
        await azure.finish()
        mine = await source.observe(NAME)
        assert isinstance(mine, Pool)
        # Between the judgement and the call, the pool has become somebody else's.
        await azure.take_over(NAME, vmSize=A100, nodeLabels={"team": "blue"})
        there = await source.delete(mine)
        assert isinstance(there, Pool)
        assert there.labels == {"team": "blue"}
    assert "DELETE" not in {request.method for request in azure.sent}


async def test_a_pool_that_changes_between_the_look_and_the_deletion_stays(azure: Azure) -> None:
    async with azure.source() as source:
        await source.launch(REQUEST, A100)
        await azure.finish()
        mine = await source.observe(NAME)
        assert isinstance(mine, Pool)
        azure.before["DELETE"] = lambda: azure.take_over(NAME, vmSize=A100, tags={"a": "b"})
        with pytest.raises(CloudError) as caught:
            await source.delete(mine)
        assert (caught.value.failure.cause, caught.value.failure.way) == (Cause.BUSY, Way.RETRY)
    assert azure.endpoint.pool(NAME) is not None
    assert azure.sent[-1].headers["if-match"]
