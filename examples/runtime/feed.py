"""Copies exchange rates from a service into ConfigMaps, every minute.

Label a ConfigMap `example.com/currency=EUR` and its `data.rate` follows. No change in the cluster
tells when a rate has moved, so each reconcile asks to be run again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kaito import runtime as kr

CONFIG_MAPS: kr.Resource[kr.Object] = kr.Resource("", "v1", "configmaps", "ConfigMap")
LABEL = "example.com/currency"
PERIOD = 60.0  # seconds


class UnknownCurrency(Exception):
    """The service has no such currency, and will not have it in a minute either."""


def build(
    client: kr.Client, rate: Callable[[str], Awaitable[str]], clock: kr.Clock | None = None
) -> kr.Manager:
    """`rate` asks the service; what it raises is tried again, later and later."""
    manager = kr.Manager(client, name="feed", clock=clock)
    config_maps = manager.informer(CONFIG_MAPS, labels=LABEL)  # no others are cached
    applier = kr.Applier(client)

    async def reconcile(key: kr.Key) -> kr.Again | None:
        found = config_maps.store.get(key)
        if found is None:
            return None  # deleted, or its label is gone: not run again
        meta = found["metadata"]
        try:
            data = {"rate": await rate(meta["labels"][LABEL])}
        except UnknownCurrency as error:
            manager.recorder.event(found, type="Warning", reason="Unknown", message=str(error))
            raise kr.Terminal(str(error)) from error  # not run again before the object changes
        desired = {name: found[name] for name in ("apiVersion", "kind")}
        desired["metadata"] = {name: meta[name] for name in ("name", "namespace", "uid")}
        await applier.apply(config_maps.store, desired | {"data": data})
        return kr.Again.after(PERIOD)

    primary = kr.watch(config_maps, when=kr.labels_changed)
    manager.add(kr.Controller("feed", reconcile, primary=primary, timeout=10.0))
    return manager
