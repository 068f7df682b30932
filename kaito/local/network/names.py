"""Names that the cluster's DNS would know: of Services, and of pods behind headless ones."""

from __future__ import annotations

from typing import Literal, NamedTuple

from kaito.runtime import Key, Object, Store

ZONE = ".svc.cluster.local"


class Target(NamedTuple):
    """What a name leads to."""

    kind: Literal["services", "pods"]
    key: Key


def target(host: str, namespace: str, services: Store[Object]) -> Target | None:
    """What a name means in a namespace; None when the cluster's DNS would not know it.

    SERVICE, SERVICE.NAMESPACE, POD.SERVICE and POD.SERVICE.NAMESPACE, each also with `.svc` and
    with `.svc.cluster.local`. A pod is found by its name, which StatefulSets make its host name.
    """
    host = host.removesuffix(".")
    full = host.removesuffix(ZONE).removesuffix(".svc")
    match full.split("."):
        case [service] if Key(namespace, service) in services:
            return Target("services", Key(namespace, service))
        case [service, where] if Key(where, service) in services:
            return Target("services", Key(where, service))
        case [pod, service] if Key(namespace, service) in services:
            return Target("pods", Key(namespace, pod))
        case [pod, service, where] if Key(where, service) in services:
            return Target("pods", Key(where, pod))
    return None
