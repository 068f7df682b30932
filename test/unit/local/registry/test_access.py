"""Who is let in, with what."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from kaito.local.registry.access import Action, Scope, read_scopes
from test.unit.local.registry.registry_client import (
    ADMIN,
    READER,
    RegistryClient,
    basic,
    digest_of,
    error,
    image,
    read,
)

if TYPE_CHECKING:
    from test.unit.local.conftest import ManualClock


@pytest.fixture
def registry(clock: ManualClock, tmp_path: Path) -> RegistryClient:
    return RegistryClient(clock, tmp_path)


async def token(registry: RegistryClient, auth: str, *scopes: str) -> str:
    """An Authorization header with a token for these scopes."""
    answer = await registry.ask("GET", "token", auth=auth, query=[("scope", s) for s in scopes])
    assert answer.status == 200
    return f"Bearer {read(answer)['token']}"


def challenge(response: Any) -> dict[str, str]:
    scheme, _, words = response.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    return dict(re.findall(r'(\w+)="([^"]*)"', words))


async def test_a_stranger_is_told_where_to_get_a_token(registry: RegistryClient) -> None:
    base = await registry.ask("GET", "", auth="")
    assert error(base) == (401, "UNAUTHORIZED")
    assert challenge(base) == {"realm": "https://127.0.0.1:6443/v2/token", "service": "test"}
    pull = await registry.ask("GET", "a/b/manifests/v1", auth="")
    assert challenge(pull)["scope"] == "repository:a/b:pull"
    push = await registry.ask("POST", "a/b/blobs/uploads/", auth="")
    assert challenge(push)["scope"] == "repository:a/b:pull,push"
    delete = await registry.ask("DELETE", "a/b/manifests/v1", auth="")
    assert challenge(delete)["scope"] == "repository:a/b:delete"
    catalog = await registry.ask("GET", "_catalog", auth="")
    assert challenge(catalog)["scope"] == "registry:catalog:*"


async def test_a_token_opens_what_it_was_asked_for_and_nothing_else(
    registry: RegistryClient,
) -> None:
    await registry.push_image("a")
    await registry.push_image("b")
    auth = await token(registry, basic(ADMIN), "repository:a:pull")
    assert (await registry.ask("GET", "", auth=auth)).status == 200
    assert (await registry.ask("GET", "a/manifests/v1", auth=auth)).status == 200
    for method, path in (
        ("GET", "b/manifests/v1"),
        ("POST", "a/blobs/uploads/"),
        ("DELETE", "a/manifests/v1"),
        ("GET", "_catalog"),
    ):
        refused = await registry.ask(method, path, auth=auth)
        assert error(refused) == (401, "UNAUTHORIZED")
        assert challenge(refused)["error"] == "insufficient_scope"


async def test_a_reader_gets_no_token_for_pushing(registry: RegistryClient) -> None:
    await registry.push_image("a")
    auth = await token(registry, basic(READER), "repository:a:pull,push", "registry:catalog:*")
    assert (await registry.ask("GET", "a/manifests/v1", auth=auth)).status == 200
    assert (await registry.ask("GET", "_catalog", auth=auth)).status == 200
    assert (await registry.ask("POST", "a/blobs/uploads/", auth=auth)).status == 401
    assert (await registry.ask("POST", "a/blobs/uploads/", auth=basic(READER))).status == 401


async def test_a_mount_needs_the_right_to_read_where_it_is_from(
    registry: RegistryClient,
) -> None:
    found = await registry.push_blob("secret", b"x")
    query = {"mount": found, "from": "secret"}
    blind = await token(registry, basic(ADMIN), "repository:mine:pull,push")
    answer = await registry.ask("POST", "mine/blobs/uploads/", auth=blind, query=query)
    assert answer.status == 202
    seeing = await token(
        registry, basic(ADMIN), "repository:mine:pull,push", "repository:secret:pull"
    )
    answer = await registry.ask("POST", "mine/blobs/uploads/", auth=seeing, query=query)
    assert answer.status == 201


@pytest.mark.parametrize(
    "auth",
    [
        "",
        "Basic !",
        f"{basic(ADMIN)}x",
        "Bearer x.y.z",
        "Digest a",
        "Basic é",
        "Bearer é",
        "Basic \udcff",
        "Bearer a.b.\udcff",
    ],
)
async def test_wrong_credentials_open_nothing(registry: RegistryClient, auth: str) -> None:
    assert (await registry.ask("GET", "a/tags/list", auth=auth)).status == 401


async def test_a_wrong_password_gets_no_token(registry: RegistryClient) -> None:
    wrong = "Basic " + base64.b64encode(b"admin:guess").decode()
    assert error(await registry.ask("GET", "token", auth=wrong)) == (401, "UNAUTHORIZED")


async def test_a_token_ends(registry: RegistryClient, clock: ManualClock) -> None:
    auth = await token(registry, basic(ADMIN), "repository:a:pull")
    clock.advance(299)
    assert (await registry.ask("GET", "", auth=auth)).status == 200
    clock.advance(1)
    ended = await registry.ask("GET", "", auth=auth)
    assert challenge(ended)["error"] == "invalid_token"


async def test_a_token_that_was_changed_or_made_elsewhere_is_none(
    registry: RegistryClient, clock: ManualClock, tmp_path: Path
) -> None:
    auth = await token(registry, basic(READER), "repository:a:pull")
    head, claims, signature = auth.removeprefix("Bearer ").split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    told["access"][0]["actions"].append("push")
    forged = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    for changed in (f"{head}.{forged}.{signature}", f"{head}.{claims}.", claims, "", "."):
        answer = await registry.ask("GET", "a/tags/list", auth=f"Bearer {changed}")
        assert answer.status == 401
    other = RegistryClient(clock, tmp_path / "other")
    assert (await other.ask("GET", "", auth=auth)).status == 401


async def test_a_token_is_had_as_oauth_has_it(registry: RegistryClient) -> None:
    form = {
        "grant_type": "password",
        "username": "admin",
        "password": "secret",
        "scope": "repository:a:pull,push",
    }
    answer = await registry.ask("POST", "token", urlencode(form).encode(), auth="")
    assert read(answer)["scope"] == "repository:a:pull,push"
    auth = f"Bearer {read(answer)['access_token']}"
    assert (await registry.ask("POST", "a/blobs/uploads/", auth=auth)).status == 202
    for change in ({"password": "x"}, {"grant_type": "refresh_token"}):
        body = urlencode({**form, **change}).encode()
        assert (await registry.ask("POST", "token", body, auth="")).status in (401, 405)


async def test_everybody_may_pull_where_that_is_allowed(clock: ManualClock, tmp_path: Path) -> None:
    registry = RegistryClient(clock, tmp_path, anonymous_pull=True)
    await registry.push_image("a")
    assert (await registry.ask("GET", "", auth="")).status == 401, "so that others log in"
    auth = await token(registry, "", "repository:a:pull,push")
    assert (await registry.ask("GET", "a/manifests/v1", auth=auth)).status == 200
    assert (await registry.ask("PUT", "a/manifests/v1", auth=auth)).status == 401
    assert (await registry.ask("GET", "_catalog", auth=auth)).status == 401


async def test_nothing_is_read_of_a_body_that_is_not_let_in(registry: RegistryClient) -> None:
    async def body() -> Any:
        raise AssertionError("it was read")
        yield b""

    query = {"digest": digest_of(b"")}
    answer = await registry.ask("POST", "a/blobs/uploads/", body(), auth="", query=query)
    assert answer.status == 401


async def test_the_order_of_refusals_tells_a_stranger_nothing(registry: RegistryClient) -> None:
    await registry.push_image("a")
    there = await registry.ask("GET", "a/manifests/v1", auth="")
    absent = await registry.ask("GET", "a/manifests/v9", auth="")
    assert read(there) == read(absent)
    assert (await registry.push("a", "v1", image())).status == 201


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("repository:a/b:pull", [Scope.repository("a/b", Action.PULL)]),
        ("repository:h:5000/a:pull,x", [Scope.repository("h:5000/a", Action.PULL)]),
        ("registry:catalog:*", [Scope.catalog()]),
        ("nonsense", []),
        ("repository::pull", []),
        ("", []),
    ],
)
def test_scopes_are_read_as_clients_write_them(text: str, scopes: list[Scope]) -> None:
    assert read_scopes([text]) == scopes
