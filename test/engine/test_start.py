"""From the first moment to the last."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from test.engine.serving import (
    NAME,
    PATIENCE,
    QUESTION,
    command,
    free_port,
    running,
    until,
    variables,
)


class Hub(BaseHTTPRequestHandler):
    """A hub whose model is gated, as Hugging Face says it, once it is let answer."""

    answers = threading.Event()

    def do_HEAD(self) -> None:
        self.answers.wait(PATIENCE)
        self.send_response(401)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def hub() -> Iterator[str]:
    """Its address."""
    Hub.answers.set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Hub.answers.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def loading(hub: str, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A server whose model is on its way until the hub answers."""
    Hub.answers.clear()
    port = free_port()
    line = command("somebody/large", port, "--allow_remote_files", f"--cache_dir={tmp_path}")
    with (
        subprocess.Popen(
            line, env=variables(HF_ENDPOINT=hub, HF_HUB_OFFLINE="0"), stderr=subprocess.DEVNULL
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):

        def answers() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return bool(client.get("/health"))
            return process.poll() is not None

        until(answers)
        yield process, client
        process.kill()


def test_probes_and_questions_are_told_to_come_back_until_the_model_is_there(
    loading: tuple[subprocess.Popen[bytes], httpx.Client],
) -> None:
    process, client = loading
    health = client.get("/health")
    assert health.status_code == 503
    assert health.json()["status"] == "Loading"
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    assert f'kaito_model_loaded_ratio{{model_name="{NAME}"}} 0.0' in metrics.text
    assert f'vllm:num_requests_running{{model_name="{NAME}"}} 0.0' in metrics.text
    for path in ("/chat", "/v1/chat/completions", "/v1/completions"):
        answer = client.post(path, json={"prompt": QUESTION})
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["code"] == "model_loading"
    assert client.get("/v1/models").status_code == 503
    Hub.answers.set()
    assert process.wait(PATIENCE) == 1


def test_a_signal_ends_it_while_it_loads(
    loading: tuple[subprocess.Popen[bytes], httpx.Client],
) -> None:
    process, _ = loading
    process.terminate()
    assert process.wait(PATIENCE) == 0


def test_no_connection_is_refused_from_the_first_answer_on(small_model: Path) -> None:
    port, seen = free_port(), list[int]()

    def up() -> bool:
        try:
            seen.append(httpx.get(f"http://127.0.0.1:{port}/health", timeout=PATIENCE).status_code)
        except httpx.TransportError:
            assert not seen, "It answered before, and does no more."
        return seen[-1:] == [200]

    with subprocess.Popen(
        command(small_model, port), env=variables(), stderr=subprocess.DEVNULL
    ) as process:
        until(up)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert seen[0] == 503


def test_a_port_that_is_taken_ends_the_process_with_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = subprocess.run(
            command("anything", taken.getsockname()[1]),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert found.returncode == 1
    assert found.stderr.startswith("Port ")
    assert "cannot be listened on: Address already in use" in found.stderr


def ended(model: object, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A server that cannot serve."""
    return subprocess.run(
        command(model, free_port(), *more),
        env=variables(**environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_gated_model_without_a_token_ends_the_process_with_what_to_do(
    hub: str, tmp_path: Path
) -> None:
    found = ended(
        "somebody/gated",
        "--allow_remote_files",
        f"--cache_dir={tmp_path}",
        HF_ENDPOINT=hub,
        HF_HUB_OFFLINE="0",
    )
    assert found.returncode == 1
    assert "somebody/gated is gated on Hugging Face, and HF_TOKEN is not set" in found.stderr
    assert "presetOptions.modelAccessSecret" in found.stderr
    assert "Traceback" not in found.stderr


def test_weights_that_are_not_there_end_the_process_with_a_sentence(tmp_path: Path) -> None:
    found = ended(tmp_path)
    assert found.returncode == 1
    assert f"{tmp_path} cannot be loaded: " in found.stderr
    assert "Traceback" not in found.stderr


def test_an_answer_under_way_is_finished_after_sigterm(small_model: Path) -> None:
    body = {"prompt": QUESTION, "stream": True, "max_tokens": 300, "ignore_eos": True}
    with running(small_model) as server:
        url = f"{server.url}/v1/completions"
        with httpx.stream("POST", url, json=body, timeout=PATIENCE) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            said = [each.removeprefix("data: ") for each in lines if each]
        assert said[-1] == "[DONE]"
        assert json.loads(said[-2])["usage"]["completion_tokens"] == 300
        assert server.process.wait(PATIENCE) == 0


def test_an_answer_that_takes_too_long_does_not_keep_the_process_after_sigterm(
    small_model: Path,
) -> None:
    body = {"prompt": QUESTION, "stream": True, "max_tokens": 1000, "ignore_eos": True}
    with running(small_model, "--drain_seconds=0") as server:
        url = f"{server.url}/v1/completions"
        with httpx.stream("POST", url, json=body, timeout=PATIENCE) as answer:
            next(answer.iter_lines())
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(PATIENCE) == 0
