"""The launcher tells its own words from vLLM's, and reads the ConfigMap."""

from __future__ import annotations

import pytest

from kaito.engine.vllm.asked import Asked, Config, Unusable, asked, config

TEMPLATE = """\
kv_cache_cpu_memory_utilization: 0.5
max_probe_steps: 6
vllm:
  cpu-offload-gb: 0
  gpu_memory_utilization: 0.9
  enforce-eager: true
"""


def test_what_is_not_ours_is_vllms() -> None:
    words = [
        *("--model=phi", "--trust-remote-code", "--kaito-config-file=/c.yaml"),
        *("--kaito-max-probe-steps=6", "--kaito-adapters-dir", "/a", "--max-model-len", "auto"),
        *("--kaito-kv-cache-cpu-memory-utilization=0", "--kaito-disable-rate-limit"),
    ]
    assert asked(words) == Asked(
        words=("--model=phi", "--trust-remote-code", "--max-model-len", "auto"),
        adapters="/a",
        config="/c.yaml",
        offload=0.0,
        limited=False,
    )


def test_nothing_of_ours_needs_to_be_said() -> None:
    assert asked(["--model=phi"]) == Asked(words=("--model=phi",))


def test_a_word_of_ours_that_makes_no_sense_is_told() -> None:
    with pytest.raises(Unusable, match="from 0 to below 1"):
        asked(["--kaito-kv-cache-cpu-memory-utilization=all"])
    with pytest.raises(Unusable, match="kaito-config-file"):
        asked(["--kaito-config-file"])


def test_the_template_of_upstream_is_read() -> None:
    assert config(TEMPLATE) == Config(
        vllm={"cpu-offload-gb": 0, "gpu-memory-utilization": 0.9, "enforce-eager": True},
        offload=0.5,
    )


@pytest.mark.parametrize("text", ["", "# nothing", "vllm:", "vllm: {}"])
def test_a_config_may_say_nothing(text: str) -> None:
    assert config(text) == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [s3cret", "no YAML at line 1"),
        ("s3cret", "must be a map"),
        ("vllm: [s3cret]", "must be a map of arguments"),
        ("vLLM: {a: s3cret}", "vLLM, which is no section"),
        ("kv_cache_cpu_memory_utilization: s3cret", "from 0 to below 1"),
        ("kv_cache_cpu_memory_utilization: 1", "from 0 to below 1"),
        ("kv_cache_cpu_memory_utilization: .nan", "from 0 to below 1"),
        ("a: !!python/object:s3cret {}", "no YAML"),
        ("a: 2026-99-99", "no YAML"),
    ],
)
def test_what_cannot_be_used_is_told_without_its_values(text: str, words: str) -> None:
    with pytest.raises(Unusable, match=words) as told:
        config(text)
    assert "s3cret" not in str(told.value)
