"""Reads what is known of a Workspace out of the caches. No request, no judgement.

The indexes that make this cheap are here too: whose an order, Node or Pod is, which nodes
belong to nobody, which Workspaces count a node and which wait for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kaito.api import conditions, labels
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.workspace.observation import Observation, Subject, identity_index
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.parameters import Config, config_name
from kaito.runtime import Header, Index, Key, Object, Store, View, is_true

WORKSPACE = "workspace"
FREE = "free"
WORKER = "worker"
WAITING = "waiting"
CONFIG = "config"
ANY_NODE = ""  # under FREE and WAITING: no label in particular


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The caches of what a Workspace consists of."""

    workspaces: Store[Object]
    orders: Mapping[str, Store[Order]]
    """By kind; those kinds that the API server has."""
    nodes: Store[Node]
    deployments: Store[Object]
    stateful_sets: Store[Object]
    jobs: Store[Object]
    claims: Store[Object]
    services: Store[Object]
    disruption_budgets: Store[Object]
    network_policies: Store[Object]
    pods: Store[Object]
    revisions: Store[Object]


def observe(
    stores: Stores, workspace: Object, now: float, config: Config | None = None
) -> Observation:
    """What is seen of a Workspace; `config` is the ConfigMap that it names."""
    key = Key.of(workspace)
    subject = Subject(workspace)
    own = identity_index(subject.identity)
    free = sorted(free_nodes(stores.nodes, workspace))
    return Observation(
        workspace=workspace,
        orders=tuple(
            order
            for store in stores.orders.values()
            for k in sorted(store.by(WORKSPACE, own))
            if (order := store.get(k))
        ),
        nodes=tuple(
            n
            for k in (*sorted(stores.nodes.by(WORKSPACE, own)), *free)
            if (n := stores.nodes.get(k))
        ),
        taken=frozenset(k.name for k in free if _taken(stores.workspaces, subject, k.name)),
        contested=frozenset(
            k.name
            for k in (() if _runs(workspace) else free)
            if k.name in workers(workspace) and _others(stores.workspaces, subject, k.name)
        ),
        config=config,
        deployment=stores.deployments.object(key),
        stateful_set=stores.stateful_sets.object(key),
        job=stores.jobs.object(key),
        checkpoints=stores.claims.object(subject.checkpoints),
        service=stores.services.object(key),
        headless=stores.services.object(subject.headless),
        disruption_budget=stores.disruption_budgets.object(key),
        network_policy=stores.network_policies.object(key),
        pods=tuple(
            p for k in sorted(stores.pods.by(WORKSPACE, own)) if (p := stores.pods.object(k))
        ),
        revisions=tuple(
            r
            for k in sorted(stores.revisions.by(WORKSPACE, own))
            if (r := stores.revisions.object(k))
        ),
        now=now,
    )


def by_workspace(view: View) -> Iterable[str]:
    """Which Workspace an object's labels name; none for a Pod of another namespace, whose author
    may be a stranger with a message of his own."""
    named = identity_index(view.header.labels)
    theirs = view.key.namespace not in ("", named.partition("/")[0])
    return (named,) if named and not theirs else ()


def by_free_label(view: View) -> Iterable[str]:
    """Every label of a node that belongs to nobody."""
    return free_labels(view.header.labels)


def free_labels(found: Mapping[str, str]) -> list[str]:
    """What a node with these labels is filed under, nothing when it belongs to somebody."""
    if labels.RESERVED & found.keys():
        return []
    return [ANY_NODE, *(f"{key}={value}" for key, value in found.items())]


def by_worker(view: View) -> Iterable[str]:
    """The nodes that a Workspace counts."""
    return workers(view.object)


def workers(workspace: Object) -> list[str]:
    """Names of the nodes that a Workspace counts."""
    return list(Subject(workspace).status.get("workerNodes") or ())


def by_wish(view: View) -> Iterable[str]:
    """One label that nodes must have for a Workspace that waits for nodes."""
    workspace = view.object
    if _runs(workspace):
        return ()
    return (next(_pairs(workspace), ANY_NODE),)


def by_config(view: View) -> Iterable[str]:
    """The ConfigMap that a Workspace names, as namespace/name."""
    name = config_name(view.object)
    return (str(Key(view.key.namespace, name)),) if name else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {
    "workspaces": {WORKER: by_worker, WAITING: by_wish, CONFIG: by_config},
    "orders": {WORKSPACE: by_workspace},
    "nodes": {WORKSPACE: by_workspace, FREE: by_free_label},
    "pods": {WORKSPACE: by_workspace},
    "revisions": {WORKSPACE: by_workspace},
}


def waiting_for(workspaces: Store[Object], node: Mapping[str, str]) -> set[Key]:
    """Workspaces that wait for nodes and may count one with these labels."""
    return {key for pair in free_labels(node) for key in workspaces.by(WAITING, pair)}


def free_nodes(nodes: Store[Node], workspace: Object) -> Iterator[Key]:
    """The nodes of nobody that a Workspace's selector allows."""
    wanted = list(_pairs(workspace))
    for key in nodes.by(FREE, wanted[0] if wanted else ANY_NODE):
        header = nodes.header(key)
        if header is not None and set(wanted) <= set(free_labels(header.labels)):
            yield key


def _pairs(workspace: Object) -> Iterator[str]:
    """The labels that its selector asks for, as key=value; what is no selector asks for none."""
    resource = workspace.get("resource")
    selector = resource.get("labelSelector") if isinstance(resource, dict) else None
    wanted = selector.get("matchLabels") if isinstance(selector, dict) else None
    if isinstance(wanted, dict):
        yield from (f"{k}={v}" for k, v in sorted(wanted.items()) if k not in labels.RESERVED)


def _taken(workspaces: Store[Object], subject: Subject, node: str) -> bool:
    """Whether another Workspace that counts a node has a better claim to it: it alone counts it,
    or it runs there, or it is the older one."""
    mine = workspaces.header(subject.key)
    others = _others(workspaces, subject, node)
    if mine is None or node not in workers(subject.workspace):
        return bool(others)
    own = (not _runs(subject.workspace), *_age(mine))
    return any((not _runs(other), *_age(header)) < own for other, header in others)


def _others(workspaces: Store[Object], subject: Subject, node: str) -> list[tuple[Object, Header]]:
    """The other Workspaces that count a node."""
    keys = (key for key in workspaces.by(WORKER, node) if key != subject.key)
    found = ((workspaces.object(key), workspaces.header(key)) for key in keys)
    return [(other, header) for other, header in found if other is not None and header is not None]


def _runs(workspace: Object) -> bool:
    """Whether a Workspace has all its nodes, and so may run on them."""
    return is_true(Subject(workspace).status.get("conditions") or (), conditions.RESOURCE_READY)


def _age(header: Header) -> tuple[str, str]:
    return header.created, header.uid
