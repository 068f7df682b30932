"""Puts the machine controller together: caches, reconciler, sweep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kaito.api.machine import FINALIZER
from kaito.catalog.catalog import Catalog, load
from kaito.controllers.kinds import (
    MACHINES,
    NODE_PARTS,
    NODES,
    Node,
)
from kaito.controllers.machine.book import PoolBook
from kaito.controllers.machine.decision import Policy
from kaito.controllers.machine.reconciler import Reconciler
from kaito.controllers.machine.sweep import Sweep, claimed_live
from kaito.controllers.machine.writes import ApiWrites
from kaito.provisioner import NodeSource
from kaito.provisioner.ownership import served
from kaito.runtime import (
    Change,
    Controller,
    Key,
    Manager,
    Store,
    View,
    any_of,
    finalizers_changed,
    generation_changed,
    labels_changed,
    watch,
)

WORKERS = 32
"""A worker is held for one exchange with the cloud at a time, seconds at worst, and costs nothing
while it waits."""
BY_POOL = "pool"


def build(
    manager: Manager,
    source: NodeSource,
    *,
    poll_seconds: float,
    cluster: str,
    catalog: Catalog | None = None,
) -> None:
    """Have `manager` serve Machines from `source`. The manager and the source stay the caller's.

    `poll_seconds` is the unit of every pause; `cluster` is the uid of the namespace kube-system.
    Without a `catalog` of instance types, the one that comes with KAITO is read.
    """
    known = catalog or load()
    clock, client = manager.clock, manager.client
    label = source.pool_label

    def pool_named(view: View) -> Iterator[str]:
        if label in view.header.labels:
            yield view.header.labels[label]

    machines = manager.informer(MACHINES)
    nodes = manager.informer(
        NODES, labels=label, indexes={BY_POOL: pool_named}, transform=NODE_PARTS
    )

    def gpus(instance_type: str) -> int:
        sku = known.find_sku(instance_type, cloud=source.cloud)
        return sku.gpus.count if sku is not None and sku.gpus.vendor == "nvidia" else 0

    def machine_of(change: Change) -> Iterable[Key]:
        header = change.header
        if served(header.labels) or FINALIZER in header.finalizers:
            return [Key("", name) for name in pool_named(change)]
        return []

    reconciler = Reconciler(
        machine=lambda name: machines.store.get(Key("", name)),
        nodes=lambda name: nodes_of(source, nodes.store, name),
        book=PoolBook(source, clock, poll_seconds=poll_seconds),
        writes=ApiWrites(client, machines.store, manager.recorder),
        policy=Policy(cloud=source.name, poll_seconds=poll_seconds, gpus=gpus, cluster=cluster),
        clock=clock,
    )
    manager.add(
        Controller(
            "machine",
            reconciler.reconcile,
            # Not for status: it is our own, and nobody else's to write.
            primary=watch(
                machines, when=any_of(generation_changed, labels_changed, finalizers_changed)
            ),
            watches=[watch(nodes, to=machine_of)],
            workers=WORKERS,
        )
    )
    sweep = Sweep(
        source,
        claimed=lambda name: Key("", name) in machines.store,
        claimed_live=lambda name: claimed_live(client, name),
        clock=clock,
        poll_seconds=poll_seconds,
        cluster=cluster,
    )
    manager.add_task("sweep", sweep.run)


def nodes_of(source: NodeSource, store: Store[Node], name: str) -> Iterator[Node]:
    """The Nodes of a pool: those whose label says so, unless their provider ID contradicts it."""
    for key in store.by(BY_POOL, name):
        node = store.get(key)
        if node is None:
            continue
        provider_id = node.spec.provider_id
        if not provider_id or source.pool_of(provider_id) == name:
            yield node
