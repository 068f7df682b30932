"""training_config.yaml is read whole, or named in one sentence without its values."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import kaito.catalog
from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.config import Config, read
from kaito.engine.tuning.keys import SECTIONS, refusal

TEMPLATES = Path(kaito.catalog.__file__).parent / "data"
SECRET = "hunter2"
# As upstream's template for qlora is (kaito.md 5.3).
UPSTREAM = """
training_config:
  ModelConfig:
    torch_dtype: "bfloat16"
    local_files_only: true
    device_map: "auto"
  QuantizationConfig:
    load_in_4bit: true
    bnb_4bit_quant_type: "nf4"
    bnb_4bit_compute_dtype: "bfloat16"
    bnb_4bit_use_double_quant: true
  LoraConfig:
    r: 8
    lora_alpha: 8
    lora_dropout: 0.0
  TrainingArguments:
    output_dir: "/mnt/results"
    ddp_find_unused_parameters: false
    save_strategy: "no"
    per_device_train_batch_size: 1
  DataCollator:
    mlm: true
  DatasetConfig:
    shuffle_dataset: true
    train_test_split: 1
"""


def config(text: str, method: str = "lora", *, own_code: bool = False) -> Config:
    return read(text, method=method, output="/mnt/results", own_code=own_code)


def said(section: str, *lines: str) -> str:
    return f"training_config:\n  {section}:\n" + "".join(f"    {line}\n" for line in lines)


def refused(text: str, method: str = "lora") -> str:
    with pytest.raises(Ended) as caught:
        config(text, method)
    assert caught.value.ending == Ending.CONFIG_INVALID
    assert SECRET not in caught.value.sentence
    return caught.value.sentence


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_the_template_says_what_holds_where_nothing_is_said(method: str) -> None:
    template = (TEMPLATES / f"{method}_params_template.yaml").read_text()
    assert config(template, method).settings == config("", method).settings


def test_upstreams_template_is_understood() -> None:
    found = config(UPSTREAM, "qlora")
    assert found.quantization["load_in_4bit"] is True
    assert found.training["save_strategy"] == "no"
    assert found.training["max_length"] == 1024
    assert found.notices == (
        "DataCollator.mlm has no effect: these models learn to say the next token.",
        "ModelConfig.local_files_only has no effect: the manager says where weights come from.",
    )


def test_a_number_that_yaml_takes_for_a_text_is_a_number() -> None:
    found = config(said("TrainingArguments", "learning_rate: 1e-4", "max_steps: 30.0"))
    assert (found.training["learning_rate"], found.training["max_steps"]) == (1e-4, 30)


def test_a_name_of_an_older_release_means_the_new_one() -> None:
    assert config(said("TrainingArguments", "max_seq_length: 64")).training["max_length"] == 64
    assert "keep max_length" in refused(
        said("TrainingArguments", "max_seq_length: 64", "max_length: 65")
    )


@pytest.mark.parametrize(
    ("section", "line", "words"),
    [
        ("TrainingArguments", "num_train_epoch: 3", "no setting; the nearest is num_train_epochs"),
        ("TrainingArguments", f"num_train_epochs: {SECRET}", "must be a number above 0"),
        ("TrainingArguments", "num_train_epochs: .nan", "must be a number above 0"),
        ("TrainingArguments", "bf16: 1", "must be true or false"),
        ("TrainingArguments", "per_device_train_batch_size: 0", "a whole number from 1"),
        ("TrainingArguments", "seed: 1.5", "a whole number from 0"),
        ("TrainingArguments", f"optim: {SECRET}", "must be one of adamw_torch,"),
        ("TrainingArguments", "output_dir: /etc", "a directory below /mnt"),
        ("TrainingArguments", "output_dir: /mnt/../etc", "a directory below /mnt"),
        ("TrainingArguments", "report_to: wandb", "sends nothing anywhere"),
        ("TrainingArguments", "hub_token: hunter2", "sends nothing anywhere"),
        ("TrainingArguments", "push_to_hub: true", "sends nothing anywhere"),
        ("TrainingArguments", "deepspeed: /data/x.json", "one process runs for each GPU"),
        ("TrainingArguments", "fsdp_config: /data/x.json", "one process runs for each GPU"),
        ("TrainingArguments", "resume_from_checkpoint: /etc", "last whole checkpoint"),
        ("TrainingArguments", "logging_dir: /etc", "sends nothing anywhere"),
        ("ModelConfig", "trust_remote_code: true", "an administrator has to allow"),
        ("ModelConfig", "pretrained_model_name_or_path: x/y", "tuning.preset names the model"),
        ("ModelConfig", "torch_dtype: int8", "must be one of auto,"),
        ("LoraConfig", "r: 0", "a whole number from 1"),
        ("LoraConfig", "target_modules: {a: 1}", "a text or a list of texts"),
        ("LoraConfig", "modules_to_save: [lm_head]", "more than LoRA's own weights"),
        ("QuantizationConfig", "load_in_4bit: true", "this is lora"),
        ("QuantizationConfig", "load_in_4bit: 'yes'", "must be true or false"),
        ("DatasetConfig", "train_test_split: 0", "a number above 0 to 1"),
        ("DatasetConfig", "context_column: q", "needs response_column"),
        ("DataCollator", "tokenizer: x", "it is the model's"),
    ],
)
def test_a_setting_that_cannot_be_is_named(section: str, line: str, words: str) -> None:
    sentence = refused(said(section, line))
    assert words in sentence
    assert sentence.startswith(f"training_config.yaml: {section}")
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LoraConfig: {r: 8}", "all stands in training_config"),
        ("training_config: {Lora: {r: 8}}", "Lora is no section; the nearest is LoraConfig"),
        ("training_config: [a]", "must be a map of sections"),
        ("training_config: {LoraConfig: 5}", "LoraConfig must be a map"),
        ("- a", "must be a map that has training_config"),
        (f"a: {SECRET}\n  b: [", "is no YAML at line 2"),
        ("a: &x [1]\nb: *x", "repeats another part"),
        ("a: !!python/name:os.system x", "gives a value a type"),
        ("[" * 30, "deeper than 20 levels"),
        ("#" * 70_000, "longer than 65536"),
        ("a: 2001-99-99", "put it in quotes"),
        ("? {a: 1}\n: b", "is no YAML"),
    ],
)
def test_a_text_that_is_none_is_told_by_its_place(text: str, words: str) -> None:
    assert words in refused(text)


def test_a_quantisation_is_what_the_method_says() -> None:
    eight = config(said("QuantizationConfig", "load_in_8bit: true"), "qlora").quantization
    assert eight == {"load_in_8bit": True, "load_in_4bit": False}
    assert config("", "qlora").quantization["bnb_4bit_quant_type"] == "nf4"
    assert config("", "lora").quantization == {}
    both = said("QuantizationConfig", "load_in_4bit: true", "load_in_8bit: true")
    assert "keep one" in refused(both, "qlora")
    assert "needs load_in_4bit" in refused(
        said("QuantizationConfig", "load_in_4bit: false"), "qlora"
    )


def test_the_results_may_be_where_the_manager_says() -> None:
    text = said("TrainingArguments", "output_dir: /srv/out/x")
    read(text, method="lora", output="/srv/out")
    with pytest.raises(Ended):
        read(text, method="lora", output="/srv/ou")


def test_nothing_said_is_nothing_changed() -> None:
    assert config("training_config:\n  LoraConfig:\n").settings == config("").settings
    assert config(said("LoraConfig", "r:")).settings == config("").settings
    assert config(said("TrainingArguments", "report_to: none")).settings == config("").settings


def test_a_models_own_code_is_the_administrators() -> None:
    found = config(said("ModelConfig", "trust_remote_code: true"), own_code=True)
    assert found.model["trust_remote_code"] is True


def test_settings_have_a_digest() -> None:
    assert config("").digest == config("training_config: {}").digest
    assert config("").digest != config(said("LoraConfig", "r: 9")).digest


def test_what_is_refused_is_not_known() -> None:
    assert [
        f"{section}.{name}"
        for section, names in SECTIONS.items()
        for name in names
        if refusal(section, name) and name != "trust_remote_code"
    ] == []


def test_every_default_is_a_value_that_could_be_said() -> None:
    settings = {name: dict(section) for name, section in config("", "qlora").settings.items()}
    again = config(yaml.safe_dump({"training_config": settings}), "qlora")
    assert again.settings == settings
