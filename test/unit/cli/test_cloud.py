"""The cloud and the cluster that commands work for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kaito.cli.cloud import settings_of
from kaito.cli.parser import CommandError
from kaito.local.apiserver import ApiServer
from kaito.local.transport import InProcess
from kaito.runtime import Client, ExitCode

ADMIN = "letmein"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    server = ApiServer(tokens={ADMIN: "admin"})
    await server.start()
    yield Client(InProcess(server, token=ADMIN))
    await server.aclose()


async def test_settings_that_are_missing_end_a_process_for_good(client: Client) -> None:
    with pytest.raises(CommandError, match="AZURE_CLUSTER_NAME is missing: set it") as caught:
        await settings_of(client, {"AZURE_CREDENTIAL": "default"})
    assert caught.value.code == ExitCode.MISCONFIGURED
