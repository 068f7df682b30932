"""Admission webhooks behind TLS, asked by an API server and by strangers."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
    LIFE,
    MUTATING,
    RENEW_AT,
    VALIDATING,
    Authority,
    GivenAuthority,
    make_certificate,
)
from kaito.runtime.registration import UNTRUSTED_SECONDS
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
    judge.verdict = KeyError("hunter2")
    with pytest.raises(ApiError, match="/validate failed; its log tells why") as refused:
        await client.create(CONFIGMAPS, configmap("red"))
    assert "hunter2" not in str(refused.value), "what it raised is for the log"
    judge.verdict = None
    await client.create(CONFIGMAPS, configmap("red"))
    assert judge.metrics.value("controller_runtime_webhook_panics_total") == 1


async def test_the_log_tells_of_a_crash_under_the_uid_that_the_user_is_told(
    judge: Judge, client: Client
) -> None:
    judge.verdict = KeyError("colour")
    with capture_logs() as logs, pytest.raises(ApiError) as refused:
        await client.create(CONFIGMAPS, configmap("red"))
    (crash,) = (log for log in logs if log["event"] == "webhook crashed")
    assert crash["type"] == "KeyError"
    assert crash["exc_info"]
    assert crash["uid"] in str(refused.value)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {}, 400),
        (b"[" * 5000, {}, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (gzip.compress(b"{}", mtime=0), {"Content-Encoding": "gzip"}, 415),
        (b" " * (BODY_LIMIT + 1), {}, 413),
    ],
)
async def test_a_stranger_who_asks_badly_is_told_how(
    judge: Judge, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert (await judge.post(body, {**JSON, **headers}))[0] == status
    assert judge.asked == []


async def test_who_leaves_in_the_middle_of_a_body_is_no_crash(
    judge: Judge, caplog: pytest.LogCaptureFixture
) -> None:
    where = urlsplit(judge.url)
    tls = ssl.create_default_context(cadata=judge.authority._pem)
    _, writer = await asyncio.open_connection(where.hostname, where.port, ssl=tls)
    head = "POST /validate HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n".encode())
    in_flight = "controller_runtime_webhook_requests_in_flight"
    await eventually(lambda: judge.metrics.value(in_flight) == 1)
    writer.transport.abort()
    await eventually(lambda: judge.metrics.value(in_flight) == 0)
    assert judge.metrics.value("controller_runtime_webhook_requests_total", code="400") == 1
    assert caplog.records == []


async def test_an_object_that_nests_without_end_is_refused_and_not_a_crash(
    judge: Judge, client: Client
) -> None:
    deep = b'{"a":' * 1500 + b"1" + b"}" * 1500
    body = (
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u-1",'
        b'"operation":"CREATE","kind":{},"resource":{},"object":' + deep + b"}}"
    )
    status, answer = await judge.post(body)
    assert (status, answer["response"]["uid"], answer["response"]["allowed"]) == (200, "u-1", False)
    assert judge.metrics.value("controller_runtime_webhook_panics_total") == 0


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


async def test_a_renewal_that_takes_several_looks_is_one_certificate(client: Client) -> None:
    clock = VirtualClock(now=SystemClock().now())
    await client.create(VALIDATING, configuration("https://127.0.0.1:1", "validate"))
    configurations = [(VALIDATING, "colours"), (MUTATING, "colours")]
    authority = Authority(client, ["127.0.0.1"], configurations, clock=clock)
    await clock.advance(LIFE.total_seconds() * RENEW_AT + 1)
    for _ in range(3):
        await authority.ensure()
    assert (await _bundle(client)).count("BEGIN") == 2, "the old one and one new one"


async def test_the_authority_of_given_files_is_trusted_and_followed(
    client: Client, tmp_path: Path
) -> None:
    await client.create(VALIDATING, configuration("https://127.0.0.1:1", "validate"))
    clock, chain = SystemClock(), tmp_path / "tls.crt"
    given = GivenAuthority(client, chain, [(VALIDATING, "colours")], clock=clock)
    await given.ensure()
    assert "cannot be read" in given.unready()
    pem, _ = make_certificate(["x"], *_life())
    chain.write_text(pem)
    await given.ensure()
    assert (given.unready(), await _bundle(client)) == ("", pem)
    beside, _ = make_certificate(["x"], *_life())
    (tmp_path / "ca.crt").write_text(beside)
    await given.ensure()
    assert await _bundle(client) == beside


async def _bundle(client: Client) -> str:
    found = await client.get(VALIDATING, Key("", "colours"))
    return base64.b64decode(found["webhooks"][0]["clientConfig"]["caBundle"]).decode()


REQUEST = {
    "uid": "u",
    "operation": "CREATE",
    "kind": {"kind": "Widget"},
    "resource": {"resource": "widgets"},
}
ENVELOPE = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": REQUEST}


class Slow:
    """A webhook server on a virtual clock."""

    def __init__(self, url: str, clock: VirtualClock, metrics: Metrics) -> None:
        self.url = f"{url}/slow?timeout=5s"
        self.clock = clock
        self.metrics = CapturedMetrics(metrics)

    async def ask(self, session: aiohttp.ClientSession) -> Any:
        async with session.post(self.url, json=ENVELOPE) as reply:
            return (await reply.json())["response"]

    @property
    def late(self) -> float:
        return self.metrics.value("kaito_runtime_webhook_late_total", webhook="/slow")


@asynccontextmanager
async def slow(handler: Callable[[VirtualClock], Awaitable[None]]) -> AsyncIterator[Slow]:
    clock, metrics = VirtualClock(), Metrics()
    webhooks = Webhooks(clock=clock, metrics=metrics)
    webhooks.validate("/slow", lambda _: handler(clock))
    site = Site(address=Address("127.0.0.1", 0), routes=webhooks.routes())
    async with serving({"webhooks": site}) as addresses:
        yield Slow(f"http://{addresses['webhooks']}", clock, metrics)


async def test_a_call_ends_before_the_server_gives_up() -> None:
    entered = asyncio.Event()

    async def never(_: VirtualClock) -> None:
        entered.set()
        await asyncio.get_running_loop().create_future()

    async with slow(never) as server, aiohttp.ClientSession() as session:
        asking = asyncio.create_task(server.ask(session))
        await eventually(entered.is_set)
        await server.clock.advance(4.5)
        answer = await asking
        assert answer["status"]["message"] == "/slow took longer than 4.5 s."
        assert server.late == 1


async def test_a_handler_that_never_awaits_is_not_cut_off_but_found_out() -> None:
    async def block(clock: VirtualClock) -> None:
        clock._move(clock.monotonic() + 6)

    async with slow(block) as server, aiohttp.ClientSession() as session:
        with capture_logs() as logs:
            assert (await server.ask(session))["allowed"]
        assert server.late == 1
        (told,) = (log for log in logs if log["event"] == "webhook late")
        assert (told["took"], told["uid"]) == (6, "u")


async def test_a_handler_in_time_is_not_counted_as_late() -> None:
    async def quick(_: VirtualClock) -> None:
        return None

    async with slow(quick) as server, aiohttp.ClientSession() as session:
        await server.ask(session)
        assert server.late == 0


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def quick(_: VirtualClock) -> None:
        return None

    arrived = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        arrived.set()
        await asyncio.get_running_loop().create_future()

    async with slow(quick) as server, aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.post(server.url, data=stalled(), headers=JSON))
        await eventually(lambda: arrived.is_set() and server.clock.pending)
        await server.clock.advance(4.5)
        assert (await asking).status == 408
