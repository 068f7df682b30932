"""What is counted of calls to the cloud and of the lives of claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from kaito.controllers.machine.chronicle import Chronicle
from kaito.controllers.machine.decision import (
    Decision,
    DeleteClaim,
    PatchClaim,
    PatchNode,
    Tell,
    Write,
)
from kaito.controllers.machine.ledger import Ledger
from kaito.controllers.machine.lifecycle_tallies import MOST_POOLS, LifecycleTallies
from kaito.controllers.machine.measured import CallTallies, Measured
from kaito.controllers.machine.tallies import PoolTallies
from kaito.controllers.machine.witness import Witness
from kaito.provisioner import CloudError, node_request
from kaito.provisioner.claim import Claim
from test.unit.controllers.machine.world import NO_QUOTA, NO_RIGHT, WRONG, Clock, Cloud, Effects
from test.unit.provisioner.machines import A100, machine, nodeclaim


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def known(instance_type: str) -> str:
    return instance_type if instance_type == A100 else "other"


def count(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def test_what_the_cloud_was_not_asked_for_is_neither_counted_nor_entered(
    registry: CollectorRegistry,
) -> None:
    clock, ledger = Clock(), Ledger()
    cloud = Cloud(clock, Effects())
    cloud.refuse = [replace(WRONG, asked=False)]
    measured = Measured(cloud, CallTallies(registry, str), clock)
    chronicle = Chronicle(ledger, PoolTallies(registry, str), cluster="", price=lambda size: None)
    with pytest.raises(CloudError):
        await Witness(measured, chronicle, clock).launch(node_request(machine()), A100)
    assert ledger.entries() == []
    counted = {s.name for family in registry.collect() for s in family.samples if s.value}
    assert not {name for name in counted if name.endswith(("_total", "_count"))}


def test_a_refusal_is_counted_by_its_cause_and_in_karpenters_words(
    registry: CollectorRegistry,
) -> None:
    tallies = CallTallies(registry, known)
    tallies.refused("Create", "azure", CloudError(NO_QUOTA), A100)
    tallies.refused("Delete", "azure", CloudError(NO_RIGHT), "")
    call = {"controller": "", "provider": "azure"}
    errors = "karpenter_cloudprovider_errors_total"
    assert count(registry, errors, **call, method="Create", error="InsufficientCapacityError") == 1
    assert count(registry, errors, **call, method="Delete", error="") == 1
    refusals = "kaito_cloud_refusals_total"
    assert count(registry, refusals, cause="SKUFamilyQuotaReached", instance_type=A100) == 1
    assert count(registry, refusals, cause="AuthorizationFailed", instance_type="") == 1


def test_sizes_that_nobody_knows_are_counted_together(registry: CollectorRegistry) -> None:
    tallies = CallTallies(registry, known)
    for number in range(1000):
        tallies.refused("Create", "azure", CloudError(NO_QUOTA), f"Standard_{number}")
    reason = {"cause": "SKUFamilyQuotaReached", "instance_type": "other"}
    assert count(registry, "kaito_cloud_refusals_total", **reason) == 1000


@pytest.mark.parametrize(
    ("event", "reason"),
    [("Expired", "expired"), ("NodeRepaired", "unhealthy"), ("NodeLost", "garbage_collected")],
)
def test_a_claim_that_we_take_away_is_counted_by_karpenters_reason(
    registry: CollectorRegistry, event: str, reason: str
) -> None:
    writes: tuple[Write, ...] = (DeleteClaim("uid"), Tell("Warning", event, "why"))
    LifecycleTallies(registry).performed(nodeclaim(), Decision(writes=writes))
    labels = {"reason": reason, "nodepool": "kaito", "capacity_type": "on-demand"}
    assert count(registry, "karpenter_nodeclaims_disrupted_total", **labels) == 1


def dying(finalizers: list[str]) -> Claim:
    return machine(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers})


def test_a_claims_end_is_counted_when_our_finalizer_goes(registry: CollectorRegistry) -> None:
    tallies = LifecycleTallies(registry)
    ours = "karpenter.sh/termination"
    labels = {"nodepool": "default", "capacity_type": "on-demand"}
    annotated = PatchClaim({"metadata": {"annotations": {"a": "b"}}})
    tallies.performed(dying([ours]), Decision(writes=(annotated,)))
    assert count(registry, "karpenter_nodeclaims_terminated_total", **labels) == 0
    freed = PatchClaim({"metadata": {"finalizers": None}})
    tallies.performed(dying([ours]), Decision(writes=(freed,)))
    assert count(registry, "karpenter_nodeclaims_terminated_total", **labels) == 1


def test_a_node_is_counted_when_it_is_registered(registry: CollectorRegistry) -> None:
    tallies = LifecycleTallies(registry)
    registered = PatchNode("n", {"metadata": {"labels": {"karpenter.sh/registered": "true"}}})
    ready = PatchNode("n", {"metadata": {"labels": {"karpenter.sh/initialized": "true"}}})
    tallies.performed(machine(), Decision(writes=(registered,)))
    tallies.performed(machine(), Decision(writes=(ready,)))
    assert count(registry, "karpenter_nodes_created_total", nodepool="default") == 1


def test_whoever_writes_claims_cannot_fill_the_metrics(registry: CollectorRegistry) -> None:
    tallies = LifecycleTallies(registry)
    freed = Decision(
        writes=(PatchNode("n", {"metadata": {"labels": {"karpenter.sh/registered": "true"}}}),)
    )
    for number in range(5 * MOST_POOLS):
        labels = {"kaito.sh/workspace": "w", "karpenter.sh/provisioner-name": f"p{number}"}
        tallies.performed(machine(metadata={"labels": labels}), freed)
    assert count(registry, "karpenter_nodes_created_total", nodepool="other") == 4 * MOST_POOLS
