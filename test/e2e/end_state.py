"""What a cluster and its cloud hold, without what no two lives have alike: names that are made of
uids, times, addresses, versions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kaito.controllers.workspace.kinds import (
    CLAIMS,
    DISRUPTION_BUDGETS,
    JOBS,
    NETWORK_POLICIES,
)
from kaito.runtime import Object, Resource
from test.e2e.stage import (
    DEPLOYMENTS,
    MACHINES,
    NODECLAIMS,
    NODES,
    PODS,
    REVISIONS,
    SERVICES,
    STATEFUL_SETS,
    WORKSPACES,
    Stage,
)

KINDS: tuple[Resource[Object], ...] = (
    *(WORKSPACES, MACHINES, NODECLAIMS, NODES, PODS),
    *(DEPLOYMENTS, STATEFUL_SETS, SERVICES, JOBS, CLAIMS),
    *(DISRUPTION_BUDGETS, NETWORK_POLICIES, REVISIONS),
)
ONCE = (MACHINES, NODECLAIMS, NODES, PODS, DEPLOYMENTS, STATEFUL_SETS, SERVICES)
"""Kinds of which not even for a moment there is one more than needed."""
_DIFFERENT = frozenset(
    [
        *("uid", "resourceVersion", "managedFields", "seconds", "kaito.sh/shape"),
        *("clusterIP", "clusterIPs", "nodePort", "containerID", "imageID"),
        *("systemUUID", "machineID", "bootID"),
        # The Pod of a training, and how far it was when somebody heard of it last.
        *("pod", "step", "epoch", "loss", "secondsLeft"),
    ]
)
_MADE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(\.\d+)?Z?"), "TIME"),
    (re.compile(r"\bws[0-9a-f]{9}"), "WS"),
    (re.compile(r"^(.*)-[0-9a-f]{10}$"), r"\1-HASH"),
    (re.compile(r"WS-\d{8}-vmss"), "WS-NUMBER-vmss"),
    (re.compile(r"\b1\d{1,2}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"), "ADDRESS"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
)


def plain(value: Any) -> Any:
    """A value without what differs from life to life."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in _DIFFERENT}
    if isinstance(value, list):
        items = [plain(each) for each in value]
        is_conditions = all(isinstance(each, dict) and "type" in each for each in items)
        return sorted(items, key=lambda each: str(each["type"])) if is_conditions else items
    if isinstance(value, str):
        for pattern, word in _MADE:
            value = pattern.sub(word, value)
    return value


async def end_state(stage: Stage) -> Counter[str]:
    """All that is there, a line for each field of each object, and for each pool."""
    lines: Counter[str] = Counter()
    for resource in KINDS:
        for found in (await stage.client.list(resource)).items:
            name = found["metadata"].get("generateName") or plain(found["metadata"]["name"])
            found["metadata"]["name"] = name
            lines.update(f"{resource.kind} {name} {each}" for each in fields(plain(found)))
    for pool in await stage.pools():
        lines[f"Pool {pool.state} {pool.count} x {pool.vm_size}"] += 1
    return lines


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Each leaf of a value, with the way to it."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from fields(each, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from fields(each, f"{path}[{number}]")
    else:
        yield f"{path}: {value!r}"


def more(stage: Stage) -> dict[str, int]:
    """How many of each kind there have ever been."""
    return {resource.kind: len(stage.ever(resource)) for resource in ONCE}


def difference(found: Counter[str], expected: Counter[str]) -> str:
    """What is there and should not, and the other way round; empty when they are equal."""
    unexpected = [f"+ {each}" for each in (found - expected).elements()]
    missing = [f"- {each}" for each in (expected - found).elements()]
    return "\n".join([*unexpected, *missing])
