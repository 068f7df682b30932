"""Models of no catalogue: asked for once, waited for by no turn, kept with what runs."""

from __future__ import annotations

import asyncio
import datetime
import json
from dataclasses import replace

import pytest

from kaito.catalog.cache import Cache
from kaito.catalog.config import ModelError
from kaito.catalog.model import Model
from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.strangers import (
    AGAIN_SECONDS,
    ANNOTATION,
    ANNOTATION_LENGTH,
    Strangers,
    Unread,
    noted,
    written,
)
from kaito.testing import VirtualClock
from test.unit.controllers.workspace.scene import (
    CATALOG,
    SETTINGS,
    condition,
    decided,
    held,
    kinds,
    own_node,
    ready_machine,
    says,
    seen,
    serving,
)

LLM = Model(
    name="acme/llm",
    weights_gib=3.5,
    context=8192,
    layers=32,
    hidden=2048,
    heads=16,
    kv_heads=8,
    head_dim=128,
    caches=(Cache(kind="full", layers=32, kv_heads=8, head_dim=128),),
    revision="a" * 40,
    source="https://huggingface.co/acme/llm",
    date=datetime.date(2026, 11, 21),
)
READING = Unread(message="It is being read.", failed=False, look_again=1.0)
LOST = Unread(message="There is no way to Hugging Face.", failed=True, look_again=60.0)


async def settle() -> None:
    """Let the readings that can end do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_model_is_read_once_and_no_turn_waits() -> None:
    asked: list[str] = []

    async def read(name: str) -> Model:
        asked.append(name)
        return LLM

    strangers = Strangers(read, VirtualClock())
    first = strangers.ask("acme/llm")
    assert isinstance(first, Unread)
    assert not first.failed
    await settle()
    assert strangers.ask("acme/llm") is LLM
    assert strangers.ask("acme/llm") is LLM
    assert asked == ["acme/llm"]


async def test_a_reading_that_failed_is_told_and_tried_again_after_a_while() -> None:
    asked: list[str] = []
    clock = VirtualClock()

    async def read(name: str) -> Model:
        asked.append(name)
        raise ModelError("acme/llm is not on Hugging Face.")

    strangers = Strangers(read, clock)
    strangers.ask("acme/llm")
    await settle()
    answer = strangers.ask("acme/llm")
    assert answer == Unread(
        message="acme/llm is not on Hugging Face.", failed=True, look_again=AGAIN_SECONDS
    )
    assert len(asked) == 1
    await clock.advance(AGAIN_SECONDS)
    assert strangers.ask("acme/llm") != answer
    await settle()
    assert len(asked) == 2


async def test_a_reader_that_breaks_is_told_without_its_entrails() -> None:
    async def read(name: str) -> Model:
        raise RuntimeError("secret")

    strangers = Strangers(read, VirtualClock())
    strangers.ask("acme/llm")
    await settle()
    answer = strangers.ask("acme/llm")
    assert isinstance(answer, Unread)
    assert answer.message == "acme/llm could not be read: RuntimeError."


async def test_what_is_being_read_ends_with_the_daemon() -> None:
    cancelled = asyncio.Event()

    async def read(name: str) -> Model:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return LLM

    strangers = Strangers(read, VirtualClock())
    strangers.ask("acme/llm")
    await settle()
    await strangers.aclose()
    assert cancelled.is_set()


def test_a_model_comes_back_from_its_annotation() -> None:
    deployment = {"metadata": {"annotations": {ANNOTATION: written(LLM)}}}
    found = noted(deployment, "Acme/LLM")
    assert found is not None
    assert written(found) == written(LLM)


@pytest.mark.parametrize("known", CATALOG.models.values(), ids=lambda model: model.name)
def test_every_model_of_the_catalogue_could_be_noted(known: Model) -> None:
    text = written(known)
    assert len(text) <= ANNOTATION_LENGTH
    found = noted({"metadata": {"annotations": {ANNOTATION: text}}}, known.name)
    assert found is not None
    assert json.loads(written(found)) == json.loads(text)
    assert found.cache_groups == known.cache_groups


@pytest.mark.parametrize(
    "changes",
    [
        {"weights_gib": 5e6},
        {"weights_gib": -1},
        {"weights_gib": 0},
        {"layers": 0},
        {"layers": 10**6},
        {"kv_heads": -8},
        {"kv_lora_rank": -1},
        {"rope_head_dim": -1},
        {"vocabulary": 10**15},
        {"architecture": "EvilForCausalLM"},
        {"revision": "refs/pr/1"},
        {"quantization": "x" * 81},
        {"quantization": "\x1b[31m"},
        {"aliases": ["a\nb"]},
        {"caches": [{"kind": "full", "layers": 10**12, "kv_heads": 1, "head_dim": 1}]},
        {"caches": [{"kind": "full", "layers": 0, "kv_heads": 1, "head_dim": 1}]},
        {"caches": [{"kind": "state", "layers": 1, "bytes": 1}] * 100},
    ],
)
def test_a_note_that_no_model_can_be_is_as_none(changes: dict[str, object]) -> None:
    text = json.dumps({**json.loads(written(LLM)), **changes})
    assert noted({"metadata": {"annotations": {ANNOTATION: text}}}, "acme/llm") is None


def test_a_note_decides_about_no_disk_and_no_parser() -> None:
    extra = {"disk_gib": 30_000, "tool_parser": "../../x", "chat_template": "/tmp/x"}
    text = json.dumps({**json.loads(written(LLM)), **extra})
    found = noted({"metadata": {"annotations": {ANNOTATION: text}}}, "acme/llm")
    assert found is not None
    assert found.disk == LLM.disk
    assert (found.tool_parser, found.chat_template) == (None, None)


def test_the_prose_of_strangers_is_not_kept() -> None:
    long = replace(LLM, license="x" * 5000, unknown="y" * 5000)
    assert len(written(long)) <= ANNOTATION_LENGTH


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": 1}', written(LLM)[:-1], written(LLM) + " " * 5000]
)
def test_an_annotation_that_says_something_else_is_as_none(text: str) -> None:
    assert noted({"metadata": {"annotations": {ANNOTATION: text}}}, "acme/llm") is None


def test_the_annotation_of_another_model_is_as_none() -> None:
    assert noted({"metadata": {"annotations": {ANNOTATION: written(LLM)}}}, "acme/other") is None


# What is decided meanwhile


def test_a_model_that_is_being_read_is_waited_for() -> None:
    found = seen(held(inference={"preset": {"name": "acme/llm"}}), unread=READING)
    decision = decided(found)
    assert says(decision, "ResourceReady") == ("Unknown", "ReadingModel")
    assert (decision.status or {})["state"] == "Pending"
    assert decision.objects == ()
    assert decision.look_again == 1.0


def test_a_model_that_could_not_be_read_is_told_and_looked_for_again() -> None:
    found = seen(held(inference={"preset": {"name": "acme/llm"}}), unread=LOST)
    decision = decided(found)
    assert says(decision, "ResourceReady") == ("False", "UnknownPreset")
    assert condition(decision, "ResourceReady")["message"] == LOST.message
    assert decision.look_again == 60.0


def test_what_runs_is_not_spoken_of_while_its_model_is_read() -> None:
    running = serving()
    named = {**running.workspace, "inference": {"preset": {"name": "acme/llm"}}}
    decision = decided(replace(running, workspace=named, unread=READING))
    assert decision.status is None
    assert decision.deletions == ()


def test_a_model_that_was_read_is_served_at_its_commit() -> None:
    found = seen(
        held(
            inference={"preset": {"name": "acme/llm"}},
        ),
        orders=(ready_machine(),),
        nodes=(own_node(),),
    )
    decision = decide(found, CATALOG.with_model(LLM), SETTINGS)
    assert kinds(decision) == ["Machine", "Service", "Deployment"]
    deployment = decision.objects[2]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert f"--revision={LLM.revision}" in container["command"]
    assert deployment["metadata"]["annotations"][ANNOTATION] == written(LLM)
