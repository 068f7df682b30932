"""Where nodes come from: a small interface (source.py), its values, and adapters.

A Machine or NodeClaim is read as a Claim, and the Claim into a NodeRequest; a NodeSource turns it
into a pool of one node in some cloud, without waiting; every refusal is a classified Failure. The
labels in ownership.py prove whose a pool is. Adapters are packages beside this file and are
imported only by whoever chooses them.
"""

from __future__ import annotations

from kaito.provisioner.failure import Cause, CloudError, Failure, Way
from kaito.provisioner.request import NodeRequest, Unsatisfiable, node_request
from kaito.provisioner.settings import CloudSettings, CredentialKind, SettingsError
from kaito.provisioner.source import Absent, NodeSource, Pool, PoolMachine, PoolState

__all__ = [
    "Absent",
    "Cause",
    "CloudError",
    "CloudSettings",
    "CredentialKind",
    "Failure",
    "NodeRequest",
    "NodeSource",
    "Pool",
    "PoolMachine",
    "PoolState",
    "SettingsError",
    "Unsatisfiable",
    "Way",
    "node_request",
]
