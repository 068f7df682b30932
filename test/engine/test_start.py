"""From the first moment to the last."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from kaito.engine.serving.app import application
from kaito.engine.serving.arguments import parse
from kaito.engine.serving.batching import Batch
from kaito.engine.serving.metrics import Measures
from kaito.engine.serving.model import Loader
from test.engine.serving import (
    NAME,
    PATIENCE,
    QUESTION,
    command,
    free_port,
    running,
    variables,
)


@pytest.fixture
async def loading() -> Iterator[tuple[Loader, httpx.AsyncClient]]:
    """A server whose weights are on their way."""
    loader = Loader(parse([f"--served_model_name={NAME}", "--device_map=cpu"], {}))
    measures = Measures(NAME)
    app = application(loader, Batch(1, 1, measures), measures)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        yield loader, client


async def test_probes_are_told_how_far_the_weights_are(
    loading: tuple[Loader, httpx.AsyncClient],
) -> None:
    loader, client = loading
    loader.progress.told({"stage": "weights", "progress": {"current": 30, "total": 120}})
    answer = await client.get("/health")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "Loading",
        "stage": "weights",
        "progress": {"current": 30, "total": 120},
    }
    assert (
        f'kaito_model_loaded_ratio{{model_name="{NAME}"}} 0.25'
        in (await client.get("/metrics")).text
    )


async def test_questions_are_answered_later_while_weights_load(
    loading: tuple[Loader, httpx.AsyncClient],
) -> None:
    _, client = loading
    for path in ("/chat", "/v1/chat/completions", "/v1/completions"):
        answer = await client.post(path, json={"prompt": QUESTION})
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["code"] == "model_loading"


class Hub(BaseHTTPRequestHandler):
    """A hub whose model is gated, as Hugging Face says it."""

    def do_HEAD(self) -> None:
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
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


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
        "somebody/gated", "--allow_remote_files", f"--cache_dir={tmp_path}", HF_ENDPOINT=hub
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
