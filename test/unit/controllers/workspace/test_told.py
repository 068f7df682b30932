"""What the engine is told of memory counts in the account, and what it cannot do is refused."""

from __future__ import annotations

import pytest

from kaito.catalog.capability import VLLM
from kaito.catalog.estimate import Estimate, Misfit
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus
from kaito.controllers.workspace.told import Told, estimated, hindrance, on_nodes, split_problems
from test.unit.controllers.workspace.scene import CATALOG


def model(name: str) -> Model:
    found = CATALOG.find_model(name)
    assert found is not None
    return found


def gpus(size: str) -> Gpus:
    found = CATALOG.find_sku(size, cloud="azure")
    assert found is not None
    return found.gpus


PHI, LLAMA = model("phi-4"), model("llama-3.1-8b-instruct")
ONE, EIGHT = gpus("Standard_NC24ads_A100_v4"), gpus("Standard_ND96asr_v4")


def on(told: Told, *, of: Model = LLAMA, where: Gpus = ONE) -> Estimate:
    found = estimated(of, where, told)
    assert isinstance(found, Estimate)
    return found


def requests(told: Told) -> int:
    account = on(told).memory
    assert account is not None
    return account.requests(8192)


def test_more_memory_and_a_narrow_cache_make_room_for_more_requests() -> None:
    assert requests(Told(utilization=0.5)) < requests(Told()) < requests(Told(utilization=0.95))
    assert requests(Told(cached="fp8")) == pytest.approx(2 * requests(Told()), rel=0.05)


def test_what_is_not_told_of_a_split_follows_from_what_is() -> None:
    assert str(on(Told(), where=EIGHT).split) == "8x1x1"
    assert str(on(Told(tensor=8), where=EIGHT).split) == "1x8x1"
    assert str(on(Told(data=2), where=EIGHT).split) == "2x4x1"
    assert str(on(Told(pipeline=2), where=EIGHT).split) == "1x4x2"


@pytest.mark.parametrize(
    ("told", "of", "words"),
    [
        (Told(tensor=4, data=4), LLAMA, "multiplied are more than the GPUs of a node, 8 of"),
        (Told(tensor=4), PHI, "cannot share the 40 attention heads and 10 key-value heads"),
        (Told(tensor=3), LLAMA, "cannot share the 32 attention heads"),
        (Told(pipeline=33), LLAMA, "is more than the 32 layers of"),
    ],
)
def test_a_split_that_cannot_be_is_told(told: Told, of: Model, words: str) -> None:
    assert any(words in each for each in split_problems(of, EIGHT, told))


@pytest.mark.parametrize("told", [Told(), Told(tensor=8), Told(tensor=2, data=4)])
def test_a_split_that_can_be_is_not_told(told: Told) -> None:
    assert [*split_problems(LLAMA, EIGHT, told)] == []


def test_a_context_without_room_keeps_the_engine_from_starting() -> None:
    told = Told(context=131_072, utilization=0.3)
    found = on(told)
    said = hindrance(VLLM, LLAMA, ONE, found, told)
    assert said is not None
    assert "which is less than max-model-len of its ConfigMap" in said
    assert "131,072" not in said
    assert hindrance(VLLM, LLAMA, ONE, on(Told()), Told()) is None


def test_a_context_that_leaves_no_room_for_weights_is_told_without_its_value() -> None:
    small = gpus("Standard_NC4as_T4_v3")
    found = estimated(LLAMA, small, Told(context=100_000))
    assert isinstance(found, Misfit)
    assert "the cache for max-model-len of its ConfigMap leaves no room" in found.message
    assert "100" not in found.message


def test_gpus_that_the_engine_does_not_run_on_keep_it_from_starting() -> None:
    old = gpus("Standard_NC6s_v3")
    small = model("phi-3-mini-4k-instruct")
    said = hindrance(VLLM, small, old, on_nodes(small, old, 1, Told()), Told())
    assert said is not None
    assert "compute capability" in said


def test_gpus_that_a_split_leaves_idle_are_told() -> None:
    def idle(told: Told) -> bool:
        return any("GPUs idle" in each for each in on(told, where=EIGHT).advice)

    assert idle(Told(tensor=2))
    assert not idle(Told(tensor=2, data=4))
    assert not idle(Told())
