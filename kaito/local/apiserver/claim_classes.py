"""What the class of a claim decides: which one a claim gets, and whether the claim may grow."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.behaviours.claims import OLD_CLASS
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.status import forbidden

Object = dict[str, Any]
DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
UNBOUND = "Only bound persistent volume claims can be expanded"
FIXED = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
    "must support resize"
)


class ClaimClasses:
    """The plugin."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def mutate(self, review: Review) -> None:
        """A claim that names no class gets the newest of the default ones."""
        if not _concerned(review) or review.operation != "CREATE":
            return
        spec = review.object.setdefault("spec", {})
        if "storageClassName" in spec or OLD_CLASS in _annotations(review.object):
            return
        defaults = [c for c in self._classes() if _is_default(c)]
        if defaults:
            # Of those made in one second the first by name counts.
            newest = max(c["metadata"]["creationTimestamp"] for c in defaults)
            names = (
                c["metadata"]["name"]
                for c in defaults
                if c["metadata"]["creationTimestamp"] == newest
            )
            spec["storageClassName"] = min(names)

    async def validate(self, review: Review) -> None:
        """Refuses to let a claim grow where its volume cannot."""
        if not _concerned(review) or review.operation != "UPDATE" or review.old is None:
            return
        new, old = review.object, review.old
        if _size(new) <= _size(old):
            return
        name = new["metadata"].get("name", "")
        if (old.get("status") or {}).get("phase") != "Bound":
            raise forbidden("", "persistentvolumeclaims", name, UNBOUND)
        wanted = _annotations(new).get(OLD_CLASS) or new["spec"].get("storageClassName")
        found = (c for c in self._classes() if c["metadata"]["name"] == wanted)
        if not any(c.get("allowVolumeExpansion") for c in found):
            raise forbidden("", "persistentvolumeclaims", name, FIXED)

    def _classes(self) -> Iterator[Object]:
        bucket = self._core.store.buckets.get("storage.k8s.io/storageclasses")
        for record in bucket.objects.values() if bucket else ():
            yield record.value()


def _concerned(review: Review) -> bool:
    kind = review.call.kind
    return kind.plural == "persistentvolumeclaims" and not review.subresource


def _annotations(obj: Object) -> dict[str, str]:
    found: dict[str, str] = obj["metadata"].get("annotations") or {}
    return found


def _is_default(storage_class: Object) -> bool:
    return any(_annotations(storage_class).get(name) == "true" for name in DEFAULT)


def _size(claim: Object) -> Decimal:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.value(requests.get("storage", "0"))
