"""Models read from a hub over HTTP, and what is said when they cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, web

from kaito.catalog.catalog import catalog
from kaito.catalog.config import ModelError, Unreadable
from kaito.catalog.hub import (
    LARGEST_ANSWER,
    HubError,
    NeedsToken,
    NoHub,
    NoSuchModel,
    Offline,
    TryLater,
    read,
)
from kaito.catalog.model import Model

TODAY = date(2026, 11, 21)
COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"
GIB = 1024**3
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}


@dataclass
class Hub:
    """The hub's two routes, with one model behind them."""

    url: str = ""
    files: dict[str, int] = field(
        default_factory=lambda: {"model.safetensors": 15 * GIB, "config.json": 800}
    )
    contents: dict[str, object] = field(default_factory=lambda: {"config.json": CONFIG})
    info: dict[str, object] = field(
        default_factory=lambda: {"gated": False, "cardData": {"license": "mit"}}
    )
    token: str = ""
    """What opens the files; none is needed where empty."""
    status: int = 200
    page: str = ""
    """What answers instead, with the status; the hub answers where it is empty."""
    asked: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: answers at once."""

    async def api(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        await self.release.wait()
        if self.status != 200 or self.page:
            return web.Response(status=self.status, text=self.page, content_type="text/html")
        if request.match_info["model"].lower() != "maker/model":
            return web.Response(status=404)
        siblings = [{"rfilename": path, "size": size} for path, size in self.files.items()]
        return web.json_response(
            {"id": "Maker/Model", "sha": COMMIT, "siblings": siblings, **self.info}
        )

    async def file(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401 if "Authorization" not in request.headers else 403)
        content = self.contents[request.match_info["file"]]
        return web.Response(
            body=content if isinstance(content, bytes) else json.dumps(content).encode()
        )


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    found = Hub()
    found.release.set()
    app = web.Application()
    app.router.add_get(r"/api/models/{model:[^/]+/[^/]+}/revision/{revision}", found.api)
    app.router.add_get(r"/{model:[^/]+/[^/]+}/resolve/{revision}/{file}", found.file)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    found.url = f"http://{address[0]}:{address[1]}"
    yield found
    found.release.set()
    await runner.cleanup()


async def ask(
    hub: Hub,
    name: str = "maker/model",
    *,
    revision: str = "main",
    token: str = "",
    patience: float = 30,
) -> Model:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(url: str) -> tuple[int, bytes]:
        try:
            async with session.get(url) as answer:
                body = b""
                async for chunk in answer.content.iter_chunked(LARGEST_ANSWER):
                    body += chunk
                    if len(body) > LARGEST_ANSWER:
                        break
                return answer.status, body
        except TimeoutError:
            raise
        except ClientError as error:
            raise ConnectionError(str(error)) from error

    async with ClientSession(headers=headers, timeout=ClientTimeout(total=patience)) as session:
        return await read(name, get, date=TODAY, revision=revision, token=bool(token), hub=hub.url)


async def test_a_model_is_read_as_it_is_at_one_commit(hub: Hub) -> None:
    model = await ask(hub, "MAKER/model", revision="refs/pr/1")
    assert (model.name, model.revision, model.date) == ("Maker/Model", COMMIT, TODAY)
    assert (model.weights_gib, model.layers, model.context) == (15, 32, 131072)
    assert (model.access, model.license, model.unknown) == ("open", "mit", None)
    assert model.source == f"{hub.url}/Maker/Model/tree/{COMMIT}"
    assert hub.asked == [
        "/api/models/MAKER/model/revision/refs%2Fpr%2F1?blobs=true",
        f"/Maker/Model/resolve/{COMMIT}/config.json",
    ]


async def test_weights_that_are_there_twice_count_once(hub: Hub) -> None:
    hub.files |= {"original/model.safetensors": 15 * GIB, "pytorch_model.bin": 15 * GIB}
    assert (await ask(hub)).weights_gib == 15


async def test_mistrals_own_configuration_is_read_where_there_is_no_other(hub: Hub) -> None:
    hub.files = {"consolidated.safetensors": 7 * GIB, "params.json": 300}
    hub.contents = {"params.json": {"dim": 4096, "n_layers": 32, "n_heads": 32}}
    model = await ask(hub)
    assert (model.mistral_format, model.architecture) == (True, "MistralForCausalLM")


async def test_what_nvidias_quantiser_writes_is_read(hub: Hub) -> None:
    hub.files["hf_quant_config.json"] = 200
    hub.contents["hf_quant_config.json"] = {"quantization": {"quant_algo": "NVFP4"}}
    hub.info["safetensors"] = {"total": 5 * 10**9}  # packed, so no number of parameters
    model = await ask(hub)
    assert (model.quantization, model.parameters_b) == ("NVFP4", None)


async def test_the_hub_tells_the_number_of_parameters(hub: Hub) -> None:
    hub.info["safetensors"] = {"total": 8_030_261_248}
    assert (await ask(hub)).parameters_b == 8.03


async def test_a_gated_model_needs_a_token_that_opens_it(hub: Hub) -> None:
    hub.info |= {"gated": "manual", "cardData": {"license": "other", "license_name": "llama9"}}
    hub.token = "hf_right"
    with pytest.raises(NeedsToken, match="set HF_TOKEN to a token of an account that accepted"):
        await ask(hub)
    with pytest.raises(NeedsToken, match="The token does not open"):
        await ask(hub, token="hf_wrong")
    model = await ask(hub, token="hf_right")
    assert (model.access, model.license) == ("gated", "llama9")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, NoSuchModel, "is not on Hugging Face, or not at that revision"),
        (429, TryLater, "too many requests"),
        (503, TryLater, "answers for maker/model with 503"),
        (401, NeedsToken, "is not open to everybody, or not there"),
    ],
)
async def test_a_refusal_is_one_sentence_with_the_way_out(
    hub: Hub, status: int, error: type[HubError], words: str
) -> None:
    hub.status = status
    with pytest.raises(error, match=words):
        await ask(hub)


@pytest.mark.parametrize(
    "name", ["phi-4", "a/b/c", "../etc/passwd", "a/..", "a/b..c", "a/b--c", "a/b?c=d", "a/b\n"]
)
async def test_what_is_no_name_is_not_asked_for(hub: Hub, name: str) -> None:
    with pytest.raises(NoSuchModel, match="it must be organisation/model"):
        await ask(hub, name)
    assert hub.asked == []


async def test_no_way_to_the_hub_is_told_with_another_way(hub: Hub) -> None:
    gone = Hub(url="http://127.0.0.1:9")  # the discard port, where nothing listens
    with pytest.raises(Offline, match="name a model of the catalogue") as caught:
        await ask(gone)
    assert "no way to http://127.0.0.1:9 from here" in str(caught.value)


@pytest.mark.parametrize("status", [200, 403, 404])
async def test_a_page_of_another_server_is_no_answer_of_the_hub(hub: Hub, status: int) -> None:
    hub.status, hub.page = status, "<!DOCTYPE html><title>Please sign in</title>"
    with pytest.raises(NoHub, match=f"^{hub.url} does not answer for maker/model as Hugging Face"):
        await ask(hub)


async def test_a_page_instead_of_a_configuration_is_no_answer_of_the_hub(hub: Hub) -> None:
    hub.contents["config.json"] = b"\n<html>"
    with pytest.raises(NoHub):
        await ask(hub)


async def test_a_page_that_tells_of_trouble_is_the_hubs(hub: Hub) -> None:
    hub.status, hub.page = 503, "<html>"
    with pytest.raises(TryLater):
        await ask(hub)


async def test_a_configuration_that_is_no_json_is_the_models_fault(hub: Hub) -> None:
    hub.contents["config.json"] = b"{"
    with pytest.raises(Unreadable, match="is no JSON"):
        await ask(hub)


async def test_a_renamed_repository_is_found_by_either_name(hub: Hub) -> None:
    hub.info["id"] = "Maker/Model-2"
    model = await ask(hub, "Maker/Model")
    assert (model.name, model.aliases) == ("Maker/Model-2", ("maker/model",))
    known = catalog(models=[], skus=[]).with_model(model)
    assert known.find_model("MAKER/MODEL") is known.find_model("maker/model-2") is model
    del hub.info["id"]
    assert (await ask(hub, "MAKER/model")).aliases == ()


async def test_a_hub_that_does_not_answer_is_told(hub: Hub) -> None:
    hub.release.clear()
    with pytest.raises(TryLater, match="does not answer for maker/model in time"):
        await ask(hub, patience=0.05)


async def test_an_answer_without_end_is_not_read(hub: Hub) -> None:
    hub.contents["config.json"] = b" " * (LARGEST_ANSWER + 1)
    with pytest.raises(Unreadable, match="more than 16 MiB"):
        await ask(hub)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"config.json": 1, "onnx/model.bin": 2}, "has no weights"),
        ({"model.safetensors": 2}, r"has no config\.json"),
    ],
)
async def test_a_repository_that_holds_no_model_is_told(
    hub: Hub, files: dict[str, int], words: str
) -> None:
    hub.files = files
    with pytest.raises(Unreadable, match=words):
        await ask(hub)


@pytest.mark.parametrize("info", [{"sha": None}, {"sha": "../../other"}, {"id": "a/../b"}])
async def test_an_answer_without_a_commit_is_followed_nowhere(
    hub: Hub, info: dict[str, object]
) -> None:
    hub.info |= info
    with pytest.raises(NoHub):
        await ask(hub)
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    "info",
    [
        {"siblings": "none"},
        {"siblings": [3]},
        {"siblings": [{"rfilename": "model.safetensors", "size": -1}]},
        {"cardData": ["mit"]},
        {"safetensors": 3},
    ],
)
async def test_odd_answers_end_in_one_sentence(hub: Hub, info: dict[str, object]) -> None:
    hub.info |= info
    with pytest.raises(ModelError) as caught:
        await ask(hub)
    assert "\n" not in str(caught.value)


async def test_a_configuration_that_the_engine_does_not_run_is_told(hub: Hub) -> None:
    hub.contents["config.json"] = {**CONFIG, "architectures": ["NoSuchForCausalLM"]}
    with pytest.raises(Unreadable, match="Maker/Model is a NoSuchForCausalLM, which vLLM"):
        await ask(hub)
