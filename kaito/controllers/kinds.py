"""Kinds that more than one controller reads."""

from __future__ import annotations

from kaito.api import machine
from kaito.api.machine import Machine
from kaito.runtime import Resource

MACHINES: Resource[Machine] = Resource(
    machine.GROUP,
    machine.VERSION,
    machine.PLURAL,
    machine.KIND,
    namespaced=False,
    model=Machine,
)
