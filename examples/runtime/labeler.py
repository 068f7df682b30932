"""Labels each Service with its type, so that `kubectl get svc -l example.com/type=LoadBalancer`
finds what costs money. The smallest controller: one kind, one function.

    python examples/runtime/labeler.py
"""

from __future__ import annotations

import sys

from kaito import runtime as kr

SERVICES: kr.Resource[kr.Object] = kr.Resource("", "v1", "services", "Service")
LABEL = "example.com/type"


def build(client: kr.Client) -> kr.Manager:
    """A manager with the one controller."""
    manager = kr.Manager(client, name="labeler")
    services = manager.informer(SERVICES)
    applier = kr.Applier(client)

    async def reconcile(key: kr.Key) -> None:
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

    manager.add(kr.Controller("labeler", reconcile, primary=kr.watch(services)))
    return manager


async def main() -> None:
    config = await kr.load()  # $KUBECONFIG, ~/.kube/config, or the Pod's own service account
    async with kr.Client(config.transport(), field_manager="labeler") as client:
        await build(client).run(signals=True)  # until Ctrl-C or SIGTERM


if __name__ == "__main__":
    sys.exit(kr.run_process(main(), name="labeler"))
