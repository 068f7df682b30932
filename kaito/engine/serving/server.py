"""The process: listens at once, loads, serves, and ends well when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator

from kaito.engine.serving.arguments import Settings, environment, parse


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT: 0 then, 1 when the model cannot be served."""
    settings = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    for name, value in environment(settings).items():
        os.environ[name] = value
    from uvicorn.loops.auto import auto_loop_factory

    # uvloop's where there is one: each turn of a loop in Python keeps the next token waiting.
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(serve(settings))


async def serve(settings: Settings) -> int:
    """Listen, load, and serve. The exit status."""
    # Imported once the environment is set, which their libraries read then.
    import uvicorn
    from transformers.utils import logging

    from kaito.engine.serving.app import application, described
    from kaito.engine.serving.batching import Batch
    from kaito.engine.serving.metrics import Measures
    from kaito.engine.serving.model import Loader, Unloadable

    logging.set_verbosity_error()
    loader, measures = Loader(settings), Measures(settings.name)
    batch = Batch(settings.running, settings.waiting, measures)

    class Server(uvicorn.Server):
        """Leaves signals to us: uvicorn would end the process by the one that it got."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    server = Server(
        uvicorn.Config(
            application(loader, batch, measures),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(settings.drain),
        )
    )

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)

    async def load() -> int:
        try:
            await asyncio.to_thread(loader.load)
            batch.start(
                loader.served.model,
                loader.batching(settings.running),
                loader.served.context,
                frozenset(loader.served.adapters.values()),
            )
        except Exception as problem:
            # Without a model there is nothing to wait for: Kubernetes starts the Pod anew.
            stop()
            if not isinstance(problem, Unloadable):
                raise
            _say(str(problem))
            return 1
        loader.progress.ready = True
        _say(described(loader))
        for name, why in loader.served.broken.items():
            _say(f"The adapter {name} is not served: {why}.")
        return 0

    loading = asyncio.create_task(load())
    serving = asyncio.create_task(server.serve())
    done, _ = await asyncio.wait((loading, serving), return_when=asyncio.FIRST_COMPLETED)
    if serving in done and not server.started:
        # A port that is taken has been told by uvicorn.
        os._exit(1)
    await serving
    if not loading.done():
        # A thread that loads cannot be stopped; it holds nothing that must be put away.
        os._exit(0)
    batch.stop()
    return loading.result()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the Pod's log


if __name__ == "__main__":
    sys.exit(main())
