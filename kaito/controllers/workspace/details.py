"""What is worth knowing of a Workspace besides its conditions: endpoint, price, phases. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kaito.api import nodepool
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.phases import Start, phases
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

FIELDS = ("endpoint", "pricePerHour", "phases")


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the conditions do not say."""

    start: Start
    endpoint: str
    """Where it answers inside the cluster, "" while nothing is deployed."""
    price: float | None
    """US dollars an hour of the nodes brought up for it; None where nobody knows."""

    def told(self, before: Iterable[Mapping[str, object]], answers: Object | None) -> Object:
        """The fields of the status that have something to say; `before` is what was said of the
        phases, `answers` the condition that the model answers."""
        found: Object = {
            "endpoint": self.endpoint,
            "pricePerHour": f"{self.price:.2f}" if self.price else "",
            "phases": phases(self.start, before, answers),
        }
        return {name: value for name, value in found.items() if value}


def details(
    observation: Observation,
    crew: Crew | None,
    workload: Object | None,
    catalog: Catalog,
    settings: Settings,
) -> Details:
    """Of a Workspace that is served, or is to be; `workload` is what runs its Pods, None while
    nothing is to. Without a crew all that asks for nodes counts."""
    subject = Subject(observation.workspace)
    kept = observation.orders if crew is None else crew.kept
    counted = {each.name for each in kept}
    claims = [order for order in observation.orders if order.kind != nodepool.KIND]
    return Details(
        start=Start(
            orders=[
                order
                for order in claims
                if not order.deleting and counted & {order.name, order.pool}
            ],
            pods=[pod for pod in observation.pods if "deletionTimestamp" not in pod["metadata"]],
            expected=workload["spec"]["replicas"] if workload else 1,
            tunes=subject.tunes,
        ),
        endpoint=f"http://{subject.name}.{subject.namespace}.svc" if workload else "",
        price=_price([order for order in claims if order.launched], catalog, settings),
    )


def _price(orders: Iterable[Order], catalog: Catalog, settings: Settings) -> float | None:
    """What they cost together; those in deletion, too, until they are gone."""
    total = 0.0
    for order in orders:
        sku = catalog.find_sku(order.sizes[0], cloud=settings.cloud) if order.sizes else None
        if sku is None or sku.price is None:
            return None
        total += sku.price.usd_per_hour
    return total
