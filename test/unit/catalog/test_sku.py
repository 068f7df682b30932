"""GPUs as nodes and slices describe them."""

from __future__ import annotations

import pytest

from kaito.catalog.sku import Gpus, gpus_of_node, slice_of

A100 = Gpus(product="NVIDIA A100", count=1, memory_gib=80, compute_capability=8.0)
LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.memory": "40536",
    "nvidia.com/cuda.compute.major": "8",
    "nvidia.com/cuda.compute.minor": "0",
}


def test_a_node_tells_of_its_gpus_in_labels() -> None:
    assert gpus_of_node(LABELS) == Gpus(
        product="NVIDIA-A100-SXM4-40GB", count=8, memory_gib=320, compute_capability=8.0
    )


@pytest.mark.parametrize(
    "labels",
    [{}, LABELS | {"nvidia.com/gpu.count": "0"}, LABELS | {"nvidia.com/gpu.memory": "many"}],
)
def test_a_node_that_tells_nothing_usable_has_no_known_gpus(labels: dict[str, str]) -> None:
    assert gpus_of_node(labels) is None


@pytest.mark.parametrize(
    ("profile", "memory"), [("3g.40gb", 40), ("1g.5gb", 5), ("1g.12.5gb", 12.5)]
)
def test_a_slice_is_a_gpu_with_the_memory_of_its_profile(profile: str, memory: float) -> None:
    part = slice_of(profile, A100)
    assert part is not None
    assert (part.count, part.memory_gib) == (1, memory)


@pytest.mark.parametrize("profile", ["", "40gb", "3g.40", "3g.40gb.me", "3g.40GB"])
def test_what_is_no_profile_is_no_slice(profile: str) -> None:
    assert slice_of(profile, A100) is None


def test_bfloat16_needs_an_ampere_gpu() -> None:
    assert A100.bfloat16
    assert not Gpus(product="NVIDIA V100", count=1, memory_gib=16, compute_capability=7.0).bfloat16


def test_an_a10_leaves_less_memory_to_the_engine() -> None:
    assert Gpus(product="NVIDIA A10", count=1, memory_gib=24).memory_share < A100.memory_share
