"""Pools that several claims share: which one a claim uses, and which claims may use the same.

A claim's pool bears its name, unless the annotation POOL says another one. Only claims whose nodes
would be equal in everything, their customer and the cluster included, may share.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, fields, replace

import msgspec

from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import CREATED
from kaito.provisioner.request import NodeRequest

POOL = "kaito.sh/pool"
"""Annotation of a claim whose machine is one of another claim's pool."""


def pool_of(claim: Claim) -> str:
    """The name of the pool that the claim's machine is in, or is to be in."""
    return claim.metadata.annotations.get(POOL) or claim.metadata.name


def shape_of(request: NodeRequest) -> str:
    """A label's value, equal for requests that differ in the claim's name and birth date only.

    What has its default is left out, so that a field that a later release adds changes the shape
    of those who use it alone: pools that are there stay shared over an upgrade. A default must
    therefore never change its meaning.
    """
    labels = {name: value for name, value in request.labels.items() if name != CREATED}
    nameless = replace(request, name="", labels=labels, written=())
    said = msgspec.to_builtins(_chosen(nameless))
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _chosen(request: NodeRequest) -> dict[str, object]:
    """The fields that have not their default. Taints leave theirs out by themselves."""
    said: dict[str, object] = {}
    for each in fields(request):
        value, make = getattr(request, each.name), each.default_factory
        if value != (each.default if make is MISSING else make()):
            said[each.name] = value
    return said
