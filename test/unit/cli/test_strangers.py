"""Models that only the hub knows, read by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from kaito.catalog.catalog import load
from kaito.catalog.config import ModelError
from kaito.cli.strangers import from_hub

COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"
CONFIG = {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 3}
SHARDS = 9000
"""So many that their listing, half a mebibyte, comes in many pieces."""


@pytest.fixture
async def hub() -> AsyncIterator[str]:
    async def listing(request: web.Request) -> web.Response:
        files = [f"model-{i:05}-of-{SHARDS:05}.safetensors" for i in range(1, SHARDS + 1)]
        siblings = [{"rfilename": file, "size": 1024**3} for file in [*files, "config.json"]]
        return web.json_response({"id": "maker/model", "sha": COMMIT, "siblings": siblings})

    async def config(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer hf_right":
            return web.Response(status=403)
        return web.json_response(CONFIG)

    app = web.Application()
    app.router.add_get("/api/models/maker/model/revision/main", listing)
    app.router.add_get("/api/models/maker/before/revision/main", listing)
    app.router.add_get(f"/maker/model/resolve/{COMMIT}/config.json", config)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = runner.addresses[0]
    yield f"http://{address[0]}:{address[1]}"
    await runner.cleanup()


async def test_a_long_listing_is_read_whole_and_the_token_is_shown(hub: str) -> None:
    model = await asyncio.to_thread(from_hub, "maker/model", token="hf_right", address=hub)
    assert (model.weights_gib, model.layers, model.revision) == (SHARDS, 3, COMMIT)


async def test_what_the_hub_refuses_is_an_error_of_the_model(hub: str) -> None:
    with pytest.raises(ModelError, match="does not open maker/model"):
        await asyncio.to_thread(from_hub, "maker/model", token="hf_wrong", address=hub)


async def test_a_model_that_was_renamed_answers_to_the_name_that_was_asked_for(hub: str) -> None:
    model = await asyncio.to_thread(from_hub, "maker/before", token="hf_right", address=hub)
    assert model.name == "maker/model"
    assert load().with_model(model).find_model("maker/before") is model
