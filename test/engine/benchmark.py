"""The server of models beside a bare loop of `generate` on the same model.

    .venv-engine/bin/python -m test.engine.benchmark [--runs 5] [--tokens 128]

Prints one JSON object for each model: tokens per second, medians of interleaved runs, and the
ratios that docs/engine.md has. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hack.small_model import make_model, make_tokenizer
from test.engine.serving import QUESTION, Server, running

ONE_BAR, MANY_BAR, MANY = 0.85, 4.0, 16
# hidden, layers, heads: the size of the tests' model, whose time per token is nearly all what
# surrounds the weights, and one whose weights no longer fit into a core's cache, as with every
# model that people use.
MODELS = {"1 million weights": (128, 4, 4), "25 million weights": (512, 8, 8)}


def main() -> int:
    """Run; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128)
    said = parser.parse_args()
    missed = False
    for name, (hidden, layers, heads) in MODELS.items():
        with tempfile.TemporaryDirectory() as scratch:
            directory = Path(scratch) / "model"
            torch.manual_seed(7)
            tokenizer = make_tokenizer()
            model = make_model(tokenizer, hidden=hidden, layers=layers, heads=heads)
            model.save_pretrained(directory)
            tokenizer.save_pretrained(directory)
            found = measured(directory, said.runs, said.tokens)
        print(json.dumps({"model": name, **found}), flush=True)
        missed |= found["one / bare"] < ONE_BAR or found["sixteen / one"] < MANY_BAR
    return int(missed)


def measured(directory: Path, runs: int, tokens: int) -> dict[str, Any]:
    """Tokens per second, bare and served."""
    begun = time.perf_counter()
    with running(directory, f"--max_running={MANY}") as server:
        started = time.perf_counter() - begun
        ways: dict[str, Callable[[], float]] = {
            "bare": bare(directory, tokens),
            "one": lambda: served(server, 1, tokens),
            "sixteen": lambda: served(server, MANY, tokens),
        }
        for way in ways.values():
            way()
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(runs):
            for name, way in ways.items():
                found[name].append(way())
        memory = server.memory()
    rates = {name: median(each) for name, each in found.items()}
    return {
        **{f"{name} tokens/s": round(rate) for name, rate in rates.items()},
        # Of runs side by side, for what else the machine does changes from one to the next.
        "one / bare": round(median(map(truediv, found["one"], found["bare"])), 2),
        "sixteen / one": round(median(map(truediv, found["sixteen"], found["one"])), 1),
        "start s": round(started, 1),
        "memory MiB": memory // 1024**2,
        "cpus": os.cpu_count(),
    }


def bare(directory: Path, tokens: int) -> Callable[[], float]:
    """A loop of generate."""
    # As the server has it, see test.engine.serving.
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    asked = tokenizer(QUESTION, return_tensors="pt")

    def way() -> float:
        begun = time.perf_counter()
        model.generate(**asked, min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False)
        return tokens / (time.perf_counter() - begun)

    return way


def served(server: Server, streams: int, tokens: int) -> float:
    """So many streams at once."""
    body = {"prompt": QUESTION, "stream": True, "max_tokens": tokens, "ignore_eos": True}
    data = json.dumps(body).encode()
    where = urlsplit(server.url)
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )

    def ask(_: int) -> None:
        # By hand: what a client's library does for each event would be taken from the server,
        # which shares the machine with it.
        with socket.create_connection((where.hostname, where.port), timeout=600) as asked:
            asked.sendall(head.encode() + data)
            said = b"".join(iter(lambda: asked.recv(2**16), b""))
        assert f'"completion_tokens":{tokens}'.encode() in said

    with ThreadPoolExecutor(streams) as pool:
        begun = time.perf_counter()
        list(pool.map(ask, range(streams)))
        return streams * tokens / (time.perf_counter() - begun)


if __name__ == "__main__":
    sys.exit(main())
