"""Sizes that the catalogue knows to contradict a claim are not asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kaito.catalog.catalog import load
from kaito.catalog.sku import Sku
from kaito.provisioner import Unsatisfiable, node_request
from kaito.provisioner.claim import Claim
from kaito.provisioner.fitting import CPU_COUNT, GPU_COUNT, GPU_MANUFACTURER, fitting
from test.unit.provisioner.machines import A100, machine, requirement

Wire = dict[str, str]
ONE_GPU, FOUR_GPUS = A100, "Standard_NC96ads_A100_v4"
CATALOGUE = load()


def known(size: str) -> Sku | None:
    return CATALOGUE.find_sku(size, cloud="azure")


def asking(
    *requirements: dict[str, Any], sizes: Sequence[str] = (ONE_GPU,), requests: Wire | None = None
) -> Claim:
    named = requirement("node.kubernetes.io/instance-type", *sizes)
    return machine(
        spec={"requirements": [named, *requirements], "resources": {"requests": requests or {}}}
    )


def left(claim: Claim) -> tuple[str, ...]:
    return fitting(claim, node_request(claim), known).instance_types


@pytest.mark.parametrize(
    ("key", "operator", "values"),
    [
        ("kubernetes.io/arch", "In", ["arm64"]),
        ("kubernetes.io/arch", "NotIn", ["amd64"]),
        ("kubernetes.io/arch", "DoesNotExist", []),
        (GPU_COUNT, "Gt", ["1"]),
        (GPU_COUNT, "Lt", ["1"]),
        (GPU_COUNT, "Gte", ["2"]),
        (GPU_COUNT, "Lte", ["0"]),
        (GPU_COUNT, "In", ["2", "4"]),
        (GPU_MANUFACTURER, "In", ["amd"]),
        (CPU_COUNT, "Gt", ["24"]),
    ],
)
def test_a_size_that_a_requirement_excludes_is_refused(
    key: str, operator: str, values: list[str]
) -> None:
    claim = asking(requirement(key, *values, operator=operator))
    with pytest.raises(Unsatisfiable, match=f"{ONE_GPU} is {key}=.* wants {operator}"):
        left(claim)


@pytest.mark.parametrize(
    ("key", "operator", "values"),
    [
        ("kubernetes.io/arch", "In", ["amd64", "arm64"]),
        ("kubernetes.io/arch", "Exists", []),
        (GPU_COUNT, "Gt", ["0"]),
        (GPU_COUNT, "Lt", ["2"]),
        (GPU_COUNT, "Gt", ["many"]),
        (GPU_COUNT, "Near", ["7"]),
        ("example.com/rack", "In", ["7"]),
    ],
)
def test_a_size_that_a_requirement_allows_stays(key: str, operator: str, values: list[str]) -> None:
    assert left(asking(requirement(key, *values, operator=operator))) == (ONE_GPU,)


@pytest.mark.parametrize(
    ("resource", "quantity"),
    [("nvidia.com/gpu", "8"), ("cpu", "24500m"), ("memory", "221Gi")],
)
def test_more_than_a_size_has_is_refused(resource: str, quantity: str) -> None:
    with pytest.raises(Unsatisfiable, match=f"{ONE_GPU} has .*{resource}.* asks for {quantity}"):
        left(asking(requests={resource: quantity}))


def test_of_several_sizes_those_that_fit_are_asked_for() -> None:
    assert left(asking(sizes=(ONE_GPU, FOUR_GPUS), requests={"nvidia.com/gpu": "4"})) == (
        FOUR_GPUS,
    )


def test_a_size_that_nobody_knows_is_asked_for() -> None:
    claim = asking(sizes=("Standard_NX1_v9",), requests={"nvidia.com/gpu": "64"})
    assert left(claim) == ("Standard_NX1_v9",)
