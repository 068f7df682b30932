"""Runs a Deployment for each Website and says in its status whether it is up.

Owned children by server-side apply, and a status condition. `websites.yaml` defines the kind.
"""

from __future__ import annotations

from kaito import runtime as kr

WEBSITES: kr.Resource[kr.Object] = kr.Resource("example.com", "v1", "websites", "Website")
DEPLOYMENTS: kr.Resource[kr.Object] = kr.Resource("apps", "v1", "deployments", "Deployment")
LABEL = "example.com/website"


def build(client: kr.Client) -> kr.Manager:
    manager = kr.Manager(client, name="website")
    sites = manager.informer(WEBSITES)
    deployments = manager.informer(DEPLOYMENTS, labels=LABEL)
    applier = kr.Applier(client)

    async def reconcile(key: kr.Key) -> None:
        site = sites.store.get(key)
        if site is None or "deletionTimestamp" in site["metadata"]:
            return  # the Deployment is owned: the garbage collector takes it
        await applier.apply(deployments.store, deployment(site))
        found = deployments.store.get(key) or {}
        up = found.get("status", {}).get("readyReplicas", 0) >= site["spec"]["replicas"]
        await applier.apply_status(sites.store, status(site, up, manager.clock.now()))

    primary, owned = kr.watch(sites), [kr.watch(deployments)]
    manager.add(kr.Controller("website", reconcile, primary=primary, owned=owned))
    return manager


def deployment(site: kr.Object) -> kr.Object:
    name, namespace = site["metadata"]["name"], site["metadata"]["namespace"]
    meta = {"name": name, "namespace": namespace, "labels": {LABEL: name}}
    meta["ownerReferences"] = [kr.owner_reference(site)]
    container = {"name": "web", "image": site["spec"]["image"]}
    spec = {
        "replicas": site["spec"]["replicas"],
        "selector": {"matchLabels": {LABEL: name}},
        "template": {"metadata": {"labels": {LABEL: name}}, "spec": {"containers": [container]}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def status(site: kr.Object, up: bool, now: float) -> kr.Object:
    meta, old = site["metadata"], site.get("status", {}).get("conditions", ())
    truth: kr.Truth = "True" if up else "False"
    ready = kr.set_condition(
        old, "Ready", truth, "Replicas", generation=meta["generation"], now=now
    )
    names = {"name": meta["name"], "namespace": meta["namespace"]}
    identity = {"apiVersion": site["apiVersion"], "kind": site["kind"], "metadata": names}
    return {**identity, "status": {"conditions": ready}}
