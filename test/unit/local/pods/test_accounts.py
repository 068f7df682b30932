"""Tokens are kept while they are good, and renewed before they expire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from kaito.local.apiserver import ApiServer
from kaito.local.kinds import SERVICE_ACCOUNTS
from kaito.local.pods.accounts import Accounts
from kaito.local.transport import InProcess
from kaito.runtime import Client, NotFound, Object

if TYPE_CHECKING:
    from conftest import ManualClock

POD: Object = {"metadata": {"namespace": "default", "name": "p", "uid": "u"}, "spec": {}}


@pytest.fixture
async def accounts(clock: ManualClock) -> AsyncIterator[Accounts]:
    """Of a server with the account default/default."""
    server = ApiServer(tokens={"token": "admin"}, clock=clock, controllers=False)
    await server.start()
    try:
        client = Client(InProcess(server, token="token"))
        metadata = {"namespace": "default", "name": "default"}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
        await client.create(SERVICE_ACCOUNTS, account)
        yield Accounts(client, clock)
    finally:
        await server.aclose()


async def test_a_token_is_renewed_when_most_of_its_life_is_over(
    accounts: Accounts, clock: ManualClock
) -> None:
    first = await accounts.token(POD, lasts=1000)
    assert accounts.due("u") == 800
    clock.advance(799)
    assert await accounts.token(POD, lasts=1000) == first
    clock.advance(1)
    assert accounts.due("u") == 0
    assert await accounts.token(POD, lasts=1000) != first
    assert accounts.due("u") == 800


async def test_each_audience_has_a_token_of_its_own(accounts: Accounts) -> None:
    assert await accounts.token(POD, "one") != await accounts.token(POD, "two")


async def test_a_pod_that_has_gone_has_none(accounts: Accounts) -> None:
    await accounts.token(POD)
    accounts.forget("u")
    assert accounts.due("u") is None


async def test_an_account_that_is_not_there_is_an_error(accounts: Accounts) -> None:
    other = {**POD, "spec": {"serviceAccountName": "none"}}
    with pytest.raises(NotFound):
        await accounts.token(other)
