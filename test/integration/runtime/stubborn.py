"""A process whose only reconcile blocks the event loop for ever. `lose` has it lose its lease."""

from __future__ import annotations

import sys
import threading

from kaito.runtime import (
    Client,
    ConnectionFailed,
    Controller,
    Key,
    LeaseSettings,
    Manager,
    Object,
    Resource,
    run_process,
    watch,
)
from kaito.testing import FakeApi

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


async def main(*, lose: bool) -> None:
    api, leases = FakeApi(), FakeApi()
    api.put(PODS, "a", "ns")
    lease = LeaseSettings(name="l", namespace="ns", duration=0.5, renew_deadline=0.3, retry=0.05)
    manager = Manager(
        Client(api),
        name="stubborn",
        lease=lease,
        connect=lambda timeout: Client(leases, timeout=timeout),
        blocked_after=0.1,
    )

    async def reconcile(_: Key) -> None:
        if lose:
            leases.fault = lambda call: ConnectionFailed("refused")
        threading.Event().wait()

    manager.add(Controller("stubborn", reconcile, primary=watch(manager.informer(PODS))))
    await manager.run(signals=True)


if __name__ == "__main__":
    sys.exit(run_process(main(lose=sys.argv[1] == "lose")))
