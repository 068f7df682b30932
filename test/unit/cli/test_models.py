"""`kaito models` says what there is, where it runs and at what price, and what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest

from kaito.catalog.catalog import load
from kaito.catalog.estimate import Estimate, estimate
from kaito.catalog.model import Model
from kaito.catalog.offer import sizes_of
from kaito.cli.model_report import text
from kaito.cli.naming import preset
from test.unit.cli.conftest import Answer, Ask

CATALOG = load()
MODELS = list({model.name: model for model in CATALOG.models.values()}.values())
CURRENT = [model for model in MODELS if not model.historical]


@pytest.fixture
def ask(kaito: Ask) -> Ask:
    """Runs `kaito models`."""
    return partial(kaito, "models")


def listed(answer: Answer) -> list[dict[str, Any]]:
    code, out, err = answer
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def named(answer: Answer) -> dict[str, Any]:
    code, out, err = answer
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--historical"],
        ["--cloud", "aws"],
        ["--cloud", "arc"],
        ["--size", "Standard_NC4as_T4_v3", "--historical"],
        ["--size", "Standard_ND96isr_H200_v5"],
        ["--size", "p6-b300.48xlarge", "--historical"],
    ],
)
def test_the_list_keeps_to_80_columns(ask: Ask, arguments: list[str]) -> None:
    _, out, _ = ask(*arguments)
    assert [line for line in out.splitlines() if len(line) > 80] == []


def test_what_is_known_of_each_model_keeps_to_80_columns() -> None:
    for model in MODELS:
        sizes = list(islice(sizes_of(model, CATALOG, cloud="azure"), 3))
        said = text(model, sizes, None, cloud="azure")
        assert [line for line in said.splitlines() if len(line) > 80] == []


def test_the_list_has_every_preset_of_today_under_the_name_to_write(ask: Ask) -> None:
    _, out, _ = ask()
    words = [line.split()[0] for line in out.splitlines() if line[:1].strip()]
    assert words[1 : len(CURRENT) + 1] == [preset(model) for model in CURRENT]


def test_presets_of_earlier_releases_are_shown_on_demand(ask: Ask) -> None:
    assert [each["name"] for each in listed(ask("-o", "json"))] == [m.name for m in CURRENT]
    every = listed(ask("--historical", "-o", "json"))
    assert [each["name"] for each in every] == [model.name for model in MODELS]


def test_a_row_tells_the_cheapest_size_and_its_price(ask: Ask) -> None:
    _, out, _ = ask("--search", "phi-4", "--max-weights", "30")
    assert out.splitlines()[1].split() == [
        *("phi-4", "27.3Gi", "16K", "Standard_NC24ads_A100_v4", "3.67")
    ]


def test_no_size_that_runs_a_model_is_cheaper_than_the_one_that_is_told(ask: Ask) -> None:
    for each in listed(ask("--cloud", "aws", "-o", "json")):
        model = CATALOG.find_model(each["name"])
        assert model is not None
        cheaper = [
            sku.name
            for sku in CATALOG.skus.values()
            if sku.cloud == "aws"
            and sku.gpus.vendor == "nvidia"
            and sku.architecture == "amd64"
            and sku.price is not None
            and sku.price.usd_per_hour < each["cheapest"]["usdPerHour"] - 1e-4
            and (sku.gpus.compute_capability or 0) >= 10  # no engine objects to these
            and isinstance(found := estimate(model, sku.gpus), Estimate)
            and found.nodes == 1
            and not found.problems
        ]
        assert cheaper == []


def test_a_gated_model_is_marked_and_the_mark_explained(ask: Ask) -> None:
    _, out, _ = ask("--search", "llama-3.1")
    assert out.splitlines()[1].endswith("  *")
    assert "* gated" in out
    _, out, _ = ask("--access", "open")
    assert "*" not in out


def test_on_a_size_the_nodes_and_the_longest_context_are_told(ask: Ask) -> None:
    _, out, _ = ask("--size", "standard_nc4as_t4_v3", "--search", "llama-3.1-8b")
    header, row = out.splitlines()[:2]
    assert header.split() == ["NAME", "WEIGHTS", "NODES", "CONTEXT", "OF", "DTYPE", "$/HOUR"]
    # Two nodes of $0.526; nodes and context are those of test/unit/catalog/estimates.txt.
    assert row.split() == [
        *("llama-3.1-8b-instruct", "15.0Gi", "2", "58,272", "128K", "float16", "1.05", "*")
    ]


def test_a_model_that_leaves_no_room_or_that_the_engine_cannot_read_is_not_on_the_size(
    ask: Ask,
) -> None:
    there = {each["preset"] for each in listed(ask("--size", "Standard_NC4as_T4_v3", "-o", "json"))}
    assert "phi-4" in there
    assert "gemma-3-4b-instruct" not in there  # float32, with no room for requests
    assert "gpt-oss-20b" not in there  # mxfp4, which takes capability 8.0


@pytest.mark.parametrize(
    ("option", "value", "holds"),
    [
        ("--license", "MIT", lambda model: model.license == "mit"),
        ("--access", "gated", lambda model: model.access == "gated"),
        ("--quantization", "fp8", lambda model: model.quantization == "fp8"),
        ("--quantization", "none", lambda model: model.quantization is None),
        ("--architecture", "llamaforcausallm", lambda m: m.architecture == "LlamaForCausalLM"),
        ("--max-weights", "10", lambda model: model.weights_gib <= 10),
        ("--search", "QWEN", lambda model: "qwen" in f"{model.name} {model.aliases}".lower()),
    ],
)
def test_a_filter_keeps_those_that_match_and_only_those(
    ask: Ask, option: str, value: str, holds: Callable[[Model], bool]
) -> None:
    found = [each["name"] for each in listed(ask(option, value, "-o", "json"))]
    assert found == [model.name for model in CURRENT if holds(model)]


def test_json_has_every_field_and_null_for_what_is_not_known(ask: Ask) -> None:
    for each in listed(ask("--historical", "-o", "json")):
        model = CATALOG.find_model(each["name"])
        assert model is not None
        assert each["weightsGiB"] == model.weights_gib
        assert each["date"] == str(model.date)
        unknown = {key for key, value in each.items() if value is None}
        assert set(each["missing"]) <= unknown
        assert bool(each["missing"]) == bool(each["unknown"])


def test_one_model_is_told_with_source_and_date_and_what_is_not_known(ask: Ask) -> None:
    code, out, _ = ask("MISTRALAI/Mistral-Large-3-675B-Instruct-2512")
    said = " ".join(out.split())
    assert code == 0
    assert "Preset mistral-large-3-675b-instruct or mistralai/Mistral-Large-3-675B" in said
    assert "Source KAITO v0.12.0" in said
    assert "read on 2026-08-21" in said
    assert "Not known vocabulary: " in said


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        # 2 x 8 heads x 128 x 2 bytes x 32 layers
        ("llama-3.1-8b-instruct", ["32 layers: 128 KiB for every token"]),
        # 2 x 4 heads x 256 x 2 bytes x 29 and 5 layers
        (
            "gemma-3-4b-instruct",
            [
                "29 layers: 116 KiB for each of the last 1,024 tokens",
                "5 layers: 20 KiB for every token",
            ],
        ),
        # (512 + 64) x 2 bytes x 61 layers
        ("deepseek-r1-0528", ["61 layers: 68.6 KiB for every token, latent"]),
        ("Qwen/Qwen3.6-27B", ["48 layers: 147 MiB for a request of any length"]),
    ],
)
def test_the_cache_is_told_by_groups_of_like_layers(ask: Ask, name: str, lines: list[str]) -> None:
    _, out, _ = ask(name)
    for line in lines:
        assert f"- {line}\n" in out


def test_the_sizes_of_one_model_are_the_cheapest_first(ask: Ask) -> None:
    sizes = named(ask("phi-4", "--cloud", "aws", "-o", "json"))["sizes"]
    prices = [each["usdPerHour"] for each in sizes]
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    assert prices == [*known, *[None] * (len(prices) - len(known))]
    assert {each["cloud"] for each in sizes} == {"aws"}
    assert all(each["nodes"] == 1 and each["maxContext"] for each in sizes)


def test_one_model_on_one_size_tells_the_nodes_and_the_risk(ask: Ask) -> None:
    _, out, _ = ask("phi-4", "--size", "Standard_NC4as_T4_v3")
    said = " ".join(out.split())
    assert "Standard_NC4as_T4_v3 3 x 1.58 16,384" in said
    assert "runs in float16" in said


def test_one_model_on_a_size_that_does_not_run_it_tells_why(ask: Ask) -> None:
    code, out, _ = ask("gpt-oss-20b", "--size", "Standard_NC4as_T4_v3")
    assert code == 1
    assert "vLLM 0.25.1 with mxfp4 weights needs 8.0" in " ".join(out.split())
    code, out, _ = ask("gpt-oss-20b", "--size", "Standard_NC4as_T4_v3", "-o", "json")
    found = json.loads(out)
    assert code == 1
    assert found["sizes"] == []
    assert "needs 8.0" in found["misfit"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["phi4"], 1, "phi4 is no model of the catalogue. Near: phi-4, "),
        (["kimi"], 1, "Near: moonshotai/Kimi-K2.5, "),
        (["my/own"], 1, "`kaito plan` reads it."),
        (["--size", "Standard_NC6"], 1, "No model runs on Standard_NC6"),
        (["--size", "Standard_NC24"], 1, "`kaito models` names the cheapest size"),
        (["--size", "NC24ads"], 1, "NC24ads is no size of azure or aws or arc"),
        (["--size", "p5.48xlarge", "--cloud", "azure"], 1, "p5.48xlarge is no size of azure"),
        (["--license", "gpl"], 1, "No model has --license gpl: there are apache-2.0, "),
        (["--quantization", "int3"], 1, "No model has --quantization int3: there are "),
        (["--search", "falcon"], 1, "--historical shows 4 presets"),
        (["--search", "nothing"], 1, "`kaito models` lists all"),
        (["phi-4", "--access", "open"], 2, "--access and a NAME"),
    ],
)
def test_what_cannot_be_told_ends_with_one_line_and_the_way_out(
    ask: Ask, arguments: list[str], code: int, said: str
) -> None:
    answer = ask(*arguments)
    assert answer[:2] == (code, "")
    assert len(answer[2].splitlines()) == 1
    assert said in answer[2]
