"""vLLM is told what the manager and the user say, and what nobody said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.arguments import arguments
from kaito.engine.vllm.adapters import RANKS, Adapter
from kaito.engine.vllm.arguments import SECRETS, Machine, told
from kaito.engine.vllm.asked import Asked, Config, Unusable
from kaito.engine.vllm.memory import GIB

KNOWN = arguments()
FLAGS = [name for name, each in KNOWN.by_name.items() if each.kind == "flag"]
OPTIONS = {*(f"--{name}" for name in KNOWN.by_name), *(f"--no-{name}" for name in FLAGS)}
MACHINE = Machine(memory_share=0.9, memory_bytes=100 * GIB)
LAW = Adapter(name="law", path="/mnt/adapter/law", rank=24)
ALL_SAID = ("--gpu-memory-utilization=0.84", "--max-model-len=auto")


def line(
    words: tuple[str, ...] = ALL_SAID,
    adapters: tuple[Adapter, ...] = (),
    offload: float | None = None,
    **vllm: object,
) -> list[str]:
    settings = {name.replace("_", "-"): value for name, value in vllm.items()}
    return told(
        Asked(words=words), Config(vllm=settings, offload=offload), adapters, MACHINE, OPTIONS
    )


def test_the_managers_words_come_first_and_ours_last() -> None:
    assert line(("--model=phi", *ALL_SAID)) == [
        "--model=phi",
        *ALL_SAID,
        "--shutdown-timeout=25",
        "--disable-access-log-for-endpoints=/health,/metrics",
        "--middleware=kaito.engine.vllm.front.Front",
        "--port=5000",
    ]


def test_memory_and_context_are_decided_where_nobody_says_them() -> None:
    assert {"--gpu-memory-utilization=0.9", "--max-model-len=auto"} <= set(line(()))
    found = line((), max_model_len=2048, kv_cache_memory_bytes="8g")
    assert "--max-model-len=2048" in found
    assert not any(word.startswith("--gpu-memory") or word.endswith("=auto") for word in found)


def test_nothing_is_started_on_gpus_that_are_full() -> None:
    full = Machine(memory_share=0.0, memory_bytes=0)
    with pytest.raises(Unusable, match="no memory free"):
        told(Asked(words=()), Config(), (), full, OPTIONS)


def test_the_users_settings_come_after_the_managers() -> None:
    found = line(gpu_memory_utilization=0.7)
    assert found.index("--gpu-memory-utilization=0.7") > found.index(ALL_SAID[0])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("enforce_eager", True, ["--enforce-eager"]),
        ("enforce_eager", None, ["--enforce-eager"]),
        ("enforce_eager", False, ["--no-enforce-eager"]),
        ("enforce_eager", "false", ["--no-enforce-eager"]),
        ("disable_log_stats", False, []),
        ("disable_log_stats", True, ["--disable-log-stats"]),
        ("max_num_seqs", 8, ["--max-num-seqs=8"]),
        ("tool_parser_plugin", "true", ["--tool-parser-plugin=true"]),
        ("compilation_config", {"level": 3}, ['--compilation-config={"level": 3}']),
        ("cudagraph_capture_sizes", [1, 2], ["--cudagraph-capture-sizes", "1", "2"]),
    ],
)
def test_a_setting_is_said_as_a_command_line_has_it(
    name: str, value: object, words: list[str]
) -> None:
    found = line(**{name: value})
    told_there = found[found.index("--disable-access-log-for-endpoints=/health,/metrics") + 1 : -2]
    assert told_there == words


def test_adapters_are_told_with_room_for_the_largest() -> None:
    found = line(adapters=(LAW,))
    assert {"--enable-lora", "--max-lora-rank=32"} <= set(found)
    said = line((*ALL_SAID, "--enable-lora"), (LAW,), max_lora_rank=64)
    assert said.count("--enable-lora") == 1
    assert [word for word in said if "rank" in word] == ["--max-lora-rank=64"]


def test_a_part_of_the_memory_holds_the_cache_on_request() -> None:
    assert "--kv-offloading-size=50" in line(offload=0.5)
    assert "--kv-offloading-size=25" in line((*ALL_SAID, "--data-parallel-size=2"), offload=0.5)
    assert "--kv-offloading-size=25" in line(offload=0.5, data_parallel_size=2)
    assert not any("offloading" in word for word in line() + line(offload=0.0))
    assert not any("offloading" in word for word in line(offload=0.5, kv_transfer_config="{}"))


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_config_map_is_refused_and_not_told(name: str) -> None:
    with pytest.raises(Unusable, match=SECRETS[name]) as refused:
        line(**{name: "s3cret"})
    assert "s3cret" not in str(refused.value)


def test_what_this_vllm_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(Unusable, match="num-scheduler-steps is no argument"):
        line(num_scheduler_steps="s3cret")


def test_the_beginning_of_a_name_and_a_key_of_a_json_text_pass() -> None:
    assert "--gpu-mem=0.5" in line(**{"gpu-mem": 0.5})
    assert "--compilation-config.level=3" in line(**{"compilation-config.level": 3})


def refused(words: list[str]) -> list[str]:
    """What vLLM's parser would not take."""
    bad = []
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        argument = KNOWN.find(name)
        if not (argument and argument.takes(value if equals else None)):
            bad.append(word)
    return bad


@given(
    adapters=st.lists(st.integers(1, 512), max_size=3).map(
        lambda ranks: tuple(Adapter(name=f"a{r}", path="/a", rank=r) for r in ranks)
    ),
    offload=st.none() | st.floats(0, 0.99),
    words=st.sampled_from([(), ALL_SAID]),
)
def test_vllm_takes_all_that_the_launcher_decides(
    adapters: tuple[Adapter, ...], offload: float | None, words: tuple[str, ...]
) -> None:
    assert refused(line(words, adapters, offload)) == []


def test_ranks_are_those_that_vllm_has_room_for() -> None:
    assert KNOWN.by_name["max-lora-rank"].choices == tuple(map(str, RANKS))
