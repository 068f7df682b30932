"""The website controller owns a Deployment and tells of it in a condition."""

from __future__ import annotations

import pytest
import website
from website import DEPLOYMENTS, WEBSITES

from kaito.runtime import Client, Key, NotFound, Object, find_condition
from kaito.testing import Cluster, eventually, running
from test.integration.examples.conftest import EXAMPLES

SITE = Key("default", "home")


async def create(client: Client, **spec: object) -> None:
    metadata = {"name": SITE.name, "namespace": SITE.namespace}
    names = {"apiVersion": WEBSITES.api_version, "kind": WEBSITES.kind}
    await client.create(
        WEBSITES, {**names, "metadata": metadata, "spec": {"image": "nginx:1", **spec}}
    )


async def ready(client: Client) -> Object:
    site = await client.get(WEBSITES, SITE)
    return find_condition(site.get("status", {}).get("conditions", ()), "Ready") or {}


async def test_a_website_has_a_deployment_and_says_when_it_is_up(
    kube: Cluster, kube_client: Client
) -> None:
    async def says(truth: str) -> bool:
        return (await ready(kube_client)).get("status") == truth

    await kube.install(EXAMPLES / "websites.yaml")
    async with running(website.build(kube.client(field_manager="website"))):
        await create(kube_client, replicas=2)
        await eventually(lambda: says("False"), kube)
        found = await kube_client.get(DEPLOYMENTS, SITE)
        assert found["spec"]["replicas"] == 2
        # No controller of Deployments runs here: the test plays it.
        status = {"status": {"replicas": 2, "readyReplicas": 2}}
        await kube_client.patch(DEPLOYMENTS, SITE, status, subresource="status")
        await eventually(lambda: says("True"), kube)


async def test_what_others_do_to_the_deployment_is_put_right(
    kube: Cluster, kube_client: Client
) -> None:
    async def image(wanted: str) -> bool:
        found = await kube_client.get(DEPLOYMENTS, SITE)
        return bool(found["spec"]["template"]["spec"]["containers"][0]["image"] == wanted)

    await kube.install(EXAMPLES / "websites.yaml")
    async with running(website.build(kube.client(field_manager="website"))):
        await create(kube_client)
        await eventually(lambda: image("nginx:1"), kube)
        template = {"spec": {"containers": [{"name": "web", "image": "other:1"}]}}
        await kube_client.patch(DEPLOYMENTS, SITE, {"spec": {"template": template}})
        await eventually(lambda: image("nginx:1"), kube)
        await kube_client.delete(DEPLOYMENTS, SITE)
        await eventually(lambda: image("nginx:1"), kube)


async def test_the_deployment_goes_with_its_website(kube: Cluster, kube_client: Client) -> None:
    async def there() -> bool:
        return bool(await kube_client.get(DEPLOYMENTS, SITE))

    async def gone() -> bool:
        try:
            return not await there()
        except NotFound:
            return True

    await kube.install(EXAMPLES / "websites.yaml")
    async with running(website.build(kube.client(field_manager="website"))):
        await create(kube_client)
        await eventually(there, kube)
        await kube_client.delete(WEBSITES, SITE)
        await eventually(gone, kube)


@pytest.mark.kube(nodes=1)
async def test_with_nodes_a_website_comes_up_by_itself(kube: Cluster, kube_client: Client) -> None:
    async def up() -> bool:
        return (await ready(kube_client)).get("status") == "True"

    await kube.install(EXAMPLES / "websites.yaml")
    async with running(website.build(kube.client(field_manager="website"))):
        await create(kube_client)
        await eventually(up, kube, within=30.0)
