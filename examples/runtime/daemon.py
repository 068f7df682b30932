"""A process for production: of several copies one leads; probes, metrics, an end on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import structlog

from kaito import runtime as kr

log = structlog.get_logger("daemon")
NODES: kr.Resource[kr.Object] = kr.Resource("", "v1", "nodes", "Node", namespaced=False)


async def run(options: argparse.Namespace) -> None:
    config = await kr.load()
    metrics = kr.Metrics()

    def connect(timeout: float = 30.0) -> kr.Client:
        transport = config.transport(user_agent="daemon")
        return kr.Client(transport, field_manager="daemon", timeout=timeout, metrics=metrics)

    async with connect() as client:
        manager = kr.Manager(
            client,
            name="daemon",
            lease=kr.LeaseSettings(name="daemon", namespace=config.namespace),
            connect=connect,  # the lease is renewed by a thread with a connection of its own
            probes=kr.Address.parse(options.probes),  # /healthz and /readyz
            metrics_address=kr.Address.parse(options.metrics),  # /metrics
            metrics=metrics,
        )
        nodes = manager.informer(NODES)

        async def reconcile(key: kr.Key) -> None:
            log.info("node", name=key.name, there=key in nodes.store)

        manager.add(kr.Controller("nodes", reconcile, primary=kr.watch(nodes), workers=8))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, manager.stop)  # running reconciles may end
        await manager.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for what, default in (("probes", "127.0.0.1:8081"), ("metrics", "127.0.0.1:8080")):
        parser.add_argument(f"--{what}", default=default, help="HOST:PORT, or 0 for none")
    try:
        asyncio.run(run(parser.parse_args()))
    except (kr.ConfigError, kr.LeaseLost) as error:
        sys.exit(f"daemon: {error}")  # not leading any more is a failure: be started again


if __name__ == "__main__":
    main()
