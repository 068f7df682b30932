"""Gives each Tenant a Namespace with a quota, and takes them away when its days are over.

`tenants.yaml` defines the kind, `test_tenants.py` tests it.
"""

from __future__ import annotations

from kaito import runtime as kr

TENANTS: kr.Resource[kr.Object] = kr.Resource(
    "example.com", "v1", "tenants", "Tenant", namespaced=False
)
NAMESPACES: kr.Resource[kr.Object] = kr.Resource(
    "", "v1", "namespaces", "Namespace", namespaced=False
)
QUOTAS: kr.Resource[kr.Object] = kr.Resource("", "v1", "resourcequotas", "ResourceQuota")
LABEL = "example.com/tenant"
DAY = 86_400.0  # seconds


def build(client: kr.Client, clock: kr.Clock | None = None) -> kr.Manager:
    manager = kr.Manager(client, name="tenants", clock=clock)
    tenants = manager.informer(TENANTS)
    namespaces = manager.informer(NAMESPACES, labels=LABEL)
    quotas = manager.informer(QUOTAS, labels=LABEL)
    applier = kr.Applier(client)

    async def reconcile(key: kr.Key) -> kr.Again | None:
        tenant = tenants.store.get(key)
        if tenant is None or "deletionTimestamp" in tenant["metadata"]:
            return None  # what it has is owned: the garbage collector takes it
        now = manager.clock.now()
        left = end(tenant) - now
        if left <= 0:
            manager.recorder.event(tenant, reason="Expired", message="The days are over.")
            await client.delete(TENANTS, key, uid=tenant["metadata"]["uid"])
            return None
        await applier.apply(namespaces.store, owned(tenant, NAMESPACES))
        hard = {"pods": str(tenant["spec"]["pods"])}
        await applier.apply(quotas.store, owned(tenant, QUOTAS) | {"spec": {"hard": hard}})
        await applier.apply_status(tenants.store, ready(tenant, now))
        return None if left == float("inf") else kr.Again.after(left)

    primary = kr.watch(tenants, when=kr.generation_changed)
    owns = [kr.watch(namespaces), kr.watch(quotas)]
    manager.add(kr.Controller("tenants", reconcile, primary=primary, owned=owns))
    return manager


def end(tenant: kr.Object) -> float:
    """When its days are over, in seconds since the epoch; infinity when they never are."""
    created = kr.parse_rfc3339(tenant["metadata"]["creationTimestamp"])
    return created + float(tenant["spec"].get("days", "inf")) * DAY


def owned(tenant: kr.Object, resource: kr.Resource[kr.Object]) -> kr.Object:
    """An object that goes with the tenant, without its spec."""
    name = tenant["metadata"]["name"]
    meta = {"name": name, "labels": {LABEL: name}}
    meta |= {"namespace": name} if resource.namespaced else {}
    meta["ownerReferences"] = [kr.owner_reference(tenant)]
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}


def ready(tenant: kr.Object, now: float) -> kr.Object:
    meta, old = tenant["metadata"], tenant.get("status", {}).get("conditions", ())
    conditions = kr.set_condition(
        old, "Ready", "True", "Made", generation=meta["generation"], now=now
    )
    identity = {"apiVersion": tenant["apiVersion"], "kind": tenant["kind"]}
    return identity | {"metadata": {"name": meta["name"]}, "status": {"conditions": conditions}}
