"""Situations of a claim: what may be seen of it, of its pool and of its Nodes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from kaito.api.labels import INSTANCE_TYPE
from kaito.api.machine import FINALIZER
from kaito.controllers.kinds import Node
from kaito.controllers.machine.cloud import UNKNOWN, CloudFacts, Refusal, Trouble
from kaito.controllers.machine.decision import Observation
from kaito.controllers.machine.useless import ANNOTATION
from kaito.provisioner import Absent, Pool, PoolState, node_request
from kaito.provisioner.claim import MACHINE, Claim
from kaito.provisioner.sharing import POOL
from kaito.runtime import rfc3339
from test.unit.controllers.machine.world import BUSY, NO_ROOM, START, node_object
from test.unit.provisioner.machines import (
    A10,
    A100,
    BORN,
    NAME,
    machine,
    machine_object,
    nodeclaim,
    nodeclaim_object,
)

NOW = START + 100.0
LAUNCHED = {"conditions": [{"type": "MachineLaunched", "status": "True"}], "providerID": ""}


def claimed(**changes: Any) -> Claim:
    """A Machine that has our finalizer."""
    plain = machine_object()["metadata"]
    metadata = {
        **plain,
        "finalizers": [FINALIZER],
        "labels": {**plain["labels"], INSTANCE_TYPE: A100},
        **changes.pop("metadata", {}),
    }
    return machine(metadata=metadata, **changes)


def claimed_nodeclaim(**changes: Any) -> Claim:
    """A NodeClaim that has our finalizer."""
    plain = nodeclaim_object()["metadata"]
    metadata = {**plain, "finalizers": [FINALIZER], **changes.pop("metadata", {})}
    return nodeclaim(metadata=metadata, **changes)


NEW = machine()
CLAIMED = claimed()
LIVING = claimed(status=LAUNCHED)
DYING = claimed(metadata={"deletionTimestamp": BORN})
DYING_LAUNCHED = claimed(metadata={"deletionTimestamp": BORN}, status=LAUNCHED)
RELEASED = machine(metadata={**machine_object()["metadata"], "deletionTimestamp": BORN})

# Others that name the claim's pool.
NAMING: dict[str, Any] = {"name": "wsb", "uid": "uid-wsb", "annotations": {POOL: NAME}}
PLAIN = machine_object()["metadata"]
MATE = machine(metadata={**PLAIN, **NAMING})
STRANGER = machine(
    metadata={**PLAIN, **NAMING, "labels": {**PLAIN["labels"], "kaito.sh/workspace": "other"}}
)
UNSERVED = machine(metadata={**PLAIN, **NAMING, "labels": {}})

OURS = Pool(
    name=NAME,
    state=PoolState.CREATING,
    said="Creating",
    instance_type=A100,
    labels=node_request(machine()).labels,
)
READY = replace(OURS, state=PoolState.READY, said="Succeeded")
GOING = replace(OURS, state=PoolState.DELETING, said="Deleting")
FAILED = replace(OURS, state=PoolState.FAILED, said="Failed", failure=NO_ROOM)
OF_ANOTHER_TYPE = replace(OURS, instance_type=A10)
FOREIGN = replace(READY, labels={"team": "blue"})
OLD = replace(READY, labels={**OURS.labels, "kaito.sh/launch-timestamp": "2025-12-31T12-00-00Z"})


def with_useless(*pools: str) -> Claim:
    """A claim for which these pools have been paid in vain."""
    ledger = {"generation": 1, "pools": dict.fromkeys(pools, "no Node came")}
    return claimed(metadata={"annotations": {ANNOTATION: json.dumps(ledger)}})


ENTERED = with_useless("")
STOPPED = with_useless("1", "2", "3")


def node(number: int = 0, **metadata: Any) -> Node:
    wire = node_object(number=number, labels=OURS.labels)
    wire["metadata"].update(metadata)
    return msgspec.convert(wire, Node)


OWNER = {
    "apiVersion": "karpenter.sh/v1alpha5",
    "kind": "Machine",
    "name": NAME,
    "uid": f"uid-{NAME}",
}
OWN: dict[str, Any] = {"finalizers": [FINALIZER], "ownerReferences": [OWNER]}
LEAVING = node(**OWN, deletionTimestamp=BORN)
SMALL = node(labels={**OURS.labels, INSTANCE_TYPE: A10})


def facts(pool: Any = UNKNOWN, *, age: float = 1.0, **more: Any) -> CloudFacts:
    return CloudFacts(pool=pool, at=NOW - age, **{"since": NOW - 10.0, **more})


def at(
    claim: Claim | None,
    cloud: CloudFacts | None = None,
    nodes: Iterable[Node] = (),
    **more: Any,
) -> Observation:
    return Observation(
        name=NAME,
        dialect=claim.dialect if claim else MACHINE,
        claim=claim,
        nodes=tuple(nodes),
        cloud=cloud or CloudFacts(),
        **{"pool": NAME, "now": NOW, **more},
    )


def gone(age: float = 1.0) -> CloudFacts:
    return facts(Absent(), age=age, confirmed=True)


def refused(*failures: Any, age: float = 1.0) -> CloudFacts:
    refusals = tuple(Refusal(A100, failure, NOW - age) for failure in failures)
    return facts(Absent(), refusals=refusals)


def troubled(pool: Any, failure: Any = BUSY) -> CloudFacts:
    return facts(pool, confirmed=True, trouble=Trouble(failure, NOW - 1.0))


CLOSED_TAINTS = [
    {"key": "sku", "value": "gpu", "effect": "NoSchedule"},
    {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"},
]


def closed(**metadata: Any) -> Node:
    """A Node that takes no new Pods."""
    wire = node_object(labels=OURS.labels)
    wire["metadata"].update({**OWN, **metadata})
    wire["spec"]["taints"] = CLOSED_TAINTS
    return msgspec.convert(wire, Node)


def broken(since: float) -> Node:
    """A registered Node whose kubelet has been silent since."""
    wire = node_object(labels={**OURS.labels, "karpenter.sh/registered": "true"})
    wire["metadata"].update(OWN)
    wire["metadata"]["labels"]["karpenter.sh/initialized"] = "true"
    wire["status"]["conditions"] = [
        {"type": "Ready", "status": "Unknown", "lastTransitionTime": rfc3339(since)}
    ]
    return msgspec.convert(wire, Node)


CLOSED = closed()
BROKEN = broken(NOW - 3600.0)
THEIRS = replace(READY, labels=node_request(nodeclaim()).labels)
"""The pool of a NodeClaim."""
