"""What asks for nodes of a Workspace: a Machine, a NodeClaim or a NodePool, read in one form.

Reading is lenient: whoever else writes these kinds may know more of them than we do. Nothing here
decides; an order that cannot be read in full is read in part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field

from kaito.api import labels, machine, nodeclaim, nodepool
from kaito.api.meta import Condition, ObjectMeta, Wire, find_condition, is_true
from kaito.runtime import Resource

NODE_POOL = "karpenter.sh/nodepool"


class Failed(NamedTuple):
    """A size that could not be had."""

    size: str
    why: str

    @property
    def sentence(self) -> str:
        """Why, with one full stop, or with the dots of what was cut."""
        return self.why if self.why.endswith("...") else f"{self.why.rstrip('.')}."


class Requirement(Wire):
    """What a node must be."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class Requests(Wire):
    """What a node must offer at least."""

    requests: Mapping[str, str | int] = {}


class ClassReference(Wire):
    """The provider's class of the node."""

    group: str = ""
    kind: str = ""
    name: str = ""


class Wish(Wire):
    """The node that is wanted."""

    requirements: tuple[Requirement, ...] = ()
    resources: Requests | None = None
    node_class_ref: ClassReference | None = None


class Template(Wire):
    """What the nodes of a pool are made from."""

    metadata: ObjectMeta = ObjectMeta()
    spec: Wish = Wish()


class OrderSpec(Wish):
    """The node, or the nodes, that are wanted."""

    replicas: int | None = None
    template: Template | None = None


class OrderStatus(Wire):
    """What became of it."""

    node_name: str = ""
    provider_id: str = Field(default="", alias="providerID")
    conditions: tuple[Condition, ...] = ()


class Order(Wire):
    """One object that asks for nodes of one size."""

    api_version: str
    kind: str
    metadata: ObjectMeta
    spec: OrderSpec = OrderSpec()
    status: OrderStatus = OrderStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def deleting(self) -> bool:
        return self.metadata.deleting

    @property
    def nodes(self) -> int:
        """How many nodes it asks for."""
        return self.spec.replicas or 0 if self.kind == nodepool.KIND else 1

    @property
    def wish(self) -> Wish:
        """What each of its nodes must be."""
        return self.spec.template.spec if self.spec.template else self.spec

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes that it asks for; one, where it is of ours."""
        return next((r.values for r in self.wish.requirements if r.key == labels.INSTANCE_TYPE), ())

    @property
    def launched(self) -> bool:
        """Whether its node is there, or on its way and paid for."""
        types = (machine.LAUNCHED, nodeclaim.LAUNCHED)
        return any(is_true(self.status.conditions, type_) for type_ in types)

    @property
    def ready(self) -> bool:
        """Whether its node is ready, as its provisioner says."""
        return is_true(self.status.conditions, machine.READY)

    @property
    def pool(self) -> str:
        """The NodePool that made it, "" for what nobody made for a pool."""
        owned = any(each.kind == nodepool.KIND for each in self.metadata.owner_references)
        return self.metadata.labels.get(NODE_POOL, "") if owned else ""

    @property
    def foreign(self) -> bool:
        """Whether another provisioner than KAITO's answers it."""
        reference = self.wish.node_class_ref
        ours = (nodeclaim.NODE_CLASS_GROUP, nodeclaim.NODE_CLASS_KIND)
        return reference is not None and (reference.group, reference.kind) != ours

    @property
    def attempt(self) -> int:
        """Which attempt to get nodes it is part of, counted from 0."""
        text = self.metadata.annotations.get(labels.ATTEMPT, "0")
        return int(text) if text.isascii() and text.isdigit() else 0

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The attempts before it, as they were told when it was made."""
        return _failed(self.metadata.annotations.get(labels.FAILED_SIZES, ""))

    @property
    def settled(self) -> bool:
        """Whether all nodes of its attempt have been there together."""
        return labels.SIZE_SETTLED in self.metadata.annotations

    def condition(self, *types: str) -> Condition | None:
        """Its first condition of these types."""
        found = (find_condition(self.status.conditions, type_) for type_ in types)
        return next((each for each in found if each is not None), None)


def noted(failed: tuple[Failed, ...]) -> str:
    """Attempts that failed, as an annotation holds them."""
    return json.dumps([list(each) for each in failed], separators=(",", ":"), ensure_ascii=False)


# Any: annotations may be edited by anybody.
def _failed(text: str) -> tuple[Failed, ...]:
    try:
        found: Any = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return ()
    pairs = found if isinstance(found, list) else []
    return tuple(
        Failed(str(each[0]), str(each[1]))
        for each in pairs
        if isinstance(each, list) and len(each) == len(Failed._fields)
    )


# Items of a list need not say what they are.
class _Machine(Order):
    api_version: str = machine.API_VERSION
    kind: str = machine.KIND


class _NodeClaim(Order):
    api_version: str = nodeclaim.API_VERSION
    kind: str = nodeclaim.KIND


class _NodePool(Order):
    api_version: str = nodepool.API_VERSION
    kind: str = nodepool.KIND


def _orders(
    group: str, version: str, plural: str, kind: str, model: type[Order]
) -> Resource[Order]:
    return Resource(group, version, plural, kind, namespaced=False, model=model)


ORDERS: Mapping[str, Resource[Order]] = {
    each.kind: each
    for each in (
        _orders(machine.GROUP, machine.VERSION, machine.PLURAL, machine.KIND, _Machine),
        _orders(nodeclaim.GROUP, nodeclaim.VERSION, nodeclaim.PLURAL, nodeclaim.KIND, _NodeClaim),
        _orders(nodepool.GROUP, nodepool.VERSION, nodepool.PLURAL, nodepool.KIND, _NodePool),
    )
}
"""What asks for nodes, by kind."""
