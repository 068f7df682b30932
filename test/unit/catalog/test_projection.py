"""The projections of a model's layers: which there are, and what an adapter of them holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.catalog.catalog import load
from kaito.catalog.model import Model
from kaito.catalog.models import models
from kaito.catalog.projection import (
    ALL_LINEAR,
    LAYOUTS,
    adapted,
    adapter_parameters,
    projections,
    width,
)

TUNED = [m for m in models() if m.architecture in LAYOUTS and m.vocabulary and m.intermediate]
CATALOG = load()


def model(name: str) -> Model:
    found = CATALOG.find_model(name)
    assert found is not None
    return found


@pytest.mark.parametrize("each", TUNED, ids=lambda m: m.name)
def test_projections_and_vocabulary_are_all_the_parameters_of_a_model(each: Model) -> None:
    layers = sum(one.weights for one in projections(each) or ()) * (each.layers or 0)
    ends = (each.vocabulary or 0) * (each.hidden or 0)
    whole = (each.parameters_b or 0) * 1e9
    # One matrix may be both ends (tied); norms and biases are less than a thousandth.
    differences = [abs(whole - layers - count * ends) / whole for count in (1, 2)]
    assert min(differences) < 0.001 + 0.005e9 / whole  # parameters_b has two decimals


# Published counts of trained parameters: litgpt's resource tables print 4,194,304 and 6,553,600 for
# rank 8 on queries and values; the others are by the same rule, for each projection by hand.
@pytest.mark.parametrize(
    ("name", "targets", "rank", "count"),
    [
        ("llama-2-7b", ("q_proj", "v_proj"), 8, 4_194_304),
        ("llama-2-13b", ("q_proj", "v_proj"), 8, 6_553_600),
        ("llama-3.1-8b-instruct", (ALL_LINEAR,), 16, 41_943_040),
        ("phi-3-mini-4k-instruct", ("qkv_proj",), 8, 32 * 8 * (3072 + 9216)),
        ("falcon-7b", ("query_key_value",), 8, 32 * 8 * (4544 + 73 * 64)),
    ],
)
def test_an_adapter_has_as_many_parameters_as_published(
    name: str, targets: tuple[str, ...], rank: int, count: int
) -> None:
    assert adapter_parameters(model(name), targets, rank) == count


def test_a_target_may_be_written_with_the_path_before_it() -> None:
    llama = model("llama-3.1-8b-instruct")
    assert adapted(llama, ["self_attn.q_proj"]) == adapted(llama, ["q_proj"]) != ()


def test_a_target_that_a_model_does_not_have_adapts_nothing() -> None:
    assert adapted(model("phi-4"), ["q_proj"]) == ()


def test_an_architecture_that_is_not_known_has_no_projections() -> None:
    assert projections(model("gpt-oss-20b")) is None


@pytest.mark.parametrize("name", ["llama-3.1-8b-instruct", "phi-4", "falcon-7b", "phi-2"])
def test_a_width_that_nobody_tells_follows_from_the_rest(name: str) -> None:
    told = model(name)
    assert width(replace(told, intermediate=None)) == pytest.approx(width(told), rel=0.001)
