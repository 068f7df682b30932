"""Request budgets of Resource Manager and AKS, and the 429 that comes when one is spent.

The headers that tell what is left count down truly, enforced or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kaito.local.azure.errors import ArmError, Failure
from kaito.local.azure.limits import (
    GET_CLUSTER,
    GET_OPERATION,
    OTHER,
    PUT_POOL,
    Bucket,
    Budget,
    Limits,
)
from kaito.local.azure.routes import OneCluster, OneOperation, OnePool, Route

_KINDS = {"GET": "reads", "DELETE": "deletes"}
UNENFORCED = 50.0  # times Azure's own speed
# Buckets of single pools that are kept; those of pools long gone have filled up by then.
_KEPT = 1000


@dataclass(slots=True)
class Throttle:
    """Counts the requests of one subscription."""

    subscription: str
    client: str
    limits: Limits
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def arm(self, method: str, now: float) -> dict[str, str]:
        """Count a request at Resource Manager; the headers that tell what is left. ArmError 429."""
        kind = _KINDS.get(method, "writes")
        bucket = self._bucket(kind, self.limits.subscription[kind], now)
        wait = bucket.take(now)
        left = {f"x-ms-ratelimit-remaining-subscription-{kind}": str(int(bucket.left))}
        if wait and self.limits.throttling:
            raise subscription_throttled(self.subscription, self.client, kind[:-1], wait, left)
        return left

    def provider(self, method: str, where: Route, now: float) -> None:
        """Count a request at AKS. ArmError 429."""
        match method, where:
            case "PUT", OnePool(name, ""):
                self._take(f"pool/{name.lower()}", PUT_POOL, "PutAgentPool", method, now)
            case "GET", OneCluster(action=""):
                self._take("cluster", GET_CLUSTER, "GetManagedCluster", method, now)
            case "GET", OneOperation():
                self._take("operation", GET_OPERATION, "GetOperationStatus", method, now)
            case _:
                self._take("other", OTHER, type(where).__name__, method, now)

    def _take(self, key: str, budget: Budget, handler: str, method: str, now: float) -> None:
        wait = self._bucket(key, budget, now).take(now) if self.limits.throttling else 0
        if wait:
            raise provider_throttled(self.subscription, f"{handler}Handler.{method}", wait)

    def _bucket(self, key: str, budget: Budget, now: float) -> Bucket:
        if len(self._buckets) > _KEPT:
            self._buckets = {
                name: bucket for name, bucket in self._buckets.items() if not bucket.is_full(now)
            }
        # Without enforcement the budget still shows, as fast as local operations are: a client
        # that goes slower when little is left would go slower for nothing.
        speed = self.limits.throttling or UNENFORCED
        return self._buckets.setdefault(key, Bucket(budget, speed, at=now))


def subscription_throttled(
    subscription: str, client: str, kind: str, wait: float, headers: dict[str, str]
) -> ArmError:
    """429 of Resource Manager; `kind` is read, write or delete, `wait` seconds."""
    seconds = str(math.ceil(wait))
    failure = Failure(
        code="SubscriptionRequestsThrottled",
        message=f"Number of '{kind}' requests for subscription '{subscription}' actor '{client}' "
        f"exceeded. Please try again after '{seconds}' seconds after additional tokens are "
        "available. Refer to https://aka.ms/arm-throttling for additional information.",
    )
    return ArmError(429, failure, headers={**headers, "retry-after": seconds})


def provider_throttled(subscription: str, handler: str, wait: float) -> ArmError:
    """429 of AKS; `handler` is what AKS calls the request, `wait` seconds."""
    seconds = str(math.ceil(wait))
    failure = Failure(
        code="Throttled",
        message=f"The {handler} request limit has been exceeded for SubID='{subscription}', please "
        f"retry again in {seconds} seconds. For more information, please visit "
        "aka.ms/aks/throttling",
    )
    return ArmError(429, failure, headers={"retry-after": seconds}, flat=True)
