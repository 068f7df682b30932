"""ConfigMaps with settings are judged by what they hold, and never quoted."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.rules import Problem
from kaito.controllers.workspace.parameters import (
    INFERENCE_KEY,
    TRAINING_KEY,
    config_hash,
    inference_problems,
    inference_slips,
    told_by,
    training_problems,
)
from kaito.controllers.workspace.told import Told
from kaito.runtime import Object

SECTIONS = "kv_cache_cpu_memory_utilization, max_probe_steps and vllm"


def config(text: str, key: str = INFERENCE_KEY) -> Object:
    return {"metadata": {"name": "c"}, "data": {key: text}}


def said(text: str, context: int | None = 4096) -> list[str]:
    start = f"ConfigMap c (inference.config), {INFERENCE_KEY}: "
    found = [each.message for each in inference_problems(config(text), context=context)]
    assert all(message.startswith(start) and message.endswith(".") for message in found)
    return [message.removeprefix(start).removesuffix(".") for message in found]


@pytest.mark.parametrize("flag", ["max-model-len", "max_model_len", "max_model-len"])
def test_a_flag_means_the_same_with_either_dash(flag: str) -> None:
    assert told_by(config(f"vllm: {{{flag}: 2048}}")).context == 2048
    assert said(f"vllm: {{{flag}: 4096}}") == []
    assert said(f"vllm: {{{flag}: 4097}}") == [
        "vllm.max-model-len must be at most 4096, which is all that the model takes"
    ]


def test_every_section_that_is_read_is_known() -> None:
    text = "vllm: {a: 1}\nmax_probe_steps: 6\nkv_cache_cpu_memory_utilization: 0.5"
    assert said(text) == []
    assert said("vLLM: {a: 1}") == [f"vLLM is no section; sections are {SECTIONS}"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert said("vLLM: 1\nvllm: {a: [1], max-model-len: 0}") == [
        f"vLLM is no section; sections are {SECTIONS}",
        "vllm.a must be one value, as on a command line",
        "vllm.max-model-len must be a whole number of tokens, at least 1",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty: write settings there, or name no ConfigMap"),
        ("# vllm: {}", "it is empty: write settings there, or name no ConfigMap"),
        ("just words", "it must be a map"),
        (
            'vllm: {a: !!int ""}',
            "it cannot be read: a ! gives a value a type: write the value alone",
        ),
        (
            "vllm: {a: !!bool x}",
            "it cannot be read: a ! gives a value a type: write the value alone",
        ),
        ("a: !secret x", "it cannot be read: a ! gives a value a type: write the value alone"),
        ("a: &x 1\nb: *x", "it cannot be read: a * repeats another part: write it out"),
        ("a: 2026-99-99", "it holds a number or a date that is none: put it in quotes"),
        ("a: 0b_", "it holds a number or a date that is none: put it in quotes"),
        ("{a: }}", "it cannot be read as YAML: line 1, column 6: "),
        ("a: \x07", "it cannot be read as YAML: "),
    ],
)
def test_what_cannot_be_read_is_told_in_words_of_ours(text: str, words: str) -> None:
    (found,) = said(text)
    assert found.startswith(words)
    assert "<unicode string>" not in found


def test_what_yaml_expected_is_told() -> None:
    (found,) = said("vllm: [1, 2")
    assert "',' or ']'" in found


def test_a_tab_is_told_with_its_place() -> None:
    (found,) = said("vllm:\n\ta: 1")
    assert found.startswith("it cannot be read as YAML: line 2, column 1: found")


SECRET = "h4nter2"
NAMED = re.compile(
    r"\S+ is no (section|setting|flag)"
)  # a name, which may be glued to something else
secrets = st.sampled_from([SECRET, f"{SECRET}: [", f"'{SECRET}", f"!{SECRET}", f"*{SECRET}"])
hidden = st.recursive(
    secrets | st.just([SECRET]), lambda inner: st.dictionaries(st.just("a"), inner), max_leaves=3
)
settings_there = st.fixed_dictionaries(
    {},
    optional={
        "vllm": hidden
        | st.fixed_dictionaries({"max-model-len": hidden, "tool": hidden})
        | st.fixed_dictionaries({"max_model_len": hidden}),
        "training_config": hidden
        | st.fixed_dictionaries(
            {
                "QuantizationConfig": st.fixed_dictionaries({"load_in_4bit": hidden}),
                "TrainingArguments": st.fixed_dictionaries({"output_dir": hidden}),
                "LoraConfig": hidden,
            }
        ),
    },
)


@given(
    text=settings_there.map(yaml.safe_dump)
    | settings_there.map(lambda found: str(found).replace(f"'{SECRET}'", f"&{SECRET} {SECRET}\t"))
    | st.lists(secrets | st.sampled_from(["a: ", "\n", "\t", "{", "%", "\x00", "@"])).map("".join)
)
def test_nothing_that_is_in_a_config_map_gets_out_by_a_sentence(text: str) -> None:
    """But the names of its sections and flags."""
    told = [
        *(Problem(path="", message=slip) for slip in inference_slips(config(text))),
        *inference_problems(config(text), context=10),
        *training_problems(config(text, TRAINING_KEY), method="qlora"),
    ]
    for each in told:
        assert SECRET not in NAMED.sub("", each.message), each


# What the trainer is told


def trained(section: str) -> list[str]:
    """What is said of the settings of one section."""
    text = f"training_config:\n  {section}"
    found = training_problems(config(text, TRAINING_KEY), method="lora")
    return [each.message.partition(", training_config.yaml: ")[2].rstrip(".") for each in found]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            "LoraConfig: {lora_alfa: 3}",
            "LoraConfig.lora_alfa is no setting; the nearest is lora_alpha",
        ),
        ("LoraConfig: {qqqq: 3}", "LoraConfig.qqqq is no setting"),
        (
            "LoraConfig: {revision: main}",
            "LoraConfig.revision cannot be said here, for the manager says it: take it out",
        ),
        (
            "TrainingArguments: {do_eval: true}",
            "TrainingArguments.do_eval cannot be said here, for the manager says it: take it out",
        ),
    ],
)
def test_a_setting_with_which_no_training_starts_is_told_before_a_node_is_paid_for(
    section: str, words: str
) -> None:
    assert trained(section) == [words]


def test_older_names_of_settings_and_what_reports_nowhere_are_taken() -> None:
    assert trained("TrainingArguments: {max_seq_length: 512, report_to: none}") == []


def test_no_more_slips_are_told_than_anybody_reads() -> None:
    assert len(trained(f"LoraConfig: {{{', '.join(f'q{n}: 1' for n in range(500))}}}")) == 20


# What the engine is told


def test_what_the_engine_is_told_of_memory_is_read() -> None:
    text = (
        "vllm: {gpu_memory_utilization: '0.9', kv-cache-dtype: fp8_e5m2, tensor-parallel-size: 2, "
        "pipeline-parallel-size: '3', data-parallel-size: 4}"
    )
    assert told_by(config(text)) == Told(
        utilization=0.9, cached="fp8", tensor=2, pipeline=3, data=4
    )


def test_what_cannot_be_understood_is_told_and_else_nothing() -> None:
    text = "vllm: {gpu-memory-utilization: 90, tensor-parallel-size: half, kv-cache-dtype: 8}"
    assert told_by(config(text)) == Told()
    assert said(text) == [
        "vllm.gpu-memory-utilization must be a number above 0 and at most 1",
        "vllm.tensor-parallel-size must be a whole number of GPUs or of groups, at least 1",
    ]


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("max-modle-len", "max-model-len"),
        ("tensor_parralel_size", "tensor-parallel-size"),
        ("gpu-memory-utilisation", "gpu-memory-utilization"),
    ],
)
def test_a_slip_is_told_with_the_flag_that_is_meant(flag: str, meant: str) -> None:
    (slip,) = inference_slips(config(f"vllm: {{{flag}: 1}}"))
    assert f"the nearest is {meant}" in slip


def test_a_flag_like_none_is_told_alone() -> None:
    (slip,) = inference_slips(config("vllm: {qqqq: 1}"))
    assert slip.endswith(
        "vllm.qqqq is no flag of vLLM 0.25.1: the engine does not start with a flag that it does "
        "not have."
    )


@pytest.mark.parametrize(
    "setting",
    [
        *("seed: 1", "data-parallel-size-local: 2", "enforce-eager: true"),
        *("no-enforce_eager: true", "max-num-batched-tokens: 8k", "dtype: half"),
        *("compilation-config.level: 3", "compilation-config: '{\"level\": 3}'"),
        *("watermark: 0.01", "api-server-count: '2'", "gpu-mem: 0.8", "hf-overrides: x"),
    ],
)
def test_what_the_engine_takes_is_no_slip(setting: str) -> None:
    assert [*inference_slips(config(f"vllm: {{{setting}}}"))] == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("seed: one", "vllm.seed must be a whole number"),
        ("enforce-eager: 1", "vllm.enforce-eager must be true or false"),
        ("max-num-batched-tokens: 8 kilo", "which may end in k, m or g"),
        ("watermark: low", "vllm.watermark must be a number"),
        ("compilation-config: '{'", "vllm.compilation-config must be a JSON text"),
        ("runner: fast", "vllm.runner must be one of auto, draft, generate, pooling"),
        ("max-num-seqs: null", "vllm.max-num-seqs must be a whole number"),
        ("seed.a: 1", "vllm.seed.a is no flag"),
        ("port: 8000", "vllm.port has no place there"),
        ("api_key: s3cret", "annotate with kaito.sh/api-key-secret instead"),
    ],
)
def test_what_the_engine_does_not_start_with_is_told(setting: str, words: str) -> None:
    (slip,) = inference_slips(config(f"vllm: {{{setting}}}"))
    assert words in slip
    assert "s3cret" not in slip


def hashed(text: str) -> str:
    return config_hash({"metadata": {"name": "c"}, "data": {"inference_config.yaml": text}})


@pytest.mark.parametrize(
    "text",
    [
        "vllm:\n  max-model-len: 2048 # enough\n  seed: 7\n",
        "# ours\n\nvllm:   {max-model-len: 2048,\n  seed: 7}\n",
    ],
)
def test_settings_that_say_the_same_in_other_words_are_the_same(text: str) -> None:
    assert hashed(text) == hashed("vllm:\n    max-model-len: 2048\n    seed: 7")


@pytest.mark.parametrize(
    "text",
    [
        "vllm: {max-model-len: 2049, seed: 7}",
        "vllm: {max-model-len: '2048', seed: 7}",
        "vllm: {seed: 7, max-model-len: 2048}",
        "vllm: {max-model-len: 2048, seed: 7",
        "vllm: {max-model-len: 2048, seed: 8",
    ],
)
def test_settings_that_say_something_else_are_others(text: str) -> None:
    assert hashed(text) != hashed("vllm: {max-model-len: 2048, seed: 7}")


def test_a_text_that_refers_to_itself_many_times_is_told_from_others() -> None:
    bomb = "a0: &a0 [1]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
    )
    assert hashed(bomb) == hashed(f"# the same\n{bomb}")
    assert hashed(bomb) != hashed(bomb.replace("[1]", "[2]"))
