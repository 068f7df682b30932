"""Memory, places, the queue and the progress of a download are decided from figures alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.vllm.asked import Unusable
from kaito.engine.vllm.download import Meter, Progress, expected, metrics, on_disk
from kaito.engine.vllm.gate import Gate, limit
from kaito.engine.vllm.memory import GIB, container_bytes, least, offload_gib, share
from kaito.engine.vllm.place import Alone, Leads, Works, place

# Memory


@pytest.mark.parametrize(
    ("free", "total", "expected_share"),
    [(80, 80, 0.95), (40, 80, 0.49), (8, 80, 0.09), (0, 80, 0.0), (0, 0, 0.84)],
)
def test_a_gpu_is_filled_but_for_a_rest(free: int, total: int, expected_share: float) -> None:
    assert share(free * GIB, total * GIB) == expected_share


def test_the_fullest_gpu_decides_for_all() -> None:
    assert least([(80 * GIB, 80 * GIB), (40 * GIB, 80 * GIB)]) == 0.49
    assert least([]) == 0.84


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_never_is_more_used_than_is_free(free: int, total: int) -> None:
    assert share(free, total) * total <= free


def test_the_memory_of_a_container_is_what_its_group_says() -> None:
    machine = "MemTotal:       64 kB\nMemFree: 1 kB\n"
    assert container_bytes("1024\n", machine) == 1024
    assert container_bytes("max\n", machine) == 64 * 1024
    assert container_bytes("999999\n", machine) == 64 * 1024
    assert container_bytes("1024", "") == 1024
    assert container_bytes("", "") == 0
    assert offload_gib(0.5, 3 * GIB) == 1.5


# Places

THREE = {"KAITO_NODES": "3", "KAITO_RAY_LEADER": "w-0.w.ns.svc:6379", "KAITO_RAY_PORT": "6379"}


def test_the_first_pod_leads_and_the_others_work() -> None:
    assert place({}) == Alone()
    assert place({"KAITO_NODES": "1", "POD_INDEX": "0"}) == Alone()
    assert place({**THREE, "POD_INDEX": "0"}) == Leads(nodes=3, port=6379)
    assert place({**THREE, "POD_INDEX": "2"}) == Works(host="w-0.w.ns.svc", port=6379)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        (THREE, "POD_INDEX"),
        ({**THREE, "POD_INDEX": "one"}, "POD_INDEX"),
        ({**THREE, "KAITO_NODES": "-1"}, "KAITO_NODES"),
        ({**THREE, "POD_INDEX": "0", "KAITO_RAY_PORT": ""}, "KAITO_RAY_PORT"),
        ({**THREE, "POD_INDEX": "1", "KAITO_RAY_LEADER": "w-0"}, "KAITO_RAY_LEADER"),
    ],
)
def test_a_place_that_nobody_told_is_named(variables: dict[str, str], name: str) -> None:
    with pytest.raises(Unusable, match=name):
        place(variables)


# The queue


def test_one_more_than_may_wait_is_refused_until_one_leaves() -> None:
    gate = Gate(limit=2)
    assert [gate.enter() for _ in range(3)] == [True, True, False]
    gate.leave()
    assert gate.enter()
    assert gate.inside == 2


def test_without_a_limit_all_come_in() -> None:
    gate = Gate(limit=0)
    assert all(gate.enter() for _ in range(10_000))


def test_as_many_may_wait_as_are_answered() -> None:
    assert limit(256, 1, 1) == 512
    assert limit(256, 8, 8) == 512
    assert limit(1, 1, 8) == 1


# The download


def test_speed_is_taken_from_the_last_samples() -> None:
    meter = Meter()
    assert meter.take(0, 0, 1000) == Progress(total=1000)
    found = [meter.take(2.0 * n, 100 * n, 1000) for n in range(1, 7)][-1]
    assert found == Progress(downloaded=600, total=1000, speed=50.0)
    assert found.remaining == 8.0


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert Progress(downloaded=5, speed=1.0).remaining == -1
    assert Progress(downloaded=5, total=10).remaining == -1
    assert Progress(downloaded=10, total=10).remaining == 0


def test_files_that_go_away_make_no_negative_speed() -> None:
    meter = Meter()
    meter.take(0, 100, 0)
    assert meter.take(2, 50, 0).speed == 0


def test_progress_is_told_under_upstreams_names() -> None:
    text = metrics(Progress(downloaded=12_000_000_000, total=24_000_000_000, speed=1e9))
    assert "kaito_model_download_speed_bytes_per_second 1e+09\n" in text
    assert "kaito_model_download_remaining_seconds 12\n" in text
    assert "kaito_model_downloaded_bytes 12000000000\n" in text
    assert text.count("# TYPE") == 3


def test_what_is_on_the_disk_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs/one").write_bytes(bytes(8192))
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/model.safetensors").symlink_to(tmp_path / "blobs/one")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**9)
    assert 8192 <= on_disk(str(tmp_path)) < 20_000
    assert on_disk(str(tmp_path / "none")) == 0


def test_an_index_promises_how_much_will_come(tmp_path: Path) -> None:
    assert expected(str(tmp_path)) == 0
    (tmp_path / "model.safetensors.index.json").write_text("{")
    assert expected(str(tmp_path)) == 0
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 77}})
    )
    assert expected(str(tmp_path)) == 77
