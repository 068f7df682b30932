"""Puts the machine controller together: caches, a controller for each kind of claim, the sweep
and the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any, Literal

from kaito.api.machine import FINALIZER
from kaito.catalog.catalog import Catalog, load
from kaito.catalog.sku import Sku
from kaito.controllers.kinds import CONFIG_MAPS, NODE_PARTS, NODES, Node
from kaito.controllers.machine.archive import LEDGER, Archive
from kaito.controllers.machine.book import PoolBook
from kaito.controllers.machine.broom import Broom
from kaito.controllers.machine.chronicle import Chronicle
from kaito.controllers.machine.decision import Fleet, Policy
from kaito.controllers.machine.disruption import fleet
from kaito.controllers.machine.findings import Inventory
from kaito.controllers.machine.kinds import CLAIMS
from kaito.controllers.machine.ledger import Ledger
from kaito.controllers.machine.lifecycle_tallies import LifecycleTallies
from kaito.controllers.machine.mates import BY_POOL, PoolMates, by_pool, mates_of
from kaito.controllers.machine.measured import CallTallies, Measured
from kaito.controllers.machine.reconciler import Reconciler
from kaito.controllers.machine.sweep import Sweep
from kaito.controllers.machine.tallies import PoolTallies, SweepTallies
from kaito.controllers.machine.tenants import ApiPods, Tenants
from kaito.controllers.machine.witness import Witness
from kaito.controllers.machine.writes import ApiWrites
from kaito.provisioner import NodeSource, Pool
from kaito.provisioner.claim import DIALECTS, MACHINE, NODECLAIM, Claim, Dialect
from kaito.provisioner.ownership import served
from kaito.runtime import (
    Change,
    Client,
    Controller,
    Informer,
    Key,
    Manager,
    Object,
    Resource,
    Store,
    View,
    annotations_changed,
    any_of,
    finalizers_changed,
    generation_changed,
    labels_changed,
    watch,
)

WORKERS = 32
"""A worker is held for one exchange with the cloud at a time, seconds at worst, and costs nothing
while it waits."""
SHARE = 0.9
"""Of the pools that the cloud allows: from there on claims share them."""
SILENCE_SECONDS = 120.0
"""Without a word from the API server, which sends a bookmark a minute, a cache may be stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What whoever runs the provisioner may choose."""

    expire: bool = False
    """Whether NodeClaims end with their expireAfter, which the API server sets to 30 days where
    nobody has said anything else."""
    repair: bool = False
    """Whether a claim is deleted whose Node has not been ready for ten minutes."""
    drain_seconds: float = 3600.0
    """How long Pods may take to leave a Node whose claim has no terminationGracePeriod."""
    making_seconds: float = 3600.0
    """How long a pool may be in the making before it is given up."""
    joining_seconds: float = 900.0
    """How long a Node may take from then on to join the cluster."""


def build(
    manager: Manager,
    source: NodeSource,
    *,
    poll_seconds: float,
    cluster: str,
    kinds: Sequence[Dialect] = (MACHINE, NODECLAIM),
    options: Options | None = None,
    catalog: Catalog | None = None,
) -> None:
    """Have `manager` serve claims from `source`. The manager and the source stay the caller's.

    `poll_seconds` is the unit of every pause; `cluster` is the uid of the namespace kube-system.
    `kinds` are those that the API server has. Without a `catalog` of instance types, the one that
    comes with KAITO is read.
    """
    known, chosen = catalog or load(), options or Options()
    clock, client = manager.clock, manager.client
    label = source.pool_label

    def pool_named(view: View) -> Iterator[str]:
        if label in view.header.labels:
            yield view.header.labels[label]

    pool_used = by_pool(source.pool_of)
    claims = {
        kind.kind: manager.informer(CLAIMS[kind.kind], indexes={BY_POOL: pool_used})
        for kind in kinds
    }
    nodes = manager.informer(
        NODES, labels=label, indexes={BY_POOL: pool_named}, transform=NODE_PARTS
    )

    def size(instance_type: str) -> Sku | None:
        return known.find_sku(instance_type, cloud=source.cloud)

    def price(instance_type: str) -> float | None:
        sku = size(instance_type)
        return sku.price.usd_per_hour if sku is not None and sku.price is not None else None

    def listed(instance_type: str) -> str:
        sku = size(instance_type)
        return sku.name if sku is not None else "other"

    registry = manager.metrics.registry
    ledger = Ledger()
    chronicle = Chronicle(ledger, PoolTallies(registry, listed), cluster=cluster, price=price)
    measured = Measured(source, CallTallies(registry, listed), clock)
    source = Witness(measured, chronicle, clock)
    lifecycle = LifecycleTallies(registry)
    book = PoolBook(source, clock, poll_seconds=poll_seconds)
    policy = Policy(
        cloud=source.name,
        poll_seconds=poll_seconds,
        size=size,
        image_label=source.image_label,
        cluster=cluster,
        relabelling=source.relabelling,
        share_from=ceil(SHARE * source.most_pools),
        expire=chosen.expire,
        repair=chosen.repair,
        drain_seconds=chosen.drain_seconds,
        making_patience=chosen.making_seconds,
        joining_patience=chosen.joining_seconds,
    )

    def count() -> Fleet:
        return fleet(
            [claim for each in claims.values() for claim in each.store.list()], nodes.store.list()
        )

    for kind, informer in claims.items():
        reconciler = Reconciler(
            DIALECTS[kind],
            claim=_finder(informer.store),
            nodes=lambda name: nodes_of(source, nodes.store, name),
            mates=PoolMates(client, informer.store, source.pool_of),
            fleet=count,
            book=book,
            tenants=Tenants(ApiPods(client), clock),
            writes=ApiWrites(client, informer.store, manager.recorder),
            policy=policy,
            clock=clock,
            stays=partial(_stays, client, informer.store.resource),
            performed=lifecycle.performed,
            blind=_blindness(informer, nodes),
        )
        manager.add(
            Controller(
                kind.lower(),
                reconciler.reconcile,
                # Not for status: it is our own, and nobody else's to write.
                primary=watch(
                    informer,
                    when=any_of(
                        generation_changed, labels_changed, annotations_changed, finalizers_changed
                    ),
                ),
                watches=[
                    watch(nodes, to=_claims_of(DIALECTS[kind], pool_named, informer.store)),
                    watch(informer, to=mates_of(informer.store, pool_used)),
                ],
                workers=WORKERS,
            )
        )

    def cached(pools: list[Pool]) -> Inventory:
        return Inventory(
            pools=pools,
            claims=[claim for each in claims.values() for claim in each.store.list()],
            nodes=nodes.store.list(),
            kinds=frozenset(claims),
        )

    def tell(type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        about: Object = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "namespace": LEDGER.namespace,
            "name": LEDGER.name,
        }
        manager.recorder.event(about, type=type_, reason=reason, message=message)

    sweep = Sweep(
        source,
        cached=cached,
        stale=lambda: staleness([*claims.values(), nodes]),
        remover=Broom(client, source, kinds, cluster),
        tell=tell,
        journal=chronicle,
        tallies=SweepTallies(registry),
        clock=clock,
        poll_seconds=poll_seconds,
        cluster=cluster,
    )
    archive = Archive(client, ledger, clock=clock, poll_seconds=poll_seconds)
    manager.add_task("sweep", sweep.run)
    manager.add_task("ledger", archive.run)


# Any: whatever they hold.
def staleness(informers: Iterable[Informer[Any]]) -> str:
    """Why one of these caches may lag behind the API server, "" when none does."""
    for informer in informers:
        if not informer.synced:
            return f"the first list of {informer.resource} is not complete"
        if informer.trouble:
            return f"{informer.resource}: {informer.trouble}"
        if informer.silence() >= SILENCE_SECONDS:
            return f"nothing has been heard of {informer.resource} for {informer.silence():.0f} s"
    return ""


def nodes_of(source: NodeSource, store: Store[Node], name: str) -> Iterator[Node]:
    """The Nodes of a pool: those whose label says so, unless their provider ID contradicts it."""
    for key in store.by(BY_POOL, name):
        node = store.get(key)
        if node is None:
            continue
        provider_id = node.spec.provider_id
        if not provider_id or source.pool_of(provider_id) == name:
            yield node


def _blindness(claims: Informer[Claim], nodes: Informer[Node]) -> Callable[[], str]:
    """Of one kind of claim: whoever takes the other kind's definition away stops that one alone."""

    def blind() -> str:
        # A watch that was cut is no trouble yet while it waits for its next attempt.
        silent = (each for each in (claims, nodes) if not each.following)
        unheard = (f"the watch of {each.resource} is not open" for each in silent)
        return claims.trouble or nodes.trouble or next(unheard, "")

    return blind


async def _stays(client: Client, kind: Resource[Claim], known: Claim) -> bool:
    """Whether a claim is there and is not being deleted, as the API server has it now."""
    # As a list of one: claims are listed and never got, which takes a right less.
    meta = known.metadata
    found = (await client.list(kind, fields=f"metadata.name={meta.name}")).items
    return any(each.metadata.uid == meta.uid and not each.metadata.deleting for each in found)


def _finder(store: Store[Claim]) -> Callable[[str], Claim | None]:
    return lambda name: store.get(Key("", name))


def _claims_of(
    dialect: Dialect, pool_named: Callable[[View], Iterable[str]], claims: Store[Claim]
) -> Callable[[Change], Iterable[Key]]:
    """From a Node to the claims that it may answer."""

    def mapper(change: Change) -> Iterable[Key]:
        labels = change.header.labels
        of_kind = dialect.provisioner in labels and served(labels)
        if of_kind or FINALIZER in change.header.finalizers:
            pools = list(pool_named(change))
            return {Key("", pool) for pool in pools}.union(
                *(claims.by(BY_POOL, pool) for pool in pools)
            )
        return []

    return mapper
