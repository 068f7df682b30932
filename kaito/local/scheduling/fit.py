"""Whether a pod fits a Node, as pure functions over what counts of the two."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from kaito.local.apiserver.quantity import value
from kaito.local.scheduling.neighbours import Rules
from kaito.runtime import Object

Resources: TypeAlias = Mapping[str, Decimal]
Taints: TypeAlias = tuple[tuple[str, str, str], ...]
"""(key, value, effect) each."""
HostPort: TypeAlias = tuple[int, str]

SELECTOR_REASON = "node(s) didn't match Pod's node affinity/selector"
NO_PORTS = "node(s) didn't have free ports for the requested pod ports"
UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pod cannot go to a Node; `helpless` when removing other pods would not help."""

    reasons: tuple[str, ...]
    helpless: bool = True


CORDONED = Refusal(("node(s) were unschedulable",))
TAINTED = Refusal(("node(s) had untolerated taint(s)",))
NO_MATCH = Refusal((SELECTOR_REASON,))


@dataclass(frozen=True, slots=True)
class NodeView:
    """What scheduling sees of a Node. `taints` are those that keep pods away."""

    name: str
    labels: Mapping[str, str]
    taints: Taints
    allocatable: Resources

    @classmethod
    def of(cls, node: Object) -> NodeView:
        spec, status = node.get("spec", {}), node.get("status", {})
        taints = [
            (each["key"], each.get("value", ""), each["effect"])
            for each in spec.get("taints") or ()
            if each["effect"] != "PreferNoSchedule"
        ]
        cordon = (UNSCHEDULABLE_TAINT, "", "NoSchedule")
        if spec.get("unschedulable"):
            # This is asked first, whatever else keeps pods away.
            taints = [cordon, *(each for each in taints if each != cordon)]
        return cls(
            name=node["metadata"]["name"],
            labels=node["metadata"].get("labels") or {},
            taints=tuple(taints),
            allocatable=_amounts(status.get("allocatable") or status.get("capacity") or {}),
        )


@dataclass(frozen=True, slots=True)
class PodNeeds:
    """What scheduling sees of a pod. `terms` are the node affinity terms, one of which must hold;
    None when there are none."""

    selector: Mapping[str, str]
    terms: Sequence[Mapping[str, Any]] | None
    tolerations: Sequence[Mapping[str, Any]]
    requests: Resources
    rules: Rules
    ports: tuple[HostPort, ...] = ()
    priority: int = 0
    preempts: bool = True
    """Whether pods of lower priority may have to go for it."""

    @classmethod
    def of(cls, pod: Object) -> PodNeeds:
        spec = pod["spec"]
        affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        return cls(
            selector=spec.get("nodeSelector") or {},
            terms=required.get("nodeSelectorTerms") or () if required else None,
            tolerations=spec.get("tolerations") or (),
            requests=pod_requests(spec),
            rules=Rules.of(pod["metadata"], spec),
            ports=host_ports(spec),
            priority=spec.get("priority") or 0,
            preempts=spec.get("preemptionPolicy") != "Never",
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Labels that a Node must have for the pod to fit, as far as they are single values."""
        terms = self.terms or ()
        only = terms[0].get("matchExpressions") or () if len(terms) == 1 else ()
        return [
            *self.selector.items(),
            *(
                (each["key"], each["values"][0])
                for each in only
                if each["operator"] == "In" and len(each["values"]) == 1
            ),
        ]


def host_ports(spec: Mapping[str, Any]) -> tuple[HostPort, ...]:
    """The ports of its Node that a pod wants, with their protocols."""
    return tuple(
        (port["hostPort"], port.get("protocol", "TCP"))
        for container in spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def pod_requests(spec: Mapping[str, Any]) -> Resources:
    """What a pod takes of a Node: the sum of its containers, or an init container if larger."""
    total: dict[str, Decimal] = {}
    for container in spec.get("containers") or ():
        for name, amount in _requests_of(container).items():
            total[name] = total.get(name, ZERO) + amount
    for container in spec.get("initContainers") or ():
        for name, amount in _requests_of(container).items():
            total[name] = max(total.get(name, ZERO), amount)
    for name, amount in _amounts(spec.get("overhead") or {}).items():
        total[name] = total.get(name, ZERO) + amount
    total["pods"] = Decimal(1)
    return total


def misfit(
    needs: PodNeeds, node: NodeView, used: Resources, taken: Container[HostPort] = ()
) -> Refusal | None:
    """Why the pod cannot go to the Node, None when it can. `used` and `taken` are the resources
    and the ports of the host that its pods hold."""
    if refusal := refused_by_taints(needs.tolerations, node.taints):
        return refusal
    if not matches_selector(needs, node):
        return NO_MATCH
    if any(port in taken for port in needs.ports):
        return Refusal((NO_PORTS,), helpless=False)
    lacking, helpless = [], False
    for name, amount in needs.requests.items():
        capacity = node.allocatable.get(name, ZERO)
        if amount and used.get(name, ZERO) + amount > capacity:
            lacking.append("Too many pods" if name == "pods" else f"Insufficient {name}")
            helpless = helpless or amount > capacity
    return Refusal(tuple(lacking), helpless) if lacking else None


def refused_by_taints(tolerations: Iterable[Mapping[str, Any]], taints: Taints) -> Refusal | None:
    """Why no pod with these tolerations goes to a Node with these taints."""
    for key, text, effect in taints:
        taint = {"key": key, "value": text, "effect": effect}
        if not any(tolerates(toleration, taint) for toleration in tolerations):
            return CORDONED if key == UNSCHEDULABLE_TAINT else TAINTED
    return None


def matches_selector(needs: PodNeeds, node: NodeView) -> bool:
    """Whether the Node has the labels that the pod asks for."""
    if any(node.labels.get(key) != text for key, text in needs.selector.items()):
        return False
    if needs.terms is None:
        return True
    return any(_term_holds(term, node) for term in needs.terms)


def _term_holds(term: Mapping[str, Any], node: NodeView) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        # An empty term matches nothing, says the API.
        return False
    own = {"metadata.name": node.name}
    return all(_holds(each, node.labels) for each in expressions) and all(
        _holds(each, own) for each in fields
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    found = labels.get(expression["key"])
    values = expression.get("values") or [""]
    match expression["operator"]:
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" as operator:
            try:
                number, bound = int(found or ""), int(values[0])
            except ValueError:
                return False
            return number > bound if operator == "Gt" else number < bound
        case _:
            return False


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    """Whether a toleration covers a taint."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def load(node: NodeView, used: Resources) -> Decimal:
    """How full a Node is, from 0 to 1: the mean over CPU and memory."""
    shares = [
        used.get(name, ZERO) / amount
        for name in ("cpu", "memory")
        if (amount := node.allocatable.get(name, ZERO))
    ]
    return sum(shares, ZERO) / max(1, len(shares))


def _requests_of(container: Mapping[str, Any]) -> Resources:
    resources = container.get("resources") or {}
    # The API server copies limits into absent requests; pods written by others may lack that.
    return _amounts((resources.get("limits") or {}) | (resources.get("requests") or {}))


def _amounts(quantities: Mapping[str, Any]) -> Resources:
    return {name: value(str(quantity)) for name, quantity in quantities.items()}
