"""Servers of a model as processes, as a Pod has them.

Clients are imported where they are used: this file is read, too, where they are not installed and
all that is told is why tests are skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from openai import OpenAI

NAME = "phi-3-mini"
# Names, and how strongly each applies: a variable called like it.
ADAPTERS = {"hello": "", "full.strength": "1.0", "without": "0"}
BROKEN = ("cut-off", "of-another-model", "no-json", "nested", "without-weights", NAME, "HOME")
QUESTION, ANSWER = "What is KAITO?", "KAITO turns a small Workspace into a model that answers."
ADAPTED = "A LoRA adapter answers requests."
PATIENCE = 240.0  # seconds for anything; what is waited for takes a few where nobody else is busy


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    client: OpenAI

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """Ask."""
        import httpx

        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", **headers}
        return httpx.post(self.url + path, content=data, headers=sent, timeout=PATIENCE)

    def metric(self, name: str, **labels: str) -> float:
        """What a metric says now, 0 where nothing is said."""
        import httpx

        text = httpx.get(f"{self.url}/metrics", timeout=PATIENCE).text
        for line in text.splitlines():
            found = re.fullmatch(rf"{re.escape(name)}(\{{.*\}})? (\S+)", line)
            if found and all(f'{k}="{v}"' in (found[1] or "") for k, v in labels.items()):
                return float(found[2])
        return 0.0

    def memory(self) -> int:
        """Bytes of memory that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


def client(url: str, key: str) -> OpenAI:
    """OpenAI's own, which tries nothing again. To be closed."""
    from openai import OpenAI

    return OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=PATIENCE)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def command(model: object, port: int, *more: str) -> list[str]:
    """A server's command line."""
    return [
        *(sys.executable, "-m", "kaito.engine.serving", "--host=127.0.0.1", f"--port={port}"),
        *(f"--pretrained_model_name_or_path={model}", f"--served_model_name={NAME}"),
        *("--device_map=cpu", *more),
    ]


def variables(**more: str) -> dict[str, str]:
    """A server's environment. One thread: on a busy machine several wait for one another."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


@contextlib.contextmanager
def running(model: Path, *more: str, **environment: str) -> Iterator[Server]:
    """A server from its first answer to its end."""
    port = free_port()
    log = model.parent / f"log-{port}"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command(model, port, *more), env=variables(**environment), stdout=sink, stderr=sink
        )
    url = f"http://127.0.0.1:{port}"
    try:
        with client(url, environment.get("KAITO_API_KEY", "none")) as asked:
            server = Server(url, process, log, asked)
            until(lambda: ready(server), server)
            yield server
        process.terminate()
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
        log.unlink()


def ready(server: Server) -> bool:
    """Whether it says that it is ready."""
    import httpx

    assert server.process.poll() is None, server.log.read_text()
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/health", timeout=PATIENCE).status_code == 200
    return False


def until(condition: Any, server: Server | None = None) -> None:
    """Wait for a condition that other processes make true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        said = "" if server is None else server.log.read_text()
        assert time.monotonic() < end, f"This has not become so: {said}"
        time.sleep(0.02)


def break_adapters(directory: Path) -> None:
    """Adapters whose files are cut off, are of another model, are no JSON, or are not there; that
    are called like the model; and whose strength is another's variable."""
    good = directory / "hello"
    for name in BROKEN:
        shutil.copytree(good, directory / name)
    weights = directory / "cut-off" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (directory / "no-json" / "adapter_config.json").write_text("{")
    (directory / "nested" / "adapter_config.json").write_text("[" * 100_000)
    (directory / "without-weights" / "adapter_model.safetensors").unlink()
    other = directory / "of-another-model" / "adapter_model.safetensors"
    other.write_bytes(_narrowed(other.read_bytes()))


def _narrowed(file: bytes) -> bytes:
    """Weights of half the width, as a smaller model's would be."""
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + length])
    parts, place, new = [], 0, {}
    for name, each in header.items():
        if name == "__metadata__":
            continue
        start, end = each["data_offsets"]
        shape = [*each["shape"][:-1], each["shape"][-1] // 2]
        size = (end - start) // 2
        parts.append(file[8 + length + start : 8 + length + start + size])
        new[name] = {**each, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(new).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(parts)
