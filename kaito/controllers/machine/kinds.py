"""The kinds that this controller alone reads."""

from __future__ import annotations

from kaito.runtime import Object, Resource

# Read only to learn whether somebody else's claim still stands behind a pool.
NODECLAIMS: Resource[Object] = Resource(
    "karpenter.sh", "v1", "nodeclaims", "NodeClaim", namespaced=False
)
