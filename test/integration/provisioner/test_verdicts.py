"""What Azure refuses, told on the claim: by its reason, its words, an Event and a metric."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kaito.api.launch import UNAVAILABLE, Cause
from kaito.api.launch import unavailable as verdict
from kaito.api.machine import Machine
from kaito.controllers.machine import Options
from kaito.local.azure.faults import FAULT_LABEL, Ask, FaultKind, PoolFault
from kaito.runtime import Key, Object
from test.integration.provisioner.cluster import (
    MACHINES,
    Stage,
    nothing_is_left,
    ready,
    staged,
)
from test.unit.provisioner.machines import A100, NAME

# What is refused at once, and what fails once the pool has been accepted.
REFUSED = {
    FaultKind.QUOTA: (Cause.FAMILY_QUOTA, "raised by 24 at least"),
    FaultKind.QUOTA_REGION: (Cause.REGIONAL_QUOTA, "az vm list-usage"),
    FaultKind.RETIRED: (Cause.SKU, f"--size {A100}"),
    FaultKind.POLICY: (Cause.POLICY, "policy 'Allowed virtual machine size SKUs'"),
    FaultKind.LOCKED: (Cause.LOCK, "az lock list"),
    FaultKind.UNAUTHORIZED: (Cause.AUTHORIZATION, "az role assignment create"),
    FaultKind.UNAUTHENTICATED: (Cause.AUTHENTICATION, "AZURE_TOKEN_FILE"),
    FaultKind.CLUSTER_GONE: (Cause.CLUSTER, "AZURE_CLUSTER_NAME"),
    FaultKind.GROUP_GONE: (Cause.GROUP, "ARM_RESOURCE_GROUP"),
    FaultKind.DISABLED: (Cause.SUBSCRIPTION, "az account show"),
}
FAILED_LATE = {
    FaultKind.QUOTA_LATE: (Cause.FAMILY_QUOTA, "raised to 24 at least"),
    FaultKind.SPOT_QUOTA_LATE: (Cause.SPOT_QUOTA, "spot vCPUs"),
    FaultKind.SKU: (Cause.SKU, "az vm list-skus"),
    FaultKind.ALLOCATION: (Cause.ALLOCATION, "allocation-guidance"),
    FaultKind.ZONE: (Cause.ZONAL_ALLOCATION, "topology.kubernetes.io/zone"),
    FaultKind.OVERCONSTRAINED: (Cause.OVERCONSTRAINED, "any zone"),
    FaultKind.OVERCONSTRAINED_ZONE: (Cause.OVERCONSTRAINED_ZONAL, "any zone"),
    FaultKind.SUBNET_FULL: (Cause.SUBNET, "az aks nodepool list"),
}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES) as stage:
        stage.start()
        yield stage


def launch(stage: Stage, name: str = NAME) -> Object:
    return stage.condition("MachineLaunched", name)


def calls(*asks: Ask) -> list[Ask]:
    return list(asks or (Ask.CREATE, Ask.GET, Ask.LIST, Ask.DELETE))


@pytest.mark.parametrize("expected", [REFUSED, FAILED_LATE], ids=["refused", "failed late"])
async def test_each_refusal_has_its_verdict(
    stage: Stage, expected: dict[FaultKind, tuple[Cause, str]]
) -> None:
    names = {fault: f"ws{number}" for number, fault in enumerate(expected)}
    for fault, name in names.items():
        await stage.create(name, labels={FAULT_LABEL: fault})
    wanted = {fault: cause.value for fault, (cause, _) in expected.items()}

    def reasons() -> dict[FaultKind, str]:
        return {fault: launch(stage, name).get("reason", "") for fault, name in names.items()}

    await stage.until(lambda: reasons() == wanted, f"the reasons {wanted}")
    # One Event for each, however often it has been asked again by now.
    await stage.until(
        lambda: (
            {f: stage.warnings(name) for f, name in names.items()}
            == {f: [reason] for f, reason in wanted.items()}
        ),
        "the Events",
    )
    for fault, name in names.items():
        cause, words = expected[fault]
        condition = launch(stage, name)
        assert condition["status"] == "False"
        assert words in condition["message"]
        assert condition["message"].isprintable()
        assert (UNAVAILABLE in condition["message"]) is cause.unavailable
        machine = Machine.model_validate(stage.claim(name))
        assert (verdict(machine.status.conditions) is not None) is cause.unavailable
        counted = (
            stage.counted("kaito_cloud_refusals_total", cause=cause.value, instance_type=A100)
            if expected is REFUSED
            else stage.counted(
                "kaito_provisioner_pool_outcomes_total", outcome="failed", cause=cause.value
            )
        )
        assert counted >= 1
    for name in names.values():
        await stage.client.delete(MACHINES, Key("", name))
    await stage.until(
        lambda: not stage.pools() and not any(map(stage.claim, names.values())), "nothing left"
    )


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (FaultKind.BUSY, Cause.BUSY),
        (FaultKind.THROTTLED, Cause.THROTTLED),
        (FaultKind.FAILED, Cause.SERVER),
        (FaultKind.CANCELED, Cause.SERVER),
        (FaultKind.STUCK, Cause.MAKING_TIMEOUT),
    ],
)
async def test_what_passes_is_told_and_gone_through(
    stage: Stage, fault: FaultKind, cause: Cause
) -> None:
    if fault is FaultKind.STUCK:
        await stage.kill()
        stage.options = Options(making_seconds=0.4)
        stage.start()
    stage.cluster.azure.faults.add(PoolFault(kind=fault, times=1))
    await stage.create()
    await ready(stage)
    await stage.until(lambda: stage.warnings() == [cause.value], "one Event")
    assert stage.pools() == [NAME]


async def test_a_state_that_azure_has_forgotten_is_not_needed(stage: Stage) -> None:
    stage.cluster.azure.faults.add(PoolFault(kind=FaultKind.FORGOTTEN, on=Ask.POLL))
    await stage.create()
    await ready(stage)
    assert stage.warnings() == []


@pytest.mark.parametrize(
    ("fault", "cause", "asks"),
    [
        (FaultKind.UNAUTHORIZED, Cause.AUTHORIZATION, calls()),
        (FaultKind.UNAUTHENTICATED, Cause.AUTHENTICATION, calls()),
        (FaultKind.CLUSTER_GONE, Cause.CLUSTER, calls()),
        (FaultKind.GROUP_GONE, Cause.GROUP, calls()),
        (FaultKind.DISABLED, Cause.SUBSCRIPTION, calls(Ask.CREATE, Ask.DELETE)),
    ],
)
async def test_a_way_to_azure_that_is_lost_in_the_middle_holds_the_claim_and_says_so(
    stage: Stage, fault: FaultKind, cause: Cause, asks: list[Ask]
) -> None:
    await stage.create()
    await ready(stage)
    for ask in asks:
        stage.cluster.azure.faults.add(PoolFault(kind=fault, on=ask))
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: cause.value in stage.warnings(), "the Event")
    condition = stage.condition("Ready")
    assert condition["reason"] == "Terminating"
    assert f"Azure did not delete agent pool {NAME}: " in condition["message"]
    assert " KAITO tries again at " in condition["message"]
    of_cluster = cause in {Cause.CLUSTER, Cause.GROUP}
    assert (f"`kubectl edit machines.karpenter.sh {NAME}`" in condition["message"]) == of_cluster
    assert stage.warnings() == [cause.value]
    assert stage.pools() == [NAME]
    stage.cluster.azure.faults.clear()
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_a_request_that_is_wrong_is_never_asked_again(stage: Stage) -> None:
    stage.cluster.azure.faults.add(
        PoolFault(
            kind=FaultKind.OTHER, pool=NAME, status=400, code="InvalidParameter", message="no"
        )
    )
    await stage.create()
    await stage.until(lambda: launch(stage).get("reason") == "InvalidRequest", "InvalidRequest")
    refused = {"cause": "InvalidRequest", "instance_type": A100}
    await stage.kill()
    stage.start()
    # A second claim's way shows that time has passed.
    await stage.create("ws2")
    await stage.until(
        lambda: stage.condition("Ready", "ws2").get("status") == "True", "the other ready"
    )
    assert stage.counted("kaito_cloud_refusals_total", **refused) == 1
    assert launch(stage)["reason"] == "InvalidRequest"
