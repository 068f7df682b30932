"""The test kit serves operators that know nothing of it."""

from __future__ import annotations

import signal
from pathlib import Path

from kaito.runtime import Client
from kaito.testing import Cluster, Faults, eventually
from test.integration.clients.programs import manifests
from test.integration.clients.test_clients import (
    CONFIG_MAPS,
    NAMESPACES,
    PATIENCE,
    WIDGETS,
    A,
    needs,
    started,
)


@needs("kopf")
async def test_an_operator_of_kopf_outlives_a_fault(
    kube: Cluster, kube_client: Client, kube_faults: Faults, kube_config: Path
) -> None:
    async def sized(size: int) -> bool:
        widget = await kube_client.get(WIDGETS, A)
        config_map = await kube_client.get(CONFIG_MAPS, A)
        made = widget.get("status", {}).get("size") == size
        return made and config_map["data"]["size"] == str(size)

    await kube_client.create(NAMESPACES, {"metadata": {"name": manifests.NAMESPACE}})
    await kube.install(manifests.crd())
    struck = kube_faults.on("create", CONFIG_MAPS, times=1).fails(503)
    with started("kopf_operator", kube_config) as operator:
        try:
            await kube_client.create(WIDGETS, manifests.widget("a", size=2))
            await eventually(lambda: sized(2), kube, within=PATIENCE)
            assert struck.seen == 1
        finally:
            operator.send_signal(signal.SIGTERM)
            operator.communicate()
