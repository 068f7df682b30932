"""`kaito skus` says what clouds offer, at what price, and what runs there."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kaito.catalog.catalog import CLOUDS, load
from kaito.catalog.offer import models_on
from kaito.catalog.sku import Sku
from kaito.cli import main
from kaito.cli.naming import short
from kaito.cli.sku_report import text
from test.unit.cli.conftest import Answer, Ask

CATALOG = load()
AZURE = [sku for sku in CATALOG.skus.values() if sku.cloud == "azure"]


@pytest.fixture
def ask(kaito: Ask) -> Ask:
    """Runs `kaito skus`."""
    return partial(kaito, "skus")


def as_json(answer: Answer) -> Any:
    code, out, err = answer
    assert (code, err) == (0, "")
    return json.loads(out)


def names(answer: Answer) -> set[str]:
    return {each["name"] for each in as_json(answer)}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("more", [[], ["--retired"], ["--model", "phi-4-mini-instruct"]])
def test_the_list_keeps_to_80_columns(ask: Ask, cloud: str, more: list[str]) -> None:
    code, out, _ = ask("--cloud", cloud, *more)
    assert code == 0
    assert [line for line in out.splitlines() if len(line) > 80] == []


def test_what_is_known_of_each_size_keeps_to_80_columns() -> None:
    models = {sku.gpus: sku for sku in CATALOG.skus.values()}
    offers = {gpus: models_on(sku, CATALOG) for gpus, sku in models.items()}
    for sku in CATALOG.skus.values():
        said = text(sku, CATALOG.products[sku.gpus.product], offers[sku.gpus])
        assert [line for line in said.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_list_begins_with_the_cheapest_and_ends_with_what_has_no_price(
    ask: Ask, cloud: str
) -> None:
    found = as_json(ask("--cloud", cloud, "-o", "json"))
    prices = [each["price"] and each["price"]["usdPerHour"] for each in found]
    known = [price for price in prices if price is not None]
    assert known == sorted(known)
    assert prices == [*known, *[None] * (len(prices) - len(known))]


def test_retired_sizes_are_shown_on_demand_with_the_day(ask: Ask) -> None:
    offered = {sku.name for sku in AZURE if sku.retired is None}
    assert names(ask("-o", "json")) == offered
    assert names(ask("--retired", "-o", "json")) == {sku.name for sku in AZURE}
    _, out, _ = ask("--retired", "--gpu", "v100", "--count", "1")
    assert out.splitlines()[1].split() == [
        *("Standard_NC6s_v3", "1", "V100", "16Gi", "3.06", "7.0", "retired", "2025-09-30")
    ]


def test_a_retired_size_is_told_when_it_is_named(ask: Ask) -> None:
    code, out, _ = ask("standard_nc6s_v3")
    assert code == 0
    assert "Retired    azure offers it no more from 2025-09-30 on\n" in out


def test_a_size_whose_nodes_never_come_up_says_why(ask: Ask) -> None:
    _, out, _ = ask("--gpu", "gb300")
    assert out.splitlines()[1].endswith("  arm64")
    _, out, _ = ask("Standard_ND128isr_GB300_v6")
    assert "arm64, so that KAITO brings none up" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "holds"),
    [
        (["--gpu", "a100"], lambda sku: sku.gpus.product == "NVIDIA A100"),
        (["--gpu", "NVIDIA A10"], lambda sku: sku.gpus.product == "NVIDIA A10"),
        (["--count", "8"], lambda sku: sku.gpus.count == 8),
        (["--min-memory", "160"], lambda sku: sku.gpus.memory_gib >= 160),
        (["--max-price", "3.67"], lambda sku: sku.price and sku.price.usd_per_hour <= 3.67),
        (["--dtype", "bf16"], lambda sku: (sku.gpus.compute_capability or 0) >= 8),
        (["--dtype", "fp8"], lambda sku: (sku.gpus.compute_capability or 0) >= 8.9),
        (
            ["--gpu", "T4", "--count", "4"],
            lambda sku: (sku.gpus.product, sku.gpus.count) == ("NVIDIA T4", 4),
        ),
    ],
)
def test_a_filter_keeps_those_that_match_and_only_those(
    ask: Ask, arguments: list[str], holds: Callable[[Sku], bool]
) -> None:
    expected = {sku.name for sku in AZURE if holds(sku)}
    assert names(ask(*arguments, "--retired", "-o", "json")) == expected


def test_sizes_for_a_model_are_those_that_the_model_is_told_with(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "phi-4", "--cloud", "aws", "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["sizes"]
    found = as_json(ask("--model", "phi-4", "--cloud", "aws", "-o", "json"))
    assert [each["onSize"] for each in found if each["architecture"] == "amd64"] == told


def test_a_list_for_a_model_tells_its_context_there(ask: Ask) -> None:
    _, out, _ = ask("--model", "llama-3.1-8b-instruct", "--gpu", "A10")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0][5] == "CONTEXT"
    context = [row[6] for row in rows if row[0] == "Standard_NV36ads_A10_v5"]
    # As in test/unit/catalog/estimates.txt.
    assert context == ["24,016"]


def test_json_has_every_field_and_null_for_what_is_not_known(ask: Ask) -> None:
    for each in as_json(ask("--cloud", "aws", "--retired", "-o", "json")):
        sku = CATALOG.find_sku(each["name"], cloud="aws")
        assert sku is not None
        assert each["date"] == str(sku.date)
        assert (each["price"] is None) == (sku.price is None)
        assert each["gpus"]["computeCapability"] == sku.gpus.compute_capability
        assert (each["gpus"]["dtypes"] is None) == (sku.gpus.compute_capability is None)
        assert each["price"] or each["unknown"]


def test_one_size_is_told_with_its_sources_and_days(ask: Ask) -> None:
    _, out, _ = ask("Standard_NC24ads_A100_v4")
    said = " ".join(out.split())
    assert "1 x NVIDIA A100 (80 GiB), compute capability 8.0" in said
    assert "Data types float32, float16, int8, bfloat16 Slices 1g.10gb, " in said
    assert "24 vCPUs, 220 GiB of memory, 894 GiB of NVMe, amd64" in said
    assert "$3.67 an hour (eastus list price of 2026-06-18)" in said
    assert "Source size pages of Azure Virtual Machines" in said
    assert "GPUs: NVIDIA, CUDA GPU Compute Capability" in said
    assert "Price: Azure Retail Prices API" in said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("Standard_NC6s_v3", "NVIDIA V100 has compute capability 7.0, and vLLM 0.25.1 needs 7.5."),
        ("Standard_NC4as_T4_v3", "vLLM 0.25.1 in bfloat16 needs 8.0."),
        ("Standard_NC4as_T4_v3", "cannot read weights in mxfp4-pack-quantized, mxfp4, modelopt."),
        ("Standard_ND96isr_MI300X_v5", "KAITO runs vLLM on NVIDIA GPUs"),
        ("g5.xlarge", "widens to 16 bits, to compute with them, weights in fp8, float-quantized"),
        ("p6-b200.48xlarge", "Engines vLLM 0.25.1 runs. transformers 5.14.1 runs. Runs 71 models"),
        ("Standard_NV4as_v4", "Not known compute capability: NVIDIA's alone"),
    ],
)
def test_one_size_tells_what_engines_object_to(ask: Ask, size: str, said: str) -> None:
    assert said in " ".join(ask(size)[1].split())


def test_one_size_names_the_largest_models_that_run_there(ask: Ask) -> None:
    models = as_json(ask("Standard_NC24ads_A100_v4", "-o", "json"))["models"]
    known = [CATALOG.models[each["model"].lower()] for each in models]
    order = [(each.historical, -(each.weights_gib or 0)) for each in known]
    assert order == sorted(order)
    assert models[0]["model"] == "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"
    _, out, _ = ask("Standard_NC24ads_A100_v4")
    assert "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16" in out


@pytest.mark.parametrize(
    ("product", "expected"),
    [
        ("NVIDIA A100", "A100"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000"),
        ("AMD Radeon Instinct MI25", "MI25"),
        ("AWS Trainium", "Trainium"),
    ],
)
def test_a_gpu_is_named_by_what_tells_it_from_others(product: str, expected: str) -> None:
    assert short(product) == expected


def test_no_two_gpus_have_one_name() -> None:
    assert len({short(product) for product in CATALOG.products}) == len(CATALOG.products)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["Standard_NC24ads_A100_v5"], 1, "Near: Standard_NC24ads_A100_v4, "),
        (["NC24"], 1, "Near: Standard_NC24ads_A100_v4, "),
        (["NC96ads"], 1, "Near: Standard_NC96ads_A100_v4. "),
        (["p5.48xlarge", "--cloud", "azure"], 1, "p5.48xlarge is no size of azure in "),
        (["--gpu", "B200"], 1, "No size of azure has --gpu B200: there are A10, A100, "),
        (["--gpu", "V100", "--count", "1"], 1, "--retired shows 1 size that azure offers no more"),
        (["--max-price", "0"], 1, "`kaito skus --cloud azure` lists all"),
        (["--model", "nope"], 1, "nope is no model of the catalogue"),
        (["--model", "moonshotai/Kimi-K2.5", "--cloud", "arc"], 1, "on one node of none of them"),
        (["Standard_NC24ads_A100_v4", "--count", "1"], 2, "--count and a NAME"),
    ],
)
def test_what_cannot_be_told_ends_with_one_line_and_the_way_out(
    ask: Ask, arguments: list[str], code: int, said: str
) -> None:
    answer = ask(*arguments)
    assert answer[:2] == (code, "")
    assert len(answer[2].splitlines()) == 1
    assert said in answer[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "0"], "'0' is no number of GPUs; take 1 or more"),
        (["--min-memory", "nan"], "'nan' is no amount"),
        (["--max-price", "-1"], "'-1' is no amount"),
        (["--dtype", "fp2"], "invalid choice: 'fp2'"),
        (["--cloud", "gcp"], "invalid choice: 'gcp'"),
    ],
)
def test_a_wrong_option_is_named_with_its_value(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["skus", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
