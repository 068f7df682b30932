"""The launcher as a process, from its first answer to its end. vLLM is a stand-in (stand_in/)."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="vLLM's HTTP server is installed by `make setup-engine`")

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
# The port is free when it is asked for, and the launcher says which it is.
RUN = """\
import sys
from kaito.engine.vllm import main as launcher
listening = launcher.listening
def told(port):
    sock = listening(port)
    print("port", sock.getsockname()[1], flush=True)
    return sock
launcher.listening = told
if __name__ == "__main__":
    sys.exit(launcher.main(port=0))
"""
CONFIG = "vllm: {max_num_seqs: 2, gpu-memory-utilization: 0.5}\n"
SECRET = "s3cret"
PATIENCE = 120.0  # seconds for anything; what is waited for takes a few where nobody else is busy


@dataclass
class Launched:
    process: subprocess.Popen[str]
    port: int
    loaded: pathlib.Path
    log: pathlib.Path

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def until(self, answered: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not answered():
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()

    def serve(self) -> None:
        """The model is loaded from now on."""
        self.loaded.touch()
        self.until(lambda: self.ask("/health")[0] == 200)

    def written(self) -> str:
        return self.log.read_text()


@pytest.fixture
def launch(tmp_path: pathlib.Path) -> Iterator[Callable[..., Launched]]:
    running: list[subprocess.Popen[str]] = []

    def start(*words: str, **variables: str) -> Launched:
        log, loaded = tmp_path / "log", tmp_path / "loaded"
        (tmp_path / "run.py").write_text(RUN)
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, str(tmp_path / "run.py"), "--model=phi", *words],
                env={
                    **os.environ,
                    "PYTHONPATH": f"{HERE / 'stand_in'}:{ROOT}",
                    "STAND_IN_LOADED": str(loaded),
                    **variables,
                },
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        running.append(process)
        assert process.stdout is not None
        first = process.stdout.readline().split()
        return Launched(process, int(first[1]) if first else 0, loaded, log)

    yield start
    for process in running:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_the_port_answers_from_the_first_moment_to_the_last(
    launch: Callable[..., Launched], tmp_path: pathlib.Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "a").write_bytes(bytes(10_000))
    launched = launch(f"--download-dir={weights}")
    status, health = launched.ask("/health")
    assert status == 503
    assert json.loads(health)["status"] == "starting"
    metrics = launched.ask("/metrics")[1]
    assert b"kaito_model_download_remaining_seconds -1" in metrics
    assert b"kaito_model_downloaded_bytes 1" in metrics
    assert launched.ask("/v1/completions", {"prompt": "x"})[0] == 503
    launched.serve()
    assert launched.ask("/chat", {"prompt": "x", "return_full_text": False})[0] == 200


def test_vllm_is_told_what_was_decided(
    launch: Callable[..., Launched], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    adapters = tmp_path / "adapters"
    for name in ("art", "law", "torn"):
        (adapters / name).mkdir(parents=True)
        (adapters / name / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 20}')
    for name in ("art", "law"):
        (adapters / name / "adapter_model.bin").write_bytes(b"1")
    (adapters / "art" / "another-model").touch()
    launched = launch(
        "--gpu-memory-utilization=0.84",
        f"--kaito-config-file={tmp_path / 'config.yaml'}",
        f"--kaito-adapters-dir={adapters}",
    )
    launched.serve()
    told: dict[str, Any] = json.loads(launched.ask("/told")[1])
    assert told["model"] == "phi"
    assert told["max_num_seqs"] == 2
    assert told["gpu_memory_utilization"] == 0.5
    assert told["max_model_len"] == "auto"
    assert told["max_lora_rank"] == 32
    assert told["adapters"] == ["law"]
    assert "Adapter art is not served: sizes differ" in launched.written()
    assert "Adapter torn is not served: it has no adapter_model.safetensors." in launched.written()


@pytest.fixture
def ray_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_pods_come_together_and_go_together(launch: Callable[..., Launched], ray_port: int) -> None:
    together = {
        "KAITO_NODES": "2",
        "KAITO_RAY_LEADER": f"127.0.0.1:{ray_port}",
        "KAITO_RAY_PORT": str(ray_port),
    }
    leader = launch(**together, POD_INDEX="0")
    leader.until(lambda: b"1 of 2 Pods are there" in leader.ask("/health")[1])
    worker = launch(**together, POD_INDEX="1")
    worker.until(lambda: worker.ask("/health")[0] == 200)
    leader.until(lambda: b"loading the model" in leader.ask("/health")[1])
    leader.serve()
    assert leader.ask("/chat", {"prompt": "x"})[0] == 200
    # A worker has no model of its own to ask.
    assert worker.ask("/v1/completions", {"prompt": "x"})[0] == 503
    leader.process.terminate()
    leader.process.wait(PATIENCE)
    assert worker.process.wait(PATIENCE) == 1


def test_what_is_under_way_is_finished_at_the_end(
    launch: Callable[..., Launched], tmp_path: pathlib.Path
) -> None:
    launched = launch()
    launched.serve()
    body = json.dumps({"prompt": str(tmp_path / "finish"), "stream": True}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{launched.port}/v1/completions", body)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.readline() == b"data: begun\n"
        launched.process.send_signal(signal.SIGTERM)
        # Nobody new is let in.
        launched_refuses(launched)
        (tmp_path / "finish").touch()
        assert answer.read().endswith(b"data: [DONE]\n\n")
    launched.process.wait(PATIENCE)


def launched_refuses(launched: Launched) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            launched.ask("/health")
        except OSError:
            return
    raise AssertionError("It still answers.")


def test_a_signal_ends_it_while_it_loads(launch: Callable[..., Launched]) -> None:
    launched = launch()
    launched.until(lambda: b"loading the model" in launched.ask("/health")[1])
    launched.process.send_signal(signal.SIGTERM)
    assert launched.process.wait(PATIENCE) != 0


# The interpreter prints what is raised in a callback of its own, and goes on.
LOST = """\
import os, signal, weakref
class Lock: pass
lock = Lock()
mark = weakref.ref(lock, lambda _: signal.raise_signal(signal.SIGTERM))
from kaito.engine.vllm import group
group.END_SECONDS = -2
loaded = os.path.exists
def exists(path):
    global lock
    if path == os.environ["STAND_IN_LOADED"]:
        signal.signal(signal.SIGTERM, launcher._end)
        lock = None
    return loaded(path)
os.path.exists = exists
"""


def test_a_signal_that_the_interpreter_swallowed_ends_it_all_the_same(
    launch: Callable[..., Launched], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, rest = RUN.split("\n", 1)
    import_, rest = rest.split("\n", 1)
    monkeypatch.setattr(f"{__name__}.RUN", f"{first}\n{import_}\n{LOST}{rest}")
    launched = launch()
    assert launched.process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert "Exception ignored" in launched.written()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (f"vllm: {{api-key: {SECRET}}}", "vllm.api-key is a secret"),
        (f"vllm: {{no-such-thing: {SECRET}}}", "vllm.no-such-thing is no argument"),
        (f"vllm: {{a: [{SECRET}", "no YAML"),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(
    launch: Callable[..., Launched], tmp_path: pathlib.Path, config: str, words: str
) -> None:
    (tmp_path / "config.yaml").write_text(config)
    launched = launch(f"--kaito-config-file={tmp_path / 'config.yaml'}")
    assert launched.process.wait(PATIENCE) == 1
    assert words in launched.written()
    assert SECRET not in launched.written()


def test_a_key_is_neither_on_a_command_line_nor_in_the_log(
    launch: Callable[..., Launched],
) -> None:
    launched = launch(VLLM_API_KEY=SECRET, HF_TOKEN=SECRET)
    launched.serve()
    assert launched.ask("/chat", {"prompt": "x"})[0] == 401
    assert launched.ask("/chat", {"prompt": "x"}, Authorization=f"Bearer {SECRET}")[0] == 200
    line = pathlib.Path(f"/proc/{launched.process.pid}/cmdline").read_bytes()
    assert SECRET.encode() not in line
    assert SECRET not in launched.written()
