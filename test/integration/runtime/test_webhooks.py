"""Admission webhooks behind TLS, asked by an API server and by strangers."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import io
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from kaito.runtime import (
    Address,
    ApiError,
    Cause,
    Client,
    Denied,
    Forbidden,
    Invalid,
    Key,
    Metrics,
    Object,
    Review,
    SystemClock,
    Webhooks,
    rfc3339,
)
from kaito.runtime.authority import (
    KEPT,
    LIFE,
    MUTATING,
    RENEW_AT,
    UNTRUSTED_SECONDS,
    VALIDATING,
    Authority,
    make_certificate,
    with_authority,
)
from kaito.runtime.serving import Site, serving
from kaito.runtime.webhooks import BODY_LIMIT
from kaito.testing import CapturedMetrics, VirtualClock, eventually
from test.integration.runtime.conftest import CONFIGMAPS

JSON = {"Content-Type": "application/json"}


def configuration(url: str, kind: str) -> Object:
    return {
        "metadata": {"name": "colours"},
        "webhooks": [
            {
                "name": "colours.example.com",
                "clientConfig": {"url": f"{url}/{kind}"},
                "rules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["configmaps"],
                        "operations": ["CREATE", "UPDATE"],
                    }
                ],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "failurePolicy": "Fail",
            }
        ],
    }


def configmap(name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


class Judge:
    """A webhook server whose handlers do what a test tells them to."""

    def __init__(self, client: Client) -> None:
        metrics = Metrics()
        self.metrics = CapturedMetrics(metrics)
        self.asked: list[Review] = []
        self.verdict: Exception | Sequence[str] | None = None
        self.wanted: Object | None = None
        webhooks = Webhooks(metrics=metrics)
        webhooks.validate("/validate", self._validate)
        webhooks.mutate("/mutate", self._mutate)
        self.routes = webhooks.routes()
        self.authority = Authority(
            client,
            ["127.0.0.1"],
            [(VALIDATING, "colours"), (MUTATING, "colours")],
            clock=SystemClock(),
        )
        self.url = ""

    async def _validate(self, review: Review) -> Sequence[str] | None:
        self.asked.append(review)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def _mutate(self, review: Review) -> Object | None:
        return self.wanted and {**(review.object or {}), **self.wanted}

    async def post(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Ask as a stranger."""
        tls = ssl.create_default_context(cadata=self.authority._pem)
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.url}/validate", data=io.BytesIO(body), headers=headers or JSON, ssl=tls
            ) as reply,
        ):
            json = reply.content_type == "application/json"
            return reply.status, await (reply.json() if json else reply.text())


@asynccontextmanager
async def judging(client: Client) -> AsyncIterator[Judge]:
    judge = Judge(client)
    site = Site(address=Address("127.0.0.1", 0), routes=judge.routes, tls=judge.authority.context)
    async with serving({"webhooks": site}) as addresses:
        judge.url = f"https://{addresses['webhooks']}"
        await client.create(VALIDATING, configuration(judge.url, "validate"))
        await client.create(MUTATING, configuration(judge.url, "mutate"))
        await judge.authority.ensure()
        yield judge


@pytest.fixture
async def judge(client: Client) -> AsyncIterator[Judge]:
    async with judging(client) as judge:
        yield judge


async def test_the_api_server_trusts_a_webhook_that_made_its_own_certificate(
    judge: Judge, client: Client
) -> None:
    assert judge.authority.unready() == ""
    await client.create(CONFIGMAPS, configmap("red"))
    assert [(str(asked.key), asked.operation) for asked in judge.asked] == [
        ("default/red", "CREATE")
    ]


async def test_a_refusal_reaches_the_user_with_its_message(judge: Judge, client: Client) -> None:
    judge.verdict = Denied("red is taken")
    with pytest.raises(Forbidden, match="denied the request: red is taken"):
        await client.create(CONFIGMAPS, configmap("red"))


async def test_a_refusal_with_causes_names_the_fields(judge: Judge, client: Client) -> None:
    cause = Cause(reason="FieldValueInvalid", message="is no colour", field="data.colour")
    judge.verdict = Denied("data.colour is no colour", causes=[cause])
    with pytest.raises(Invalid) as caught:
        await client.create(CONFIGMAPS, configmap("red"))
    assert caught.value.causes == (cause,)


async def test_a_warning_reaches_the_user(judge: Judge, client: Client) -> None:
    judge.verdict = ["red is out of fashion"]
    with capture_logs() as logs:
        await client.create(CONFIGMAPS, configmap("red"))
    assert [line["warning"] for line in logs] == ["red is out of fashion"]


async def test_a_mutation_changes_what_is_stored_and_keeps_the_rest(
    judge: Judge, client: Client
) -> None:
    judge.wanted = {"data": {"shade": "dark"}}
    made = await client.create(CONFIGMAPS, {**configmap("red"), "immutable": True})
    assert (made["data"], made["immutable"]) == ({"shade": "dark"}, True)


async def test_a_handler_that_crashes_refuses_its_one_request_and_is_counted(
    judge: Judge, client: Client
) -> None:
    judge.verdict = KeyError("colour")
    with pytest.raises(ApiError, match="/validate failed with KeyError: 'colour'"):
        await client.create(CONFIGMAPS, configmap("red"))
    judge.verdict = None
    await client.create(CONFIGMAPS, configmap("red"))
    assert judge.metrics.value("controller_runtime_webhook_panics_total") == 1


async def test_a_stranger_who_asks_badly_is_told_how(judge: Judge) -> None:
    assert (await judge.post(b"{}"))[0] == 400
    assert (await judge.post(b"{}", {"Content-Type": "text/plain"}))[0] == 415
    assert (await judge.post(b" " * (BODY_LIMIT + 1)))[0] == 413


async def test_a_bundle_that_somebody_resets_is_mended(judge: Judge, client: Client) -> None:
    found = await client.get(VALIDATING, Key("", "colours"))
    stranger = make_certificate(["other"], *_life())[0].replace("kaito", "other")
    found["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(stranger.encode()).decode()
    await client.update(VALIDATING, found)
    await judge.authority.ensure()
    await client.create(CONFIGMAPS, configmap("red"))


async def test_replicas_are_trusted_side_by_side_and_none_undoes_the_other(
    judge: Judge, client: Client
) -> None:
    other = Authority(client, ["127.0.0.1"], [(VALIDATING, "colours")], clock=SystemClock())
    await other.ensure()
    await judge.authority.ensure()
    before = await client.get(VALIDATING, Key("", "colours"))
    await other.ensure()
    after = await client.get(VALIDATING, Key("", "colours"))
    assert before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    await client.create(CONFIGMAPS, configmap("red"))


async def test_a_certificate_is_renewed_before_it_ends_and_trusted_all_the_while(
    client: Client,
) -> None:
    clock = VirtualClock(now=SystemClock().now())
    await client.create(VALIDATING, configuration("https://127.0.0.1:1", "validate"))
    authority = Authority(client, ["127.0.0.1"], [(VALIDATING, "colours")], clock=clock)
    await authority.ensure()
    first = authority._pem
    await clock.advance(LIFE.total_seconds() * RENEW_AT + 1)
    await authority.ensure()
    found = await client.get(VALIDATING, Key("", "colours"))
    bundle = base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"]).decode()
    assert first in bundle
    assert authority._pem in bundle
    assert authority._pem != first
    await clock.advance(LIFE.total_seconds() / 2)
    await authority.ensure()
    found = await client.get(VALIDATING, Key("", "colours"))
    bundle = base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"]).decode()
    assert first not in bundle, rfc3339(clock.now())


async def test_without_a_configuration_it_is_not_ready_and_goes_on_looking(
    client: Client,
) -> None:
    authority = Authority(client, ["127.0.0.1"], [(VALIDATING, "none")], clock=SystemClock())
    await authority.ensure()
    assert (
        authority.unready() == "the ValidatingWebhookConfiguration none does not exist; create it"
    )


async def test_a_configuration_that_is_made_later_is_trusted_within_seconds(
    client: Client,
) -> None:
    clock = VirtualClock(now=SystemClock().now())
    authority = Authority(client, ["127.0.0.1"], [(VALIDATING, "colours")], clock=clock)
    keeping = asyncio.create_task(authority.run())
    await eventually(lambda: "does not exist" in authority.unready())
    await client.create(VALIDATING, configuration("https://127.0.0.1:1", "validate"))
    await eventually(lambda: clock.pending)
    await clock.advance(UNTRUSTED_SECONDS)
    await eventually(lambda: authority.unready() == "")
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


def _life() -> tuple[Any, Any]:
    now = dt.datetime.now(dt.UTC)
    return now - dt.timedelta(hours=1), now + dt.timedelta(days=1)


def test_a_process_that_restarts_for_ever_does_not_fill_the_bundle() -> None:
    bundle, now = "", SystemClock().now()
    for _ in range(KEPT + 5):
        bundle = with_authority(bundle, make_certificate(["x"], *_life())[0], now)
    assert bundle.count("BEGIN CERTIFICATE") == KEPT


async def test_a_call_ends_before_the_server_gives_up() -> None:
    clock = VirtualClock()
    webhooks = Webhooks(clock=clock)

    async def never(_: Review) -> None:
        await asyncio.get_running_loop().create_future()

    webhooks.validate("/slow", never)
    site = Site(address=Address("127.0.0.1", 0), routes=webhooks.routes())
    request = {
        "uid": "u",
        "operation": "CREATE",
        "kind": {"kind": "Widget"},
        "resource": {"resource": "widgets"},
    }
    envelope = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    async with (
        serving({"webhooks": site}) as addresses,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://{addresses['webhooks']}/slow?timeout=5s"
        asking = asyncio.create_task(session.post(url, json=envelope))
        await eventually(lambda: clock.pending)
        await clock.advance(4.5)
        answer = await (await asking).json()
    assert answer["response"]["status"]["message"] == "/slow took longer than 4.5 s."
