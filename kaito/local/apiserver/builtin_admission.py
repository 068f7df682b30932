"""The admission plugins that a server starts with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kaito.local.apiserver.admission import Plugin, Review
from kaito.local.apiserver.audit import Audit
from kaito.local.apiserver.authorizing import CreateByWrite
from kaito.local.apiserver.behaviours.pod_updates import same
from kaito.local.apiserver.behaviours.pods import NODE_FAULTS
from kaito.local.apiserver.claim_classes import ClaimClasses
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.custom.definitions import Definitions
from kaito.local.apiserver.escalation import Escalation
from kaito.local.apiserver.limits import LimitRanges
from kaito.local.apiserver.podsecurity.plugin import PodSecurity
from kaito.local.apiserver.quota_admission import ResourceQuotas
from kaito.local.apiserver.rbac import Authorizer
from kaito.local.apiserver.service_addresses import ServiceAddresses
from kaito.local.apiserver.status import StatusError, forbidden, plain_failure
from kaito.local.apiserver.webhookcalls import Resolver
from kaito.local.apiserver.webhooks import Webhooks

SCHEDULING = "scheduling.k8s.io"
SYSTEM: dict[str, dict[str, Any]] = {
    "system-cluster-critical": {"value": 2000000000},
    "system-node-critical": {"value": 2000001000},
}
IMMORTAL = {"default", "kube-public", "kube-system"}
PROTECTED = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
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


class Immortal:
    """The namespaces of the cluster itself are not deleted."""

    async def mutate(self, review: Review) -> None:
        """Deletions are not changed."""

    async def validate(self, review: Review) -> None:
        kind, name = review.call.kind, review.name
        namespace = review.operation == "DELETE" and (kind.group, kind.plural) == ("", "namespaces")
        if namespace and name in IMMORTAL:
            raise forbidden("", "namespaces", name, "this namespace may not be deleted")


class PodDefaults:
    """Tolerations of failing nodes, and what the classes of a pod say."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def mutate(self, review: Review) -> None:
        kind = review.call.kind
        if kind.plural != "pods" or kind.group or review.subresource:
            return
        spec = review.object.setdefault("spec", {})
        if review.operation == "CREATE":
            self._priority(review, spec)
            self._runtime(review, spec)
        elif review.operation == "UPDATE" and review.old is not None:
            before = review.old.get("spec") or {}
            for name in ("priority", "preemptionPolicy"):
                if name in before:
                    spec.setdefault(name, before[name])
        for wanted in NODE_FAULTS:
            tolerations = spec.setdefault("tolerations", [])
            if not any(
                t.get("key") in {wanted["key"], None, ""}
                and t.get("effect", "NoExecute") == "NoExecute"
                for t in tolerations
            ):
                tolerations.append(dict(wanted))

    def _objects(self, group: str, plural: str) -> Iterator[dict[str, Any]]:
        kind = self._core.kinds.get(group, "v1", plural)
        assert kind is not None
        bucket = self._core.store.buckets.get(kind.bucket)
        for record in bucket.objects.values() if bucket else ():
            yield kind.value(record)

    def _find(self, group: str, plural: str, name: str) -> dict[str, Any] | None:
        kind = self._core.kinds.get(group, "v1", plural)
        assert kind is not None
        record = self._core.record(kind, "", name)
        return kind.value(record) if record is not None else None

    def _priority(self, review: Review, spec: dict[str, Any]) -> None:
        """The number of a priority class; a pod may name the class but not the number."""
        name = spec.get("priorityClassName", "")
        found: dict[str, Any] | None
        if name:
            found = self._find(SCHEDULING, "priorityclasses", name) or SYSTEM.get(name)
            if found is None:
                raise self._refused(review, f"no PriorityClass with name {name} was found")
        else:
            defaults = (
                c for c in self._objects(SCHEDULING, "priorityclasses") if c.get("globalDefault")
            )
            found = min(defaults, key=lambda c: int(c.get("value", 0)), default=None)
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
        found = found or {}
        value = found.get("value", 0)
        if spec.get("priority", value) != value:
            raise self._refused(
                review,
                f"the integer value of priority ({spec['priority']}) must not be provided in pod "
                f"spec; priority admission controller computed {value} from the given "
                "PriorityClass name",
            )
        policy = found.get("preemptionPolicy", "PreemptLowerPriority")
        if spec.get("preemptionPolicy", policy) != policy:
            raise self._refused(
                review,
                f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
                f"provided in pod spec; priority admission controller computed {policy} from "
                "the given PriorityClass name",
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _runtime(self, review: Review, spec: dict[str, Any]) -> None:
        """The overhead and the nodes of a runtime class."""
        name = spec.get("runtimeClassName")
        if name == "":
            raise plain_failure("resource name may not be empty")
        found: dict[str, Any] | None = {}
        if name is not None:
            found = self._find("node.k8s.io", "runtimeclasses", name)
        if found is None:
            raise self._refused(review, f'pod rejected: RuntimeClass "{name}" not found')
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead is None and spec.get("overhead") is not None:
            says = "Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise self._refused(review, f"pod rejected: {says}")
        if overhead is not None:
            if spec.get("overhead") is not None and not same(
                spec["overhead"], overhead, "overhead"
            ):
                says = "Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                raise self._refused(review, f"pod rejected: {says}")
            spec["overhead"] = overhead
        scheduling = found.get("scheduling") or {}
        selector = spec.get("nodeSelector") or {}
        for key, value in (scheduling.get("nodeSelector") or {}).items():
            if selector.get(key, value) != value:
                raise self._refused(
                    review,
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {selector[key]}",
                )
            spec.setdefault("nodeSelector", {})[key] = value
        for toleration in scheduling.get("tolerations") or ():
            if toleration not in spec.setdefault("tolerations", []):
                spec["tolerations"].append(toleration)

    @staticmethod
    def _refused(review: Review, says: str) -> StatusError:
        return forbidden("", "pods", review.object["metadata"].get("name", ""), says)

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
    core: Core,
    definitions: Definitions,
    resolver: Callable[[], Resolver | None],
    authorizer: Authorizer,
    audit: Audit,
    down: Callable[[str], bool],
) -> list[Plugin]:
    """The chain, in the order in which plugins run. `down` says which webhooks do not answer."""
    return [
        CreateByWrite(authorizer, audit),
        Immortal(),
        Escalation(authorizer),
        Terminating(definitions),
        LimitRanges(core),
        PodSecurity(core),
        PodDefaults(core),
        ClaimProtection(),
        ClaimClasses(core),
        Webhooks(core, resolver, authorizer, down),
        ServiceAddresses(core),
        ResourceQuotas(core),
    ]
