"""The operator of Tenants does its work, also when the API server fails it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tenants
from tenants import DAY, NAMESPACES, QUOTAS, TENANTS

from kaito.runtime import Client, Invalid, Key, NotFound, Object, find_condition
from kaito.testing import (
    CapturedEvents,
    CapturedMetrics,
    Cluster,
    Faults,
    Scenario,
    VirtualClock,
    World,
    eventually,
    perturb,
    running,
)

DEFINITION = Path(__file__).with_name("tenants.yaml")
RED = Key("", "red")
WRITES = 3  # of a new tenant: the namespace, the quota, the status


def tenant(**spec: object) -> Object:
    kind = {"apiVersion": TENANTS.api_version, "kind": TENANTS.kind}
    return {**kind, "metadata": {"name": RED.name}, "spec": {"pods": 5, **spec}}


async def ready(client: Client) -> bool:
    status = (await client.get(TENANTS, RED)).get("status", {})
    return (find_condition(status.get("conditions", ()), "Ready") or {}).get("status") == "True"


async def pods(client: Client) -> str:
    quota = await client.get(QUOTAS, Key(RED.name, RED.name))
    return str(quota["spec"]["hard"]["pods"])


async def test_a_tenant_gets_a_namespace_with_its_quota(kube: Cluster, kube_client: Client) -> None:
    await kube.install(DEFINITION)
    async with running(tenants.build(kube.client(field_manager="tenants"))):
        await kube_client.create(TENANTS, tenant(pods=5))
        await eventually(lambda: ready(kube_client), kube)
        assert await pods(kube_client) == "5"


async def test_a_tenant_without_pods_is_refused(kube: Cluster, kube_client: Client) -> None:
    await kube.install(DEFINITION)
    with pytest.raises(Invalid, match="should be greater than or equal to 1"):
        await kube_client.create(TENANTS, tenant(pods=0))


@pytest.mark.parametrize("write", range(WRITES))
@pytest.mark.parametrize("fault", ["fails", "conflicts", "breaks", "loses_the_answer"])
async def test_it_gets_there_whatever_happens_to_a_write(
    kube: Cluster, kube_client: Client, kube_faults: Faults, fault: str, write: int
) -> None:
    await kube.install(DEFINITION)
    struck = getattr(kube_faults.on(manager="tenants", after=write), fault)()
    async with running(tenants.build(kube.client(field_manager="tenants"))):
        await kube_client.create(TENANTS, tenant())
        await eventually(lambda: ready(kube_client), kube)
    assert struck.seen == 1
    assert await pods(kube_client) == "5"


async def test_it_puts_right_what_others_do_while_it_cannot_see(
    kube: Cluster, kube_client: Client, kube_faults: Faults
) -> None:
    async def restored() -> bool:
        return await pods(kube_client) == "5"

    await kube.install(DEFINITION)
    async with running(tenants.build(kube.client(field_manager="tenants"))) as manager:
        metrics = CapturedMetrics(manager.metrics)
        await kube_client.create(TENANTS, tenant())
        await eventually(lambda: ready(kube_client), kube)
        with kube_faults.behind(QUOTAS):
            patch = {"spec": {"hard": {"pods": "500"}}}
            await kube_client.patch(QUOTAS, Key(RED.name, RED.name), patch)
            kube_faults.forget_history()
        await eventually(restored, kube)
        assert metrics.value("controller_runtime_reconcile_errors_total") == 0


@pytest.mark.kube(virtual=True)
async def test_a_tenant_goes_with_all_it_has_when_its_days_are_over(
    kube: Cluster, kube_client: Client, virtual_clock: VirtualClock, kube_events: CapturedEvents
) -> None:
    async def gone() -> bool:
        try:
            await kube_client.get(NAMESPACES, RED)
        except NotFound:
            return True
        return False

    await kube.install(DEFINITION)
    async with running(tenants.build(kube.client(field_manager="tenants"), virtual_clock)):
        await kube_client.create(TENANTS, tenant(days=30))
        await virtual_clock.run_until(lambda: ready(kube_client))
        await virtual_clock.jump(30 * DAY - 60)
        assert not await gone()
        await virtual_clock.advance(60)
        await virtual_clock.run_until(gone)
    assert await kube_events.reasons(RED.name) == ["Expired"]


async def order(world: World) -> None:
    await world.client.create(TENANTS, tenant(pods=5))


async def grow(world: World) -> None:
    await world.client.patch(TENANTS, RED, {"spec": {"pods": 9}})


LIFE = Scenario(
    name="a tenant's life",
    install=[DEFINITION],
    daemons={"tenants": lambda seat: tenants.build(seat.client(), seat.clock).run()},
    steps=[order, grow],
)


def test_it_survives_any_fault_at_any_point() -> None:
    tried = perturb(LIFE)
    assert len(tried.points) == tried.known
