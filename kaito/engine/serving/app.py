"""The application of `transformers serve`, with our routes in the place of some of its own."""

from __future__ import annotations

import json
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from transformers.cli.serving.server import build_server
from transformers.cli.serving.utils import CBWorkerDeadError

from kaito.engine.errors import Refused, error
from kaito.engine.historical import CHAT, question, result
from kaito.engine.serving.batching import Batch
from kaito.engine.serving.gate import Gate
from kaito.engine.serving.handlers import Chats, Completions, answer_of
from kaito.engine.serving.metrics import Measures
from kaito.engine.serving.model import Loader, no_model
from kaito.engine.serving.prompts import Prompts

# Theirs, and not ours: they load and unload models for anybody who asks, list what lies in a
# cache, or serve other kinds of models; /health and /v1/models are answered below.
DROPPED = frozenset(
    [
        *("/load_model", "/reset", "/v1/systemone", "/v1/audio/transcriptions", "/v1/responses"),
        *("/health", "/v1/models", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"),
    ]
)


def application(loader: Loader, batch: Batch, measures: Measures) -> Gate:
    """What a server runs, of a model that is loaded and a batch that runs."""
    prompts = Prompts(loader.served.tokenizer, loader.served.context)
    chats, completions = Chats(loader, batch, prompts), Completions(loader, batch, prompts)
    app = build_server(loader, chats, completions, None, None, None, chats.generation_state)
    app.router.routes[:] = [
        each for each in app.router.routes if getattr(each, "path", "") not in DROPPED
    ]
    # It numbers requests by what clients say, passes each piece of an answer through two queues,
    # and keeps a client's going from what it stands before. The gate numbers them.
    app.user_middleware.clear()
    _routes(app, loader, batch, measures)
    _historical(app, loader, chats, completions)
    _errors(app)
    return Gate(app, key=loader.settings.key)


def _routes(app: FastAPI, loader: Loader, batch: Batch, measures: Measures) -> None:
    begun = int(time.time())

    @app.get("/health")
    @app.get("/healthz")
    @app.get("/")
    async def health() -> JSONResponse:
        if not batch.is_alive():
            return JSONResponse({"status": "Unhealthy", "reason": "The batch has ended."}, 503)
        return JSONResponse({"status": "Healthy"})

    @app.get("/metrics")
    async def metrics() -> Response:
        measures.running.set(batch.running)
        measures.waiting.set(max(0, batch.under_way - batch.running))
        measures.cache.set(batch.cache_usage)
        return Response(measures.text(), media_type=CONTENT_TYPE_LATEST)

    served, name = loader.served, loader.settings.name
    listed: dict[str, dict[str, object]] = {
        each: {
            "id": each,
            "object": "model",
            "created": begun,
            "owned_by": "kaito",
            "root": each,
            "parent": None if each == name else name,
            "max_model_len": served.context,
        }
        for each in (name, *served.adapters)
    }

    @app.get("/v1/models")
    async def models() -> JSONResponse:
        return JSONResponse({"object": "list", "data": list(listed.values())})

    @app.get("/v1/models/{asked:path}")
    async def model(asked: str) -> JSONResponse:
        if asked not in listed:
            raise no_model(served, name, asked)
        return JSONResponse(listed[asked])


def _historical(app: FastAPI, loader: Loader, chats: Chats, completions: Completions) -> None:
    @app.post("/chat")
    async def chat(request: Request, body: dict[str, Any]) -> JSONResponse:
        asked = question(body, loader.settings.name)
        handler = chats if asked.path == CHAT else completions
        response = await handler.handle_request(dict(asked.body), request.state.request_id)
        return JSONResponse(result(asked, answer_of(response)))


def _errors(app: FastAPI) -> None:
    def answer(refused: Refused) -> JSONResponse:
        headers = {"Retry-After": "1"} if refused.status == 429 else None
        return JSONResponse(refused.body, refused.status, headers=headers)

    @app.exception_handler(Refused)
    async def refused(_: Request, problem: Refused) -> JSONResponse:
        return answer(problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, problem: RequestValidationError) -> JSONResponse:
        found = problem.errors()[0]
        if found["type"] == "json_invalid":
            return answer(Refused(f"The body is not JSON: {found['ctx']['error']}."))
        return answer(Refused("The body must be a JSON object, sent as application/json."))

    @app.exception_handler(HTTPException)
    async def http(request: Request, problem: HTTPException) -> JSONResponse:
        said = str(problem.detail)
        if problem.status_code == 404:
            said = f"{request.url.path} is not served here."
        elif problem.status_code == 405:
            said = f"{request.url.path} does not take {request.method}."
        elif problem.status_code == 400:
            said = f"The body is not JSON that can be read: {said}"
        # With the methods that it takes.
        return JSONResponse(error(problem.status_code, said), problem.status_code, problem.headers)

    @app.exception_handler(CBWorkerDeadError)
    async def dead(_: Request, problem: CBWorkerDeadError) -> JSONResponse:
        return JSONResponse(error(503, f"The engine has failed: {problem}"), 503)

    @app.exception_handler(Exception)
    async def failed(_: Request, problem: Exception) -> JSONResponse:
        # The traceback is logged by the server; a client gets no insides.
        return JSONResponse(error(500, "The engine failed to answer; its log says more."), 500)


def described(loader: Loader) -> str:
    """What is served, for the log."""
    served = loader.served
    facts = {"adapters": sorted(served.adapters), "context": served.context}
    return f"{loader.settings.name} is served: {json.dumps(facts)}"
