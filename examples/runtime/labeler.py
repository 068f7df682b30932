"""Labels each Service with its type, so that `kubectl get svc -l example.com/type=LoadBalancer`
finds what costs money. The smallest controller: one kind, one function.

    python examples/runtime/labeler.py
"""

from __future__ import annotations

import asyncio

from kaito.runtime import Applier, Client, Controller, Key, Manager, Object, Resource, load, watch

SERVICES: Resource[Object] = Resource("", "v1", "services", "Service")
LABEL = "example.com/type"


def build(client: Client) -> Manager:
    """A manager with the one controller."""
    manager = Manager(client, name="labeler")
    services = manager.informer(SERVICES)
    applier = Applier(client, metrics=manager.metrics)

    async def reconcile(key: Key) -> None:
        service = services.store.get(key)
        if service is None or "deletionTimestamp" in service["metadata"]:
            return  # gone or going: nothing to label
        desired = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": service["metadata"]["uid"],  # this very Service, not a later namesake
                "labels": {LABEL: service["spec"]["type"]},
            },
        }
        await applier.apply(services.store, desired)  # sends nothing when the label is right

    manager.add(Controller("labeler", reconcile, primary=watch(services)))
    return manager


async def main() -> None:
    config = await load()  # $KUBECONFIG, ~/.kube/config, or the Pod's own service account
    async with Client(config.transport(), field_manager="labeler") as client:
        await build(client).run()


if __name__ == "__main__":
    asyncio.run(main())
