"""The test kit serves operators that know nothing of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from kaito.runtime import Client
from kaito.testing import Cluster, Faults, eventually
from test.integration.clients.programs import manifests
from test.integration.clients.test_clients import (
    CONFIG_MAPS,
    NAMESPACES,
    PATIENCE,
    PROGRAMS,
    WIDGETS,
    A,
    needs,
)

OPERATOR = PROGRAMS / "kopf_operator.py"


@needs("kopf")
async def test_an_operator_of_kopf_outlives_a_fault(
    kube: Cluster, kube_client: Client, kube_faults: Faults, kube_config: Path
) -> None:
    async def made() -> bool:
        config_map = await kube_client.get(CONFIG_MAPS, A)
        return bool(config_map["data"]["size"] == "2")

    await kube_client.create(NAMESPACES, {"metadata": {"name": manifests.NAMESPACE}})
    await kube.install(manifests.crd())
    struck = kube_faults.on("create", CONFIG_MAPS).fails(503)
    environment = {**os.environ, "KUBECONFIG": str(kube_config)}
    operator = await asyncio.create_subprocess_exec(sys.executable, OPERATOR, env=environment)
    try:
        await kube_client.create(WIDGETS, manifests.widget("a", size=2))
        await eventually(made, kube, within=PATIENCE)
    finally:
        operator.terminate()
        await operator.wait()
    assert struck.seen == 1
