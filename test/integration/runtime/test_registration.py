"""Configurations that processes make for themselves: shared, mended, and taken away at the end."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from kaito.runtime import Client, Key, NotFound, Object
from kaito.runtime.authority import VALIDATING
from kaito.runtime.registration import Registration
from kaito.testing import CapturedMetrics, VirtualClock

NAME = "colours"
RULE = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
    "operations": ["CREATE"],
    "scope": "*",
}


def configuration(client_config: Object) -> Object:
    return {
        "apiVersion": VALIDATING.api_version,
        "kind": VALIDATING.kind,
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "colours.example.com",
                "clientConfig": client_config,
                "rules": [RULE],
                "failurePolicy": "Ignore",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


class Trust:
    """An authority that notes how often it was called upon."""

    def __init__(self) -> None:
        self.looks = 0

    def unready(self) -> str:
        return ""

    async def ensure(self) -> None:
        self.looks += 1


class Process:
    """One process that listens at a port."""

    def __init__(self, client: Client, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}/check"
        self.trust = Trust()
        self.registration = Registration(
            client,
            VALIDATING,
            NAME,
            lambda: configuration({"url": self.url}),
            self.trust,
            clock=VirtualClock(),
        )


@pytest.fixture
def one(client: Client) -> Process:
    return Process(client, 1001)


@pytest.fixture
def two(client: Client) -> Process:
    return Process(client, 1002)


async def found(client: Client) -> Object:
    return await client.get(VALIDATING, Key("", NAME))


async def asked(client: Client) -> str:
    """Where the API server is led to."""
    (webhook,) = (await found(client))["webhooks"]
    url: str = webhook["clientConfig"].get("url", "")
    return url


async def test_a_configuration_is_made_and_then_left_alone(client: Client, one: Process) -> None:
    assert one.registration.unready() == "no webhook configuration leads to this process yet"
    await one.registration.ensure()
    assert (one.registration.unready(), one.trust.looks) == ("", 1)
    await one.registration.ensure()
    metrics = CapturedMetrics(client.metrics)
    assert metrics.value("rest_client_requests_total", method="PATCH") == 1


async def test_one_that_somebody_deletes_or_changes_is_mended(client: Client, one: Process) -> None:
    await one.registration.ensure()
    await client.delete(VALIDATING, Key("", NAME))
    await one.registration.ensure()
    changed = await found(client)
    changed["webhooks"][0]["failurePolicy"] = "Fail"
    await client.update(VALIDATING, changed)
    await one.registration.ensure()
    assert (await found(client))["webhooks"][0]["failurePolicy"] == "Ignore"


async def test_the_last_to_start_is_asked_and_the_first_again_when_that_ends(
    client: Client, one: Process, two: Process
) -> None:
    await one.registration.ensure()
    await two.registration.ensure()
    with capture_logs() as logs:
        await one.registration.ensure()
        await one.registration.ensure()
    assert len(logs) == 1, "it is told once"
    assert two.url in one.registration.unready()
    assert one.trust.looks == 1, "the trust of another's configuration is not ours to change"
    assert await asked(client) == two.url
    await two.registration.withdraw()
    await one.registration.ensure()
    assert one.registration.unready() == ""
    assert await asked(client) == one.url


async def test_only_a_configuration_that_leads_here_is_removed(
    client: Client, one: Process, two: Process
) -> None:
    await one.registration.ensure()
    await two.registration.ensure()
    await one.registration.withdraw()
    assert await asked(client) == two.url
    await two.registration.withdraw()
    with pytest.raises(NotFound):
        await found(client)
    await two.registration.withdraw()


async def test_who_never_came_to_listen_removes_nothing(client: Client, one: Process) -> None:
    await one.registration.ensure()
    await Process(client, 1001).registration.withdraw()
    assert await asked(client) == one.url


async def test_what_a_killed_process_left_is_taken_over_and_removed(
    client: Client, one: Process
) -> None:
    await Process(client, 1001).registration.ensure()
    await one.registration.ensure()
    await one.registration.withdraw()
    with pytest.raises(NotFound):
        await found(client)


async def test_what_is_installed_for_a_service_is_never_touched(
    client: Client, one: Process
) -> None:
    service = {"name": "s", "namespace": "n", "path": "/check"}
    await client.create(VALIDATING, configuration({"service": service}))
    said = (
        "the ValidatingWebhookConfiguration colours is installed for the Service n/s; remove it "
        "with kubectl delete validatingwebhookconfigurations colours"
    )
    assert await one.registration.obstacle() == said
    await one.registration.ensure()
    assert (one.registration.unready(), one.trust.looks) == (said, 0)
    await one.registration.withdraw()
    assert (await found(client))["webhooks"][0]["clientConfig"]["service"]["name"] == "s"
