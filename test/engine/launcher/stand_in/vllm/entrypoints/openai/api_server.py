"""Where vLLM makes its socket and its application."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import socket
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any


def create_server_socket(addr: tuple[str, int], *, reuse_port: bool) -> socket.socket:
    raise AssertionError("The launcher gives its own.")


def setup_server(args: argparse.Namespace) -> socket.socket:
    return create_server_socket(("", args.port), reuse_port=False)


class Models:
    """Loads every adapter but those that are of another model."""

    def __init__(self) -> None:
        self.adapters: list[str] = []

    async def load_lora_adapter(self, request: Any, base_model_name: str | None = None) -> Any:
        if os.path.exists(os.path.join(request.lora_path, "another-model")):
            return SimpleNamespace(error=SimpleNamespace(message="sizes differ"))
        self.adapters.append(request.lora_name)
        return "Success"


def build_app(args: argparse.Namespace) -> Any:
    """Answers with the arguments, and with what it was asked."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    async def health(_: Request) -> Response:
        return Response()

    async def told(_: Request) -> Response:
        names = {name: value for name, value in vars(args).items() if value is not None}
        return JSONResponse(names | {"adapters": app.state.openai_serving_models.adapters})

    async def complete(request: Request) -> Response:
        body = await request.json()
        if body.get("stream"):

            async def slow() -> AsyncIterator[bytes]:
                yield b"data: begun\n\n"
                # As an answer takes its time: until the test makes a file.
                while not os.path.exists(body["prompt"]):  # noqa: ASYNC110 - of a process
                    await asyncio.sleep(0.05)
                yield b"data: [DONE]\n\n"

            return StreamingResponse(slow(), media_type="text/event-stream")
        return JSONResponse({"choices": [{"text": " " + json.dumps(body)}]})

    app = Starlette(
        routes=[
            Route("/health", health),
            Route("/told", told),
            Route("/v1/completions", complete, methods=["POST"]),
        ]
    )
    app.state.openai_serving_models = Models()
    app.state.vllm_config = SimpleNamespace(
        scheduler_config=SimpleNamespace(max_num_seqs=args.max_num_seqs),
        parallel_config=SimpleNamespace(data_parallel_size=1, _api_process_count=1),
    )
    for path in args.middleware:
        module, _, name = path.rpartition(".")
        app.add_middleware(getattr(importlib.import_module(module), name))
    return app
