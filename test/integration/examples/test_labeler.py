"""The labeler labels what is there and what comes, and writes nothing twice."""

from labeler import LABEL, SERVICES, build

from kaito.runtime import Client, Key
from kaito.testing import CapturedMetrics, Cluster, eventually, running


def service(name: str, **spec: object) -> dict[str, object]:
    ports = [{"port": 80}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"ports": ports, **spec}}


async def test_every_service_gets_its_type_as_a_label(kube: Cluster, kube_client: Client) -> None:
    async def label_of(name: str) -> str:
        found = await kube_client.get(SERVICES, Key("default", name))
        return str(found["metadata"].get("labels", {}).get(LABEL, ""))

    async def settled(name: str, kind: str) -> bool:
        return await label_of(name) == kind

    await kube_client.create(SERVICES, service("old"))
    async with running(build(kube.client(field_manager="labeler"))):
        await eventually(lambda: settled("old", "ClusterIP"), kube)
        await kube_client.create(SERVICES, service("new", type="NodePort"))
        await eventually(lambda: settled("new", "NodePort"), kube)


async def test_a_label_that_is_right_is_not_written_again(
    kube: Cluster, kube_client: Client
) -> None:
    async def labelled() -> bool:
        found = await kube_client.get(SERVICES, Key("default", "kubernetes"))
        return LABEL in found["metadata"].get("labels", {})

    async with running(build(kube.client(field_manager="labeler"))):
        await eventually(labelled, kube)
    before = await kube_client.get(SERVICES, Key("default", "kubernetes"))
    async with running(build(kube.client(field_manager="labeler"))) as manager:
        captured = CapturedMetrics(manager.metrics)
        await eventually(lambda: captured.value("kaito_runtime_applies_total", sent="no"))
    after = await kube_client.get(SERVICES, Key("default", "kubernetes"))
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
