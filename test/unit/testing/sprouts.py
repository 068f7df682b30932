"""A small operator, right and wrong in many ways: a Seed becomes a ConfigMap of its size.

Each wrong one works as long as nothing goes wrong. `LIFE` is what users do with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kaito import runtime as kr
from kaito.testing import Scenario, Seat, World

SEEDS: kr.Resource[kr.Object] = kr.Resource("example.com", "v1", "seeds", "Seed")
SPROUTS: kr.Resource[kr.Object] = kr.Resource("", "v1", "configmaps", "ConfigMap")
RED = kr.Key("default", "red")
FINALIZER = "example.com/pull"
LABEL = "example.com/seed"
CRD: kr.Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "seeds.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Seed", "plural": "seeds"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
Reconcile = Callable[["Garden", kr.Key], Awaitable[kr.Again | None]]


class Garden:
    """What a reconcile works with. It goes with the process, and all that is noted in it."""

    def __init__(self, manager: kr.Manager) -> None:
        self.client = manager.client
        self.seeds = manager.informer(SEEDS)
        self.sprouts = manager.informer(SPROUTS, labels=LABEL, indexes={"seed": of_seed})
        self.applier = kr.Applier(manager.client)
        self.notes: dict[kr.Key, kr.Key] = {}


def of_seed(view: kr.View) -> list[str]:
    return [view.header.labels[LABEL]]


def seeds_of(change: kr.Change) -> list[kr.Key]:
    return [kr.Key(change.key.namespace, name) for name in of_seed(change)]


def sprout(seed: kr.Object) -> kr.Object:
    """The ConfigMap that a Seed is to have."""
    key = kr.Key.of(seed)
    head = {"namespace": key.namespace, "name": key.name, "labels": {LABEL: key.name}}
    data = {"size": str(seed["spec"]["size"])}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": data}


def leaving(seed: kr.Object) -> bool:
    return "deletionTimestamp" in seed["metadata"]


async def hold(garden: Garden, seed: kr.Object) -> bool:
    """Add the finalizer; whether it had to be added."""
    if FINALIZER in seed["metadata"].get("finalizers", ()):
        return False
    patch = {"metadata": {"finalizers": [FINALIZER]}}
    await garden.client.patch(SEEDS, kr.Key.of(seed), patch)
    return True


async def let_go(garden: Garden, key: kr.Key) -> None:
    patch = {"metadata": {"finalizers": None}}
    await garden.client.patch(SEEDS, key, patch)


async def pull(garden: Garden, key: kr.Key) -> None:
    try:
        await garden.client.delete(SPROUTS, key)
    except kr.NotFound:
        return


# As it should be


async def right(garden: Garden, key: kr.Key) -> None:
    seed = garden.seeds.store.get(key)
    if seed is None:
        return
    if leaving(seed):
        await pull(garden, key)
        await let_go(garden, key)
        return
    try:
        # What is not there any more, whatever the cache says, is not held, and gets nothing.
        fresh = await garden.client.get(SEEDS, key)
    except kr.NotFound:
        return
    if leaving(fresh) or fresh["metadata"]["uid"] != seed["metadata"]["uid"]:
        return
    await hold(garden, fresh)
    await garden.applier.apply(garden.sprouts.store, sprout(seed))


# As it should not be


async def grown(garden: Garden, seed: kr.Object) -> kr.Key:
    """Make a ConfigMap of a name of its own, as often as this is called."""
    made = sprout(seed)
    made["metadata"]["generateName"] = made["metadata"].pop("name") + "-"
    return kr.Key.of(await garden.client.create(SPROUTS, made))


async def trusts_its_cache(garden: Garden, key: kr.Key) -> None:
    """Makes one of a random name where its cache shows none."""
    seed = garden.seeds.store.get(key)
    if seed is None:
        return
    if leaving(seed):
        for found in garden.sprouts.store.by("seed", key.name):
            await pull(garden, found)
        await let_go(garden, key)
        return
    await hold(garden, seed)
    found = garden.sprouts.store.by("seed", key.name)
    if not found:
        await grown(garden, seed)
    elif garden.sprouts.store.get(found[0])["data"]["size"] != str(seed["spec"]["size"]):
        await garden.client.patch(SPROUTS, found[0], {"data": sprout(seed)["data"]})


async def remembers(garden: Garden, key: kr.Key) -> None:
    """Notes in memory which one it has made."""
    seed = garden.seeds.store.get(key)
    if seed is None:
        return
    made = garden.notes.get(key)
    if leaving(seed):
        if made is not None:
            await pull(garden, garden.notes.pop(key))
        await let_go(garden, key)
        return
    await hold(garden, seed)
    if made is None:
        garden.notes[key] = await grown(garden, seed)
    else:
        await garden.client.patch(SPROUTS, made, {"data": sprout(seed)["data"]})


async def ignores_deletion(garden: Garden, key: kr.Key) -> None:
    """Holds nothing: it pulls what it has made when it sees that the Seed has gone."""
    seed = garden.seeds.store.get(key)
    if seed is not None:
        garden.notes[key] = key
        await garden.applier.apply(garden.sprouts.store, sprout(seed))
    elif garden.notes.pop(key, None):
        await pull(garden, key)


async def lets_go_first(garden: Garden, key: kr.Key) -> None:
    """Gives up its finalizer before it has pulled anything."""
    seed = garden.seeds.store.get(key)
    if seed is None:
        return
    if leaving(seed):
        await let_go(garden, key)
        await pull(garden, key)
        return
    await hold(garden, seed)
    await garden.applier.apply(garden.sprouts.store, sprout(seed))


async def keeps_a_diary(garden: Garden, key: kr.Key) -> None:
    """Notes each size that it sees in the status."""
    seed = garden.seeds.store.get(key)
    if seed is not None and not leaving(seed):
        sizes = seed.get("status", {}).get("sizes", [])
        if seed["spec"]["size"] not in sizes:
            status = {"status": {"sizes": [*sizes, seed["spec"]["size"]]}}
            await garden.client.patch(SEEDS, key, status, subresource="status")
    await right(garden, key)


def gardener(reconcile: Reconcile) -> Callable[[Seat], Awaitable[None]]:
    """The main of a process with this reconcile."""

    async def main(seat: Seat) -> None:
        manager = kr.Manager(
            seat.client(), name="gardener", clock=seat.clock, freeze_heap=False, blocked_after=0
        )
        garden = Garden(manager)

        async def turn(key: kr.Key) -> kr.Again | None:
            return await reconcile(garden, key)

        primary = kr.watch(garden.seeds)
        others = [kr.watch(garden.sprouts, to=seeds_of)]
        manager.add(kr.Controller("gardener", turn, primary=primary, watches=others))
        await manager.run()

    return main


async def nothing(world: World) -> None:
    """No user does anything."""


async def sow(world: World) -> None:
    meta = {"namespace": RED.namespace, "name": RED.name}
    seed = {"apiVersion": SEEDS.api_version, "kind": "Seed", "metadata": meta, "spec": {"size": 1}}
    await world.client.create(SEEDS, seed)


async def grow(world: World) -> None:
    for size in (2, 3):
        await world.client.patch(SEEDS, RED, {"spec": {"size": size}})
        await world.sleep(1.0)


async def hurry(world: World) -> None:
    """Before a process that has died could start again."""
    await world.client.patch(SEEDS, RED, {"spec": {"size": 4}})
    await world.sleep(0.5)
    await world.client.delete(SEEDS, RED)


async def tidy(world: World) -> None:
    await world.client.delete(SEEDS, RED)


def life(reconcile: Reconcile) -> Scenario:
    """What users do with a gardener that works so."""
    return Scenario(
        name="a seed's life",
        daemons={"gardener": gardener(reconcile)},
        steps=[sow, grow, tidy, sow, hurry],
        install=[CRD],
    )
