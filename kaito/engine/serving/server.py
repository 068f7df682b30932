"""The process: listens at once, loads, serves, and ends well when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from kaito.engine.listener import Said, answering, listening
from kaito.engine.serving.arguments import Settings, environment, parse
from kaito.engine.serving.progress import Progress

if TYPE_CHECKING:
    from kaito.engine.serving.gate import Gate
    from kaito.engine.serving.metrics import Measures

ENDING = (signal.SIGTERM, signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT: 0 then, 1 when the model cannot be served."""
    settings = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
    os.environ.update(environment(settings))
    for number in ENDING:
        signal.signal(number, _leave)
    try:
        sock = listening(settings.port, settings.host)
    except OSError as why:
        _say(f"Port {settings.port} cannot be listened on: {why.strerror or why}.")
        return 1
    # Imports that take their time come after that, and after the environment is set, which the
    # libraries read then.
    from kaito.engine.serving.metrics import Measures

    measures, progress = Measures(settings.name), Progress()

    def said() -> Said:
        measures.loaded.set(progress.ratio)
        return Said(health=progress.body, metrics=measures.text())

    with sock:
        with answering(sock, said):
            from kaito.engine.serving.model import Unloadable

            try:
                app = _loaded(settings, progress, measures)
            except Unloadable as why:
                # There is nothing to wait for: Kubernetes starts the Pod anew.
                _say(str(why))
                return 1
        from uvicorn.loops.auto import auto_loop_factory

        # uvloop's where there is one: each turn of a loop in Python keeps the next token waiting.
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(_serve(app, settings, sock))
    # Taking PyTorch apart takes seconds of those that Kubernetes gives, and nobody needs it.
    os._exit(0)


def _loaded(settings: Settings, progress: Progress, measures: Measures) -> Gate:
    """What answers. Raises Unloadable."""
    from transformers.utils import logging

    from kaito.engine.serving.app import application, described
    from kaito.engine.serving.batching import Batch
    from kaito.engine.serving.model import Loader

    logging.set_verbosity_error()
    loader = Loader(settings, progress)
    loader.load()
    served = loader.served
    batch = Batch(settings.running, settings.waiting, measures)
    batch.start(
        served.model,
        loader.batching(settings.running),
        served.context,
        frozenset(served.adapters.values()),
    )
    app = application(loader, batch, measures)
    measures.loaded.set(1)
    _say(described(loader))
    for name, why in served.broken.items():
        _say(f"The adapter {name} is not served: {why}.")
    return app


async def _serve(app: Gate, settings: Settings, sock: socket.socket) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to us: uvicorn would end the process by the one that it got."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    server = Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.drain,
        )
    )

    def stop() -> None:
        server.should_exit = True

    for number in ENDING:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve(sockets=[sock])


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    # Nothing that has been begun by now must be put away. And an exception would be lost where
    # Python calls back by itself, as it does with each import.
    os._exit(0)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the Pod's log


if __name__ == "__main__":
    sys.exit(main())
