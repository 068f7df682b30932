"""A process for production: of several copies one leads; probes, metrics, an end on SIGTERM."""

from __future__ import annotations

import argparse
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
            warm=True,  # whoever stands by knows what there is to do
            probes=kr.Address.parse(options.probes),  # /healthz and /readyz
            metrics_address=kr.Address.parse(options.metrics),  # /metrics
            debug=kr.Address.parse(options.debug),  # /debug, for those on this machine
        )
        nodes = manager.informer(NODES)

        async def reconcile(key: kr.Key) -> None:
            # The line says which controller, key and reconcile it belongs to.
            log.info("node", there=key in nodes.store)

        manager.add(kr.Controller("nodes", reconcile, primary=kr.watch(nodes), workers=8))
        await manager.run(signals=True)  # until SIGTERM or SIGINT; running reconciles may end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for what, port in (("probes", 8081), ("metrics", 8080), ("debug", 6060)):
        default = f"127.0.0.1:{port}"
        parser.add_argument(f"--{what}", default=default, help="HOST:PORT, or 0 for none")
    # The exit code tells a lost lease from a crash: see kaito.runtime.ExitCode.
    sys.exit(kr.run_process(run(parser.parse_args()), name="daemon"))


if __name__ == "__main__":
    main()
