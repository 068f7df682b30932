"""Rolls a Deployment out again when a ConfigMap that its Pods read as environment has changed.

A change of one kind wakes the objects of another, found through an index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from kaito import runtime as kr

CONFIG_MAPS: kr.Resource[kr.Object] = kr.Resource("", "v1", "configmaps", "ConfigMap")
DEPLOYMENTS: kr.Resource[kr.Object] = kr.Resource("apps", "v1", "deployments", "Deployment")


def used(deployment: kr.Object) -> set[str]:
    """The names of the ConfigMaps that the containers read as environment."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    sources = [source for container in containers for source in container.get("envFrom", ())]
    return {source["configMapRef"]["name"] for source in sources if "configMapRef" in source}


def by_config_map(view: kr.View) -> Iterable[str]:
    return [str(kr.Key(view.key.namespace, name)) for name in used(view.object)]


def build(client: kr.Client) -> kr.Manager:
    manager = kr.Manager(client, name="reloader")
    config_maps = manager.informer(CONFIG_MAPS)
    deployments = manager.informer(DEPLOYMENTS, indexes={"config": by_config_map})
    applier = kr.Applier(client)

    def users(change: kr.Change) -> Iterable[kr.Key]:
        return deployments.store.by("config", str(change.key))

    async def reconcile(key: kr.Key) -> None:
        deployment = deployments.store.get(key)
        if deployment is None or not (names := used(deployment)):
            return
        found = [config_maps.store.get(kr.Key(key.namespace, name)) or {} for name in sorted(names)]
        text = json.dumps([each.get("data") for each in found], sort_keys=True)
        annotations = {"example.com/config": hashlib.sha256(text.encode()).hexdigest()[:16]}
        desired = {name: deployment[name] for name in ("apiVersion", "kind")}
        desired["metadata"] = {k: deployment["metadata"][k] for k in ("name", "namespace", "uid")}
        desired["spec"] = {"template": {"metadata": {"annotations": annotations}}}
        await applier.apply(deployments.store, desired)

    primary, mapped = kr.watch(deployments), [kr.watch(config_maps, to=users)]
    manager.add(kr.Controller("reloader", reconcile, primary=primary, watches=mapped))
    return manager
