"""The admission plugins that a server starts with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver.admission import Plugin, Review
from kaito.local.apiserver.behaviours.pods import NODE_FAULTS
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.custom.definitions import Definitions
from kaito.local.apiserver.service_addresses import ServiceAddresses
from kaito.local.apiserver.status import forbidden
from kaito.local.apiserver.webhooks import Resolver, Webhooks

SYSTEM = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}
PROTECTED = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class Terminating:
    """No custom resource comes into being while its definition goes."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions

    async def mutate(self, review: Review) -> None:
        kind = review.call.kind
        if review.operation == "CREATE" and kind.definition in self._definitions.terminating:
            raise forbidden(
                kind.group,
                kind.plural,
                review.object["metadata"].get("name", ""),
                "create not allowed while custom resource definition is terminating",
            )

    async def validate(self, review: Review) -> None:
        """Nothing beyond the mutation phase, which runs first."""


class PodDefaults:
    """Tolerations of failing nodes and the numbers of a priority class."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def mutate(self, review: Review) -> None:
        kind = review.call.kind
        if (
            kind.plural != "pods"
            or kind.group
            or review.subresource
            or review.operation != "CREATE"
        ):
            return
        spec = review.object.setdefault("spec", {})
        self._priority(review, spec)
        for wanted in NODE_FAULTS:
            tolerations = spec.setdefault("tolerations", [])
            if not any(
                t.get("key") in {wanted["key"], None, ""}
                and t.get("effect", "NoExecute") == "NoExecute"
                for t in tolerations
            ):
                tolerations.append(dict(wanted))

    def _priority(self, review: Review, spec: dict[str, Any]) -> None:
        name = spec.get("priorityClassName", "")
        value, policy = 0, "PreemptLowerPriority"
        if name in SYSTEM:
            value = SYSTEM[name]
        elif name:
            classes = self._core.kinds.get("scheduling.k8s.io", "v1", "priorityclasses")
            assert classes is not None
            record = self._core.record(classes, "", name)
            if record is None:
                raise forbidden(
                    "",
                    "pods",
                    review.object["metadata"].get("name", ""),
                    f"no PriorityClass with name {name} was found",
                )
            found = record.value()
            value, policy = found.get("value", 0), found.get("preemptionPolicy", policy)
        spec["priority"] = value
        spec.setdefault("preemptionPolicy", policy)

    async def validate(self, review: Review) -> None:
        """Nothing to refuse beyond the mutation."""


class ClaimProtection:
    """Claims and volumes are held while something uses them."""

    async def mutate(self, review: Review) -> None:
        finalizer = PROTECTED.get(review.call.kind.plural)
        if finalizer is None or review.operation != "CREATE" or review.subresource:
            return
        finalizers = review.object["metadata"].setdefault("finalizers", [])
        if finalizer not in finalizers:
            finalizers.append(finalizer)

    async def validate(self, review: Review) -> None:
        """Nothing to refuse."""


def plugins(
    core: Core, definitions: Definitions, resolver: Callable[[], Resolver | None]
) -> list[Plugin]:
    """The chain, in the order in which plugins run."""
    return [
        Terminating(definitions),
        PodDefaults(core),
        ClaimProtection(),
        Webhooks(core, resolver),
        ServiceAddresses(core),
    ]
