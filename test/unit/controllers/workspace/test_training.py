"""Trainings that Workspaces ask for: what is read of their settings, what is refused and told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api import labels
from kaito.api.workspace import Workspace
from kaito.catalog.training import Training
from kaito.controllers.workspace.defaults import default_parameters
from kaito.controllers.workspace.quote import Quote, quote
from kaito.controllers.workspace.training import training_of
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import CATALOG, SETTINGS, seen
from test.unit.controllers.workspace.tuning_scene import tuned

T4 = "Standard_NC4as_T4_v3"
SETTINGS_TEXT = """
training_config:
  QuantizationConfig: {load_in_4bit: true, bnb_4bit_use_double_quant: false}
  LoraConfig: {r: 64, target_modules: [q_proj, v_proj], lora_dropout: 0.1}
  TrainingArguments:
    per_device_train_batch_size: 4
    max_length: 2048
    gradient_checkpointing: false
    optim: paged_adamw_8bit
    label_smoothing_factor: 0.1
"""


def config(text: str) -> Object:
    return {"metadata": {"name": "settings"}, "data": {"training_config.yaml": text}}


def training(text: str | None = None, method: str = "lora") -> Training:
    read = Workspace.as_written(tuned(method=method))
    assert read.tuning is not None
    return training_of(read.tuning, None if text is None else config(text))


def asked(found: Object, **surroundings: Any) -> Quote:
    return quote(seen(found, **surroundings), None, catalog=CATALOG, settings=SETTINGS)


@pytest.mark.parametrize("method", ["lora", "qlora", "QLoRA"])
def test_a_template_says_what_is_taken_where_nothing_is_said(method: str) -> None:
    assert training(default_parameters(method), method) == training(None, method)


def test_settings_of_a_config_map_are_read() -> None:
    assert training(SETTINGS_TEXT, "qlora") == Training(
        method="qlora",
        bits=4,
        double=False,
        rank=64,
        targets=("q_proj", "v_proj"),
        dropout=True,
        batch=4,
        length=2048,
        checkpointing=False,
        whole_logits=True,
        optimizer="paged_adamw_8bit",
    )


def test_the_older_name_of_the_longest_example_counts() -> None:
    assert training("training_config: {TrainingArguments: {max_seq_length: 77}}").length == 77


def test_a_number_in_quotes_is_a_number() -> None:
    assert training("training_config: {LoraConfig: {r: '64'}}").rank == 64


def test_float32_is_wide() -> None:
    assert training("training_config: {ModelConfig: {torch_dtype: float32}}").wide


def test_eight_bits_are_taken_for_eight_bits() -> None:
    text = "training_config: {QuantizationConfig: {load_in_8bit: true}}"
    assert training(text, "qlora").bits == 8


@given(st.text(max_size=200))
def test_what_cannot_be_understood_is_as_if_nothing_was_said(text: str) -> None:
    assert training(f'training_config: "{text!r}"') == training()


@pytest.mark.parametrize("value", ["0", "-5", "true", "null", "1.5", "{}", "[[]]", "'.*proj'"])
@pytest.mark.parametrize("name", ["r", "target_modules"])
def test_a_value_that_is_none_is_as_if_it_was_not_said(name: str, value: str) -> None:
    assert training(f"training_config: {{LoraConfig: {{{name}: {value}}}}}") == training()


def test_a_training_that_fits_is_told_with_its_memory_speed_and_price() -> None:
    found = asked(tuned())
    assert found.possible
    assert found.runs
    assert found.estimate is None
    assert found.tuned is not None
    assert found.tuned.footprint is not None
    assert found.tuned.footprint.fits
    assert found.speed is not None
    assert found.cost is not None
    assert found.sizes == ()
    assert [phase.name for phase in found.phases][-1] == "load"
    assert [each["kind"] for each in found.objects] == ["Machine", "Job"]


def test_the_node_is_asked_for_with_the_disk_that_training_takes() -> None:
    found = asked(tuned())
    assert found.tuned is not None
    assert found.plan is not None
    assert found.plan.disk_gib == found.tuned.disk_gib
    (machine,) = (each for each in found.objects if each["kind"] == "Machine")
    storage = machine["spec"]["resources"]["requests"]["storage"]
    assert storage == f"{found.tuned.disk_gib}Gi"


def test_a_training_that_does_not_fit_is_refused_with_the_way_out_and_sizes() -> None:
    found = asked(tuned(preset={"name": "phi-4"}, resource={"instanceType": T4}))
    (problem,) = found.problems
    assert problem.path == "tuning.preset.name"
    assert "take method qlora" in problem.message
    assert "sizes that do are" in problem.message
    assert found.sizes[0].sku.name in problem.message
    assert found.objects == ()


def test_the_settings_decide_what_fits() -> None:
    small = tuned(preset={"name": "phi-4"}, method="qlora", resource={"instanceType": T4})
    assert asked(small).possible
    text = SETTINGS_TEXT.replace("[q_proj, v_proj]", "all-linear")
    large = asked({**small, "tuning": {**small["tuning"], "config": "c"}}, config=config(text))
    (problem,) = large.problems
    assert "per_device_train_batch_size" in problem.message or "max_length" in problem.message


@pytest.mark.parametrize("resource", [{}, {"instanceType": ""}])
def test_a_model_that_cannot_be_tuned_is_refused_wherever_it_is(resource: Object) -> None:
    found = asked(tuned(preset={"name": "gpt-oss-20b"}, resource=resource))
    (problem,) = found.problems
    assert "presets near its size that can be are phi-3-medium-128k-instruct," in problem.message
    assert (found.tuned, found.sizes) == (None, ())


def test_who_answers_for_it_gets_it_and_is_told_that_it_will_not_train() -> None:
    found = asked(
        tuned(
            preset={"name": "phi-4"},
            resource={"instanceType": T4},
            metadata={"annotations": {labels.BYPASS_RESOURCE_CHECKS: "true"}},
        )
    )
    assert found.possible
    assert found.runs is False
    assert found.hindrance is not None
    assert "GiB of each GPU" in found.hindrance
    assert found.sizes


def test_a_missing_token_of_a_tuning_is_the_only_thing_that_is_missing() -> None:
    found = asked(tuned(preset={"name": "llama-3.1-8b-instruct"}))
    (problem,) = found.problems
    assert problem.path == "tuning.preset.presetOptions.modelAccessSecret"
    assert found.cost is not None
    assert [each["kind"] for each in found.objects] == ["Machine", "Job"]


def test_another_size_that_does_not_fit_is_refused() -> None:
    found = asked(
        tuned(preset={"name": "phi-4"}, metadata={"annotations": {labels.INSTANCE_TYPES: T4}})
    )
    (problem,) = found.problems
    assert labels.INSTANCE_TYPES in problem.path
    assert "take method qlora" in problem.message
