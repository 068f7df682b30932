"""The webhook of `kaito manager` outside of a cluster: who makes the configuration, who removes it,
and what an installed one means."""

from __future__ import annotations

import argparse
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaito.catalog.catalog import load
from kaito.cli.parser import CommandError, build_parser
from kaito.cli.webhook import add_webhook
from kaito.controllers.workspace.kinds import SERVICES, WORKSPACES
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.webhook import CONFIGURATION, PATH, installation
from kaito.local.transport import InProcess
from kaito.runtime import (
    ApiError,
    CannotListen,
    Client,
    ClusterConfig,
    Invalid,
    Key,
    Manager,
    NotFound,
    Object,
    Resource,
)
from kaito.runtime.authority import VALIDATING, make_certificate
from kaito.runtime.registration import CHECK_SECONDS
from kaito.testing import CapturedMetrics, VirtualClock, eventually, running
from test.integration.workspace.stage import TOKEN, Stage, W
from test.integration.workspace.wrong import SERVE, WRONG

UNKNOWN = next(wrong for wrong in WRONG if "no model that" in wrong.words).manifest
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
OUTSIDE = ClusterConfig(server="https://127.0.0.1:1")


class Process:
    """A manager with a webhook, as one process has it."""

    def __init__(self, scene: Stage, *options: str) -> None:
        self.clock = VirtualClock(now=datetime.now(UTC).timestamp())
        client = Client(InProcess(scene.server, token=TOKEN), field_manager="kaito-workspace")
        self.metrics = CapturedMetrics(client.metrics)
        self.manager = Manager(client, name="kaito-workspace", clock=self.clock)
        self.arguments: argparse.Namespace = build_parser().parse_args(["manager", *options])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as resources:
            await add_webhook(
                self.manager,
                resources,
                self.arguments,
                OUTSIDE,
                catalog=load(),
                settings=Settings(),
            )
            async with running(self.manager):
                yield

    @property
    def url(self) -> str:
        return f"https://{self.manager.addresses['webhook']}{PATH}"

    async def ready(self) -> None:
        """Return when the API server trusts it."""
        await eventually(lambda: not self.manager.checks.ready["webhook"]())


async def client_config(scene: Stage) -> Object:
    found = await scene.client.get(VALIDATING, Key("", CONFIGURATION))
    (webhook,) = found["webhooks"]
    config: Object = webhook["clientConfig"]
    return config


async def refused(scene: Stage) -> bool:
    """Whether the API server asks somebody who knows the models."""
    dry = scene.client.with_options(dry_run=True)
    try:
        await dry.create(WORKSPACES, UNKNOWN)
    except Invalid:
        return True
    return False


async def test_it_is_asked_while_it_runs_and_nothing_is_left(scene: Stage) -> None:
    process = Process(scene, "--webhook-url", "https://127.0.0.1:0")
    async with process.running():
        await process.ready()
        assert (await client_config(scene))["url"] == process.url
        assert await refused(scene)
        await process.clock.advance(10 * CHECK_SECONDS)
        applied = process.metrics.value("rest_client_requests_total", method="PATCH")
        assert applied == 1, "what is right is left alone"
    with pytest.raises(NotFound):
        await client_config(scene)


async def test_one_that_cannot_listen_leaves_the_running_one_alone(scene: Stage) -> None:
    first = Process(scene, "--webhook-url", "https://127.0.0.1:0")
    async with first.running():
        await first.ready()
        taken = str(first.manager.addresses["webhook"])
        second = Process(scene, "--webhook-url", f"https://{taken}")
        with pytest.raises(CannotListen):
            async with second.running():
                pass
        assert await refused(scene)


async def test_the_first_is_asked_again_when_the_second_has_ended(scene: Stage) -> None:
    first = Process(scene, "--webhook-url", "https://127.0.0.1:0")
    second = Process(scene, "--webhook-url", "https://127.0.0.1:0")
    async with first.running():
        await first.ready()
        async with second.running():
            await second.ready()
            assert (await client_config(scene))["url"] == second.url

            async def noticed() -> bool:
                await first.clock.advance(1)
                return second.url in first.manager.checks.ready["webhook"]()

            await eventually(noticed)
        with pytest.raises(NotFound):
            await client_config(scene)

        async def back() -> bool:
            await first.clock.advance(1)
            return not first.manager.checks.ready["webhook"]()

        await eventually(back)
        assert await refused(scene)


async def test_over_an_installed_one_it_says_the_way_out(scene: Stage) -> None:
    await install(scene)
    with pytest.raises(CommandError) as told:
        async with Process(scene, "--webhook-url", "https://127.0.0.1:0").running():
            pass
    assert str(told.value) == (
        "--webhook-url: the ValidatingWebhookConfiguration validation.workspaces.kaito.sh is "
        "installed for the Service kaito-system/kaito-webhook; remove it with kubectl delete "
        "validatingwebhookconfigurations validation.workspaces.kaito.sh, or leave --webhook-url "
        "out."
    )
    assert "service" in await client_config(scene)


async def test_a_place_that_is_none_is_told_before_anything_is_made(scene: Stage) -> None:
    with pytest.raises(CommandError, match=r"^--webhook-url: 'https://h:99999' is no place"):
        async with Process(scene, "--webhook-url", "https://h:99999").running():
            pass


async def test_given_certificates_are_served_and_their_authority_is_trusted(
    scene: Stage, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    pem, chain = make_certificate(["127.0.0.1"], now - timedelta(hours=1), now + timedelta(days=1))
    (tmp_path / "tls.crt").write_text(pem)
    (tmp_path / "tls.key").write_bytes(chain.removeprefix(pem.encode()))
    options = ("--webhook-url", "https://127.0.0.1:0", "--webhook-certificate", str(tmp_path))
    process = Process(scene, *options)
    async with process.running():
        await process.ready()
        assert base64.b64decode((await client_config(scene))["caBundle"]).decode() == pem
        assert await refused(scene)
    with pytest.raises(NotFound):
        await client_config(scene)


# What is installed


async def install(scene: Stage) -> None:
    """What `kubectl apply -f config/webhook/webhook.yaml` does."""
    service, configuration = installation()
    name = service["metadata"]["namespace"]
    await scene.client.create(NAMESPACES, {"metadata": {"name": name}})
    await scene.client.create(SERVICES, service)
    await scene.client.create(VALIDATING, configuration)


async def test_installed_without_a_manager_it_locks_writes_but_no_deletion(scene: Stage) -> None:
    await scene.client.create(WORKSPACES, SERVE)
    finalized = {"metadata": {"finalizers": ["workspace.finalizer.kaito.sh"]}}
    await scene.client.patch(WORKSPACES, W, finalized)
    await install(scene)
    with pytest.raises(ApiError, match="failed calling webhook"):
        await scene.client.patch(WORKSPACES, W, {"metadata": {"labels": {"a": "b"}}})
    await scene.client.delete(WORKSPACES, W)
    await scene.client.patch(WORKSPACES, W, {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await scene.client.get(WORKSPACES, W)


async def test_the_way_out_of_the_lock_is_to_delete_the_configuration(scene: Stage) -> None:
    await install(scene)
    with pytest.raises(ApiError, match="failed calling webhook"):
        await scene.client.create(WORKSPACES, SERVE)
    await scene.client.delete(VALIDATING, Key("", CONFIGURATION))
    await scene.client.create(WORKSPACES, SERVE)
