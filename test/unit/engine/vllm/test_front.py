"""What stands in front of vLLM: the historical API, a bound and a key. vLLM's application is a
stand-in that records what reaches it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaito.engine.vllm.adapters import LISTED
from kaito.engine.vllm.front import LONGEST, Front, Message, Receive, Scope, Send
from kaito.engine.vllm.handover import UP

KEY = {"VLLM_API_KEY": "s3cret"}
BEARER = [(b"authorization", b"Bearer s3cret")]
CONFIG = SimpleNamespace(
    scheduler_config=SimpleNamespace(max_num_seqs=1),
    parallel_config=SimpleNamespace(data_parallel_size=1, _api_process_count=1),
)
ANSWER = {"choices": [{"text": " upon", "message": {"content": "Hello."}}]}


class VllmStandIn:
    """Answers everything with one answer, once it may."""

    def __init__(self, status: int = 200, answer: object = ANSWER) -> None:
        self.status, self.answer = status, answer
        self.seen: list[tuple[str, object]] = []
        self.headers: dict[bytes, bytes] = {}
        self.may = asyncio.Event()
        self.may.set()
        self._arrived = asyncio.Semaphore(0)

    async def asked(self, times: int) -> None:
        """Until so many more requests have arrived."""
        for _ in range(times):
            await asyncio.wait_for(self._arrived.acquire(), 10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.startup.complete"})
            return
        body = (await receive()).get("body", b"")
        self.headers = dict(scope["headers"])
        self.seen.append((scope["path"], json.loads(body) if body else None))
        self._arrived.release()
        await self.may.wait()
        told = json.dumps(self.answer).encode()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": told[:5], "more_body": True})
        await send({"type": "http.response.body", "body": told[5:]})


class Client:
    """Speaks ASGI to what stands in front."""

    def __init__(self, app: VllmStandIn, variables: Mapping[str, str] | None = None) -> None:
        self.registry = CollectorRegistry()
        self.front = Front(app, variables=variables or {}, registry=self.registry)

    async def ask(
        self, path: str, body: object = None, *, method: str = "POST", headers: Any = ()
    ) -> tuple[int, Any, dict[bytes, bytes]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        pieces = [raw[: len(raw) // 2], raw[len(raw) // 2 :]] if path == "/chat" else [raw]
        messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1}
            for n, piece in enumerate(pieces)
        ]
        sent: list[Message] = []

        async def receive() -> Message:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"content-length", b"1"), (b"x-request-id", b"7"), *headers],
            "app": SimpleNamespace(state=SimpleNamespace(vllm_config=CONFIG)),
        }
        await self.front(scope, receive, send)
        told = b"".join(each.get("body", b"") for each in sent[1:])
        return sent[0]["status"], json.loads(told), dict(sent[0]["headers"])


async def test_what_is_vllms_passes_untouched() -> None:
    app = VllmStandIn()
    status, answer, _ = await Client(app).ask("/v1/completions", {"prompt": "x"})
    assert (status, answer) == (200, ANSWER)
    assert app.seen == [("/v1/completions", {"prompt": "x"})]


async def test_the_historical_api_is_asked_of_vllms_own() -> None:
    app = VllmStandIn()
    status, answer, _ = await Client(app).ask("/chat", {"prompt": "Once"})
    assert (status, answer) == (200, {"Result": "Once upon"})
    ((path, body),) = app.seen
    assert path == "/v1/completions"
    assert body == {"max_tokens": 200, "top_k": 10, "prompt": "Once"}
    assert app.headers[b"content-length"] == str(len(json.dumps(body))).encode()
    assert app.headers[b"content-type"] == b"application/json"
    assert app.headers[b"x-request-id"] == b"7"


async def test_messages_go_to_the_chat() -> None:
    app = VllmStandIn()
    messages = [{"role": "user", "content": "Hi"}]
    assert (await Client(app).ask("/chat", {"messages": messages}))[1] == {"Result": "Hello."}
    assert app.seen[0][0] == "/v1/chat/completions"


async def test_an_error_of_vllm_is_told_as_it_is() -> None:
    wrong = {"error": {"message": "too long"}}
    status, answer, _ = await Client(VllmStandIn(400, wrong)).ask("/chat", {"prompt": "x"})
    assert (status, answer) == (400, wrong)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "no JSON"),
        (b"[" * 200_000, 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        ({"prompt": ""}, 400, "not empty"),
        (b" " * (LONGEST + 2), 413, "longer than"),
    ],
)
async def test_what_is_no_historical_request_is_refused(
    body: object, status: int, words: str
) -> None:
    app = VllmStandIn()
    code, answer, _ = await Client(app).ask("/chat", body)
    assert code == status
    assert words in answer["error"]["message"]
    assert app.seen == []


async def test_more_than_may_wait_are_told_to_come_back() -> None:
    app = VllmStandIn()
    app.may.clear()
    client = Client(app)
    async with asyncio.TaskGroup() as crew:
        waiting = [crew.create_task(client.ask("/v1/completions", {"n": n})) for n in range(2)]
        await app.asked(2)
        status, answer, headers = await client.ask("/chat", {"prompt": "x"})
        assert status == 429
        assert answer["error"]["code"] == "queue_full"
        assert headers[b"retry-after"] == b"1"
        # Who only looks is let in all the same.
        assert (await asyncio.wait_for(_freed(app, client), 5))[0] == 200
    assert [each.result()[0] for each in waiting] == [200, 200]
    assert client.registry.get_sample_value("kaito_ratelimit_rejected_total") == 1
    assert (await client.ask("/v1/completions", {"n": 3}))[0] == 200


async def _freed(app: VllmStandIn, client: Client) -> tuple[int, Any, dict[bytes, bytes]]:
    app.may.set()
    return await client.ask("/health", method="GET")


async def test_a_place_is_free_again_after_a_client_has_gone() -> None:
    app = VllmStandIn()
    app.may.clear()
    client = Client(app)
    gone = [asyncio.create_task(client.ask("/v1/completions", {"n": n})) for n in range(2)]
    await app.asked(2)
    for each in gone:
        each.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    app.may.set()
    assert (await client.ask("/v1/completions", {"n": 3}))[0] == 200


async def test_nothing_is_refused_where_there_is_no_bound() -> None:
    app = VllmStandIn()
    app.may.clear()
    client = Client(app, {"KAITO_DISABLE_RATE_LIMIT": "1"})
    async with asyncio.TaskGroup() as crew:
        asked = [crew.create_task(client.ask("/v1/completions", {"n": n})) for n in range(20)]
        await app.asked(20)
        app.may.set()
    assert {each.result()[0] for each in asked} == {200}


@pytest.mark.parametrize("path", ["/chat", "/v1/completions", "/tokenize", "/invocations", "/docs"])
async def test_a_key_guards_everything_that_the_model_answers(path: str) -> None:
    app = VllmStandIn()
    client = Client(app, KEY)
    body = {"prompt": "x"}
    for headers in ([], [(b"authorization", b"Bearer s3cre")], [(b"authorization", b"s3cret")]):
        status, answer, told = await client.ask(path, body, headers=headers)
        assert status == 401
        assert answer["error"]["code"] == "invalid_api_key"
        assert told[b"www-authenticate"] == b"Bearer"
        assert "s3cret" not in json.dumps(answer)
    assert app.seen == []
    assert (await client.ask(path, body, headers=BEARER))[0] == 200


@pytest.mark.parametrize("path", ["/health", "/metrics", "/ping", "/version"])
async def test_probes_and_metrics_need_no_key(path: str) -> None:
    assert (await Client(VllmStandIn(), KEY).ask(path, method="GET"))[0] == 200


async def test_the_engine_answers_when_nobody_else_does_any_more(tmp_path: Path) -> None:
    path, sent = str(tmp_path / "up"), list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def heard(_: asyncio.StreamReader, speaker: asyncio.StreamWriter) -> None:
        assert sent == []
        speaker.close()
        await speaker.wait_closed()

    front = Front(VllmStandIn(), variables={UP: path}, registry=CollectorRegistry())
    async with await asyncio.start_unix_server(heard, path):
        await front({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}]


class Models:
    """vLLM's list of models, which takes only one of the adapters."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def load_lora_adapter(self, request: Any) -> Any:
        self.asked.append((request.lora_name, request.lora_path))
        if request.lora_name == "law":
            return "Success"
        return SimpleNamespace(error=SimpleNamespace(message="not of this model"))


async def test_adapters_are_loaded_first_and_one_that_fails_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = Models()
    variables = {LISTED: '[["art", "/a"], ["law", "/b"]]'}
    front = Front(VllmStandIn(), variables=variables, registry=CollectorRegistry())
    sent: list[Message] = []

    async def send(message: Message) -> None:
        assert len(models.asked) == 2
        sent.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    app = SimpleNamespace(state=SimpleNamespace(openai_serving_models=models))
    await front({"type": "lifespan", "app": app}, receive, send)
    assert models.asked == [("art", "/a"), ("law", "/b")]
    assert len(sent) == 1
    assert caplog.messages == ["Adapter art is not served: not of this model"]
