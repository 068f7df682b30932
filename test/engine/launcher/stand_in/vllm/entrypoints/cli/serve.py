"""`vllm serve`: loads, which takes as long as a test wants, and serves."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

import vllm.entrypoints.openai.api_server as api_server


async def run_server(args: argparse.Namespace) -> None:
    import uvicorn

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("terminated")

    signal.signal(signal.SIGTERM, interrupt)
    sock = api_server.setup_server(args)
    loaded = os.environ["STAND_IN_LOADED"]
    while not os.path.exists(loaded):  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.05)
    server = uvicorn.Server(uvicorn.Config(api_server.build_app(args), log_level="warning"))
    await server.serve(sockets=[sock])


class ServeSubcommand:
    def validate(self, args: argparse.Namespace) -> None:
        assert args.model

    @staticmethod
    def cmd(args: argparse.Namespace) -> None:
        asyncio.run(run_server(args))
