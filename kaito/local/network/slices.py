"""EndpointSlices: which pods stand behind a Service, and which of them are ready.

One slice a Service, however many pods there are. Services without a selector are left to whoever
writes their slices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kaito.local.kinds import ENDPOINT_SLICES
from kaito.local.workloads.podview import is_deleting, is_ready, phase
from kaito.runtime import Change, Client, Informer, Key, Object, Store, owner_reference

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"


def selects(service: Object, labels: Mapping[str, str]) -> bool:
    """Whether a Service's selector holds for a pod with these labels; none selects nothing."""
    selector = service["spec"].get("selector")
    return bool(selector) and selector.items() <= labels.items()


def target_port(port: Mapping[str, Any], pod: Object) -> int | None:
    """The container port behind a Service's port, None when the pod has none of that name."""
    wanted = port.get("targetPort") or port["port"]
    if isinstance(wanted, int):
        return wanted
    if wanted.isdigit():
        return int(wanted)
    for container in pod["spec"]["containers"]:
        for declared in container.get("ports") or ():
            if declared.get("name") == wanted:
                number: int = declared["containerPort"]
                return number
    return None


def slice_content(service: Object, pods: Sequence[Object]) -> Object:
    """The ports and endpoints of a Service's slice, from the pods that it selects."""
    shown = [pod for pod in pods if _address(pod) and phase(pod) not in ("Succeeded", "Failed")]
    anyway = bool(service["spec"].get("publishNotReadyAddresses"))
    ports: list[Object] = []
    for port in service["spec"].get("ports") or ():
        numbers = [target_port(port, pod) for pod in shown]
        number = next((each for each in numbers if each is not None), None)
        if number is not None:
            named = {"name": port.get("name", ""), "port": number}
            ports.append({**named, "protocol": port.get("protocol", "TCP")})
    endpoints = []
    for pod in sorted(shown, key=_address):
        ready = is_ready(pod)
        endpoints.append(
            {
                "addresses": [_address(pod)],
                "conditions": {
                    "ready": (ready and not is_deleting(pod)) or anyway,
                    "serving": ready,
                    "terminating": is_deleting(pod),
                },
                "nodeName": pod["spec"].get("nodeName", ""),
                "targetRef": {
                    "kind": "Pod",
                    "namespace": pod["metadata"]["namespace"],
                    "name": pod["metadata"]["name"],
                    "uid": pod["metadata"]["uid"],
                },
            }
        )
    return {"addressType": "IPv4", "ports": ports, "endpoints": endpoints}


class EndpointSlices:
    """The reconciler of Services. `slices` needs the index "service" (by_service)."""

    def __init__(
        self,
        client: Client,
        services: Informer[Object],
        pods: Informer[Object],
        slices: Informer[Object],
    ) -> None:
        self._client = client
        self._services = services.store
        self._pods = pods.store
        self._slices = slices.store

    async def reconcile(self, key: Key) -> None:
        service = self._services.get(key)
        if service is None or not service["spec"].get("selector"):
            # Its slices go with it: they are owned by it.
            return
        content = slice_content(service, selected_pods(service, self._pods))
        held = [s for s in map(self._slices.get, self._slices.by("service", str(key))) if s]
        if not held:
            await self._client.create(ENDPOINT_SLICES, _new_slice(service, content))
        elif any(held[0].get(name) != value for name, value in content.items()):
            await self._client.update(ENDPOINT_SLICES, {**held[0], **content})

    def to_services(self, change: Change) -> Iterable[Key]:
        """Mapper: the Services of a pod's namespace that select it, or did before."""
        labels = [change.header.labels, *([change.old.labels] if change.old else [])]
        for key in self._services.by("namespace", change.key.namespace):
            service = self._services.get(key)
            if service is not None and any(selects(service, each) for each in labels):
                yield key


def selected_pods(service: Object, pods: Store[Object]) -> list[Object]:
    """The pods of a Service. `pods` needs the index "label" (by_label)."""
    namespace = service["metadata"]["namespace"]
    selector = service["spec"].get("selector") or {}
    candidates = [pods.by("label", f"{namespace}/{k}={v}") for k, v in selector.items()]
    found = []
    for key in min(candidates, key=len, default=()):
        header = pods.header(key)
        if header is not None and selects(service, header.labels):
            pod = pods.get(key)
            if pod is not None:
                found.append(pod)
    return found


def _new_slice(service: Object, content: Object) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                SERVICE_LABEL: metadata["name"],
                MANAGED_BY: MANAGER,
            },
            "ownerReferences": [owner_reference(service)],
        },
        **content,
    }


def _address(pod: Object) -> str:
    text: str = pod.get("status", {}).get("podIP", "")
    return text
