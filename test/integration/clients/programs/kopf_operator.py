"""kopf: an operator as its users write one, with a finalizer, status patches and a timer.

It makes a ConfigMap of each Widget, says so in the status, counts in a timer, and cleans up a
Secret that nobody owns when the Widget goes.
"""

from __future__ import annotations

import logging
from typing import Any

import kopf
import kubernetes
import manifests as m

kubernetes.config.load_kube_config()
core = kubernetes.client.CoreV1Api()


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.persistence.finalizer = f"{m.GROUP}/kopf"


@kopf.on.create(m.GROUP, m.VERSION, m.PLURAL, backoff=0.1)
def created(
    name: str, namespace: str, spec: kopf.Spec, patch: kopf.Patch, logger: logging.Logger, **_: Any
) -> dict[str, int]:
    config_map = {"metadata": {"name": name}, "data": {"size": str(spec["size"])}}
    kopf.adopt(config_map)
    core.create_namespaced_config_map(namespace, config_map)
    core.create_namespaced_secret(namespace, {"metadata": {"name": f"{name}-key"}})
    patch.status["size"] = spec["size"]
    logger.info("made")
    return {"made": 1}


@kopf.on.update(m.GROUP, m.VERSION, m.PLURAL, field="spec.size")
def resized(name: str, namespace: str, new: int, patch: kopf.Patch, **_: Any) -> None:
    data = {"data": {"size": str(new)}}
    core.patch_namespaced_config_map(name, namespace, data)
    patch.status["size"] = new


@kopf.timer(m.GROUP, m.VERSION, m.PLURAL, interval=0.2)
def ticks(status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    count = status.get("ticks", 0)
    if count < 2:
        patch.status["ticks"] = count + 1


@kopf.on.delete(m.GROUP, m.VERSION, m.PLURAL)
def deleted(name: str, namespace: str, **_: Any) -> None:
    core.delete_namespaced_secret(f"{name}-key", namespace)


kopf.run(standalone=True, namespaces=[m.NAMESPACE])
