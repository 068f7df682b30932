"""Where the API server's proxy finds a service or a pod: the port of the local process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.network.slices import selected_pods, target_port
from kaito.local.pods.actions import container_port
from kaito.local.workloads.podview import is_deleting, is_ready
from kaito.runtime import Key, Object, Store

HOST = "127.0.0.1"


class Resolver:
    """Answers from the caches. `local_port` knows which process stands for a pod's port."""

    def __init__(
        self,
        services: Store[Object],
        pods: Store[Object],
        local_port: Callable[[Key, int], int | None],
    ) -> None:
        self._services = services
        self._pods = pods
        self._local_port = local_port

    def __call__(self, namespace: str, kind: str, name: str, port: str) -> tuple[str, int] | None:
        """The address for a service's or pod's port, given by number or name ("" for the only
        one); None when nothing real listens there."""
        key = Key(namespace, name)
        found = self._of_service(key, port) if kind == "services" else self._of_pod(key, port)
        return None if found is None else (HOST, found)

    def _of_service(self, key: Key, port: str) -> int | None:
        service = self._services.get(key)
        wanted = _port_of(service, port) if service is not None else None
        if service is None or wanted is None:
            return None
        for pod in selected_pods(service, self._pods):
            number = target_port(wanted, pod)
            if number is None or not is_ready(pod) or is_deleting(pod):
                continue
            found = self._local_port(Key.of(pod), number)
            if found is not None:
                return found
        return None

    def _of_pod(self, key: Key, port: str) -> int | None:
        pod = self._pods.get(key)
        if pod is None:
            return None
        for container in pod["spec"]["containers"]:
            declared = [each["containerPort"] for each in container.get("ports") or []]
            number = container_port(container, port) if port else (declared or [80])[0]
            found = self._local_port(key, number) if number else None
            if found is not None:
                return found
        return None


def _port_of(service: Object, port: str) -> dict[str, Any] | None:
    ports: list[dict[str, Any]] = service["spec"].get("ports") or []
    if not port:
        return ports[0] if len(ports) == 1 else None
    for each in ports:
        if port in (each.get("name"), str(each["port"])):
            return each
    return None
