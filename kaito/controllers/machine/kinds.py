"""The kinds that this controller alone reads, as far as decisions depend on them."""

from __future__ import annotations

from typing import Any

import msgspec

from kaito.provisioner.claim import MACHINE, NODECLAIM, Claim, Dialect
from kaito.runtime import Key, Resource


def _claims(dialect: Dialect) -> Resource[Claim]:
    group, _, version = dialect.api_version.partition("/")
    return Resource(group, version, dialect.plural, dialect.kind, namespaced=False, model=Claim)


CLAIMS: dict[str, Resource[Claim]] = {
    dialect.kind: _claims(dialect) for dialect in (MACHINE, NODECLAIM)
}
"""Both kinds of claim, by kind."""


class PodMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Of a Pod's metadata."""

    name: str
    namespace: str
    uid: str = ""
    annotations: dict[str, str] = {}
    # Any: only kinds are looked at.
    owner_references: tuple[dict[str, Any], ...] = ()
    deletion_timestamp: str | None = None


class Toleration(msgspec.Struct, frozen=True):
    """Taints that a Pod does not mind."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Of a Pod's spec."""

    tolerations: tuple[Toleration, ...] = ()
    priority_class_name: str = ""
    termination_grace_period_seconds: int = 30


class PodStatus(msgspec.Struct, frozen=True):
    """Of a Pod's status."""

    phase: str = ""


class Pod(msgspec.Struct, frozen=True):
    """A Pod, as far as it keeps a Node from being removed."""

    metadata: PodMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def key(self) -> Key:
        return Key(self.metadata.namespace, self.metadata.name)

    @property
    def owners(self) -> frozenset[str]:
        """The kinds of the objects that it belongs to."""
        return frozenset(str(owner.get("kind")) for owner in self.metadata.owner_references)


PODS: Resource[Pod] = Resource("", "v1", "pods", "Pod", model=Pod)
