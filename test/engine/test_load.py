"""Many requests, and clients that go away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from test.engine.serving import ADAPTED, ANSWER, NAME, PATIENCE, QUESTION, Server, until

MESSAGES = [{"role": "user", "content": QUESTION}]
ENDLESS = {"prompt": QUESTION, "max_tokens": 1000, "ignore_eos": True}
CANCELLED = 1000
KEPT = 8 * 1024**2  # bytes that a process may come to hold besides, for whatever reason


def begin_and_go(server: Server, client: httpx.Client) -> None:
    """Ask for a long answer and leave after its first piece."""
    url = f"{server.url}/v1/completions"
    with client.stream("POST", url, json={**ENDLESS, "stream": True}, timeout=PATIENCE) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())


def idle(server: Server) -> bool:
    return (
        server.metric("vllm:num_requests_running")
        == 0
        == server.metric("vllm:num_requests_waiting")
    )


def test_what_does_not_fit_into_the_queue_is_refused_with_a_time_to_try_again(
    narrow: Server,
) -> None:
    url = f"{narrow.url}/v1/chat/completions"
    body = {"messages": MESSAGES, "max_tokens": 1000, "ignore_eos": True, "stream": True}
    # Of other adapters, too: they take turns, and the cache is everybody's.
    with (
        httpx.Client(timeout=PATIENCE) as client,
        client.stream("POST", url, json=body),
        client.stream("POST", url, json={**body, "model": "hello"}),
    ):
        with pytest.raises(openai.RateLimitError) as raised:
            narrow.client.chat.completions.create(model=NAME, messages=MESSAGES)
        assert raised.value.response.headers["retry-after"] == "1"
        assert narrow.metric("kaito_ratelimit_rejected_total") == 1
        until(lambda: narrow.metric("vllm:num_requests_running") == 1, narrow)
        assert narrow.metric("vllm:num_requests_waiting") == 1
    until(lambda: idle(narrow), narrow)
    answer = narrow.client.chat.completions.create(model=NAME, messages=MESSAGES)
    assert answer.choices[0].message.content == ANSWER


def test_a_client_that_goes_away_takes_its_request_along(server: Server) -> None:
    before = server.metric("vllm:request_success_total", finished_reason="abort")
    with httpx.Client() as client:
        begin_and_go(server, client)
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{server.url}/v1/completions", json=ENDLESS, timeout=0.2)
    until(lambda: idle(server), server)
    assert server.metric("vllm:request_success_total", finished_reason="abort") == before + 2


def test_a_thousand_cancelled_requests_leave_no_memory_behind(server: Server) -> None:
    def cancel(count: int) -> int:
        with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: begin_and_go(server, client), range(count)))
        until(lambda: idle(server), server)
        return server.memory()

    before = cancel(CANCELLED // 5)  # until then it warms up
    assert cancel(CANCELLED) - before < KEPT


def test_adapters_and_the_model_answer_at_the_same_time(server: Server) -> None:
    def ask(name: str) -> str:
        body = {"model": name, "messages": MESSAGES}
        found: str = server.post("/v1/chat/completions", body).json()["choices"][0]["message"][
            "content"
        ]
        return found

    names = [NAME, "hello", "without", "full.strength"] * 6
    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(ask, names))
    expected = {NAME: ANSWER, "hello": ADAPTED, "without": ANSWER, "full.strength": ADAPTED}
    assert answers == [expected[name] for name in names]


def test_requests_with_different_wishes_share_a_batch(server: Server) -> None:
    def ask(place: int) -> str:
        body: dict[str, object] = {"prompt": QUESTION}
        if place % 2:
            body |= {"temperature": 5.0, "seed": place // 2, "max_tokens": 20}
        found: str = server.post("/v1/completions", body).json()["choices"][0]["text"]
        return found

    with ThreadPoolExecutor(16) as pool:
        first, second = list(pool.map(ask, range(16))), list(pool.map(ask, range(16)))
    assert first == second
    assert set(first[::2]) == {f"\n{ANSWER}"}
    assert len(set(first[1::2])) > 1


def test_the_metrics_have_the_names_that_vllm_gives_them(server: Server) -> None:
    before = server.metric("vllm:generation_tokens_total")
    usage = server.post("/v1/completions", {"prompt": QUESTION}).json()["usage"]
    after = server.metric("vllm:generation_tokens_total", model_name=NAME)
    assert after - before == usage["completion_tokens"]
    text = httpx.get(f"{server.url}/metrics").text
    for name in (
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:prompt_tokens_total",
        "vllm:request_success_total",
        "vllm:time_to_first_token_seconds_count",
        "vllm:inter_token_latency_seconds_count",
        "vllm:e2e_request_latency_seconds_count",
    ):
        assert f"\n{name}{{" in text


def test_the_historical_chat_answers_as_it_did(server: Server) -> None:
    def ask(**body: object) -> str:
        found: str = server.post("/chat", body).json()["Result"]
        return found

    greedy = {"do_sample": False}
    assert ask(prompt=QUESTION, generate_kwargs=greedy) == f"{QUESTION}\n{ANSWER}"
    assert ask(prompt=QUESTION, return_full_text=False, generate_kwargs=greedy) == f"\n{ANSWER}"
    assert ask(messages=MESSAGES, generate_kwargs=greedy) == ANSWER
    assert ask(messages=MESSAGES, model="hello", generate_kwargs=greedy) == ADAPTED
    assert ask(prompt=QUESTION).startswith(QUESTION)
