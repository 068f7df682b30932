"""What is wrong is told with the right status, and the others are served on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from test.engine.serving import ADAPTED, ANSWER, NAME, QUESTION, Server

MESSAGES = [{"role": "user", "content": QUESTION}]
CHAT, PLAIN = "/v1/chat/completions", "/v1/completions"


@pytest.fixture(autouse=True)
def serves_on(server: Server) -> Iterator[None]:
    """After each, another one's question is answered, and nothing is left under way."""
    yield
    answer = server.post(CHAT, {"messages": MESSAGES}).json()
    assert answer["choices"][0]["message"]["content"] == ANSWER
    assert server.metric("vllm:num_requests_waiting") == 0


@pytest.mark.parametrize(
    ("path", "body", "param", "says"),
    [
        (CHAT, {}, "messages", "messages must be a list"),
        (CHAT, {"messages": []}, "messages", "one message or more"),
        (CHAT, {"messages": ["hello"]}, "messages[0]", "must be an object"),
        (CHAT, {"messages": [{"content": "x"}]}, "messages[0]", "role and content"),
        (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, "messages", "A role is"),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
            "messages[0].content",
            "reads text alone",
        ),
        (CHAT, {"messages": [{"role": "user", "content": "\ud800"}]}, None, "surrogate"),
        (PLAIN, {}, "prompt", "not empty"),
        (PLAIN, {"prompt": ["a", "b"]}, "prompt", "several requests"),
        (PLAIN, {"prompt": "a", "temperature": -0.1}, "temperature", "at least 0"),
        (PLAIN, {"prompt": "a", "temperature": "hot"}, "temperature", "'hot'"),
        (PLAIN, {"prompt": "a", "top_p": 0}, "top_p", "above 0"),
        (PLAIN, {"prompt": "a", "top_k": 1.5}, "top_k", "whole number"),
        (PLAIN, {"prompt": "a", "max_tokens": 0}, "max_tokens", "from 1"),
        (PLAIN, {"prompt": "a", "max_tokens": 5000}, "max_tokens", "room for 1023"),
        (PLAIN, {"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias", "token numbers"),
        (PLAIN, {"prompt": "a", "logit_bias": {"512": 1}}, "logit_bias", "from 0 to 511"),
        (PLAIN, {"prompt": "a", "stop": ["x"] * 10_000}, "stop", "10000 texts"),
        (PLAIN, {"prompt": "a", "stop": [""]}, "stop", "1 to 256 characters"),
        (PLAIN, {"prompt": "a", "n": 2}, "n", "does not do"),
        (PLAIN, {"prompt": "a", "stream": "yes"}, "stream", "true or false"),
        (PLAIN, {"prompt": "a", "nonsense": 1}, "nonsense", "no field 'nonsense'"),
        (PLAIN, {"prompt": "a", "\ud800": 1}, None, "ud800"),
        (PLAIN, {"prompt": "a", "temperature": 10**400}, "temperature", "at most 100"),
        (CHAT, {"messages": MESSAGES, "response_format": {"type": "json_object"}}, None, "not do"),
        (CHAT, {"messages": MESSAGES, "tool_choice": "required"}, "tool_choice", "cannot force"),
        (CHAT, {"messages": MESSAGES, "chat_template_kwargs": {"tokenize": 0}}, None, "template"),
        (CHAT, {"messages": MESSAGES, "chat_template_kwargs": {"messages": []}}, None, "template"),
        (PLAIN, {"prompt": "word " * 3000}, None, "shorten it"),
        (PLAIN, {"prompt": "word " * 1_000_000}, None, "5000000 characters"),
        (CHAT, {"messages": MESSAGES * 2000}, None, "shorten it"),
        (CHAT, {"messages": [{"role": "user", "content": "word " * 3000}]}, None, "shorten"),
        ("/chat", {}, "prompt", "either prompt or messages"),
        ("/chat", {"prompt": "a", "generate_kwargs": {"num_beams": 4}}, None, "num_beams"),
    ],
)
def test_what_is_wrong_is_told(
    server: Server, path: str, body: dict[str, Any], param: str | None, says: str
) -> None:
    response = server.post(path, body)
    said = response.json()["error"]
    assert response.status_code == 400, said
    assert says in said["message"]
    assert said["type"] == "invalid_request_error"
    if param is not None:
        assert said["param"] == param


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"[1]", b"[" * 100_000, b'"text"'])
def test_a_body_that_is_no_json_object_is_refused(server: Server, body: bytes) -> None:
    response = server.post(CHAT, body)
    assert response.status_code == 400
    assert "JSON" in response.json()["error"]["message"]


def test_a_body_without_end_is_refused_before_it_is_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as sock:
        sock.sendall(b"POST /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/chat", 405), ("POST", "/reset", 404)],
)
def test_what_is_not_served_is_said_not_to_be(
    server: Server, method: str, path: str, status: int
) -> None:
    response = httpx.request(method, server.url + path)
    assert response.status_code == status
    assert path in response.json()["error"]["message"]


def test_a_method_that_is_not_taken_is_told_which_are(server: Server) -> None:
    assert httpx.get(server.url + CHAT).headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body",
    [
        {"messages": MESSAGES, "chat_template_kwargs": None, "tools": None, "stop": None},
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": None}, *MESSAGES]},
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": []}, *MESSAGES]},
    ],
)
def test_what_is_null_is_as_if_it_were_left_out(server: Server, body: dict[str, Any]) -> None:
    assert server.post(CHAT, {**body, "max_tokens": 1}).status_code == 200


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cut-off", "it has an adapter_model.safetensors that is cut off."),
        ("of-another-model", "it is of another model: its weights have other sizes."),
        ("no-json", "it has no JSON in adapter_config.json."),
        ("nested", "it has no JSON in adapter_config.json."),
        ("without-weights", ""),
        ("HOME", "its strength, the variable HOME, is no number."),
    ],
)
def test_a_broken_adapter_is_told_when_it_is_asked_for(server: Server, name: str, why: str) -> None:
    response = server.post(CHAT, {"model": name, "messages": MESSAGES})
    said = response.json()["error"]
    assert response.status_code == 404
    assert said["message"].startswith(f"The adapter '{name}' could not be loaded: {why}")
    assert name in server.log.read_text()


def test_an_adapter_that_is_called_like_the_model_does_not_take_its_place(server: Server) -> None:
    assert f"The adapter {NAME} is not served: it has the name of the model." in (
        server.log.read_text()
    )


def test_an_adapter_is_applied_though_others_are_broken(server: Server) -> None:
    answer = server.post(CHAT, {"model": "hello", "messages": MESSAGES}).json()
    assert answer["choices"][0]["message"]["content"] == ADAPTED


def test_a_client_that_reads_nothing_holds_up_nobody(server: Server) -> None:
    body = {"prompt": QUESTION, "stream": True, "max_tokens": 900, "ignore_eos": True}
    data = json.dumps(body).encode()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    with sock:
        sock.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
        head = f"POST {PLAIN} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        sock.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        assert sock.recv(1)
        answer = server.post(CHAT, {"messages": MESSAGES}).json()
        assert answer["choices"][0]["message"]["content"] == ANSWER
        read = sock.recv(1)
        while b"[DONE]" not in read[-20:]:
            piece = sock.recv(4096)
            assert piece, "The slow client's answer was cut off."
            read += piece


def test_ids_that_clients_choose_may_be_the_same(server: Server) -> None:
    first = server.post(CHAT, {"messages": MESSAGES}, **{"x-request-id": "mine"})
    second = server.post(CHAT, {"messages": MESSAGES}, **{"x-request-id": "mine"})
    assert first.headers["x-request-id"] == second.headers["x-request-id"] == "mine"
    assert first.json()["id"] != second.json()["id"]
    assert first.json()["model"] == NAME
