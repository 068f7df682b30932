"""The command line, and what a container says in the end."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import ssl
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from kaito.engine.endings import Ended, Ending, run
from kaito.engine.moving.fetch import Fetch
from kaito.engine.moving.pull import Pull
from kaito.engine.moving.push import Push
from kaito.engine.moving.reach import Reach, networks
from kaito.engine.moving.record import HIDDEN
from kaito.engine.moving.room import spelled
from kaito.engine.moving.store import store
from kaito.engine.moving.trust import trust


class _Parser(argparse.ArgumentParser):
    """Says what is wrong where everything else is said, too."""

    def error(self, message: str) -> NoReturn:
        raise Ended(Ending.CONFIG_INVALID, f"{self.prog} was started wrongly: {message}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; the exit code."""
    return run(lambda: _work(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kaito.engine.moving", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    fetch = verbs.add_parser("fetch", help="files from URLs into a directory")
    fetch.add_argument("--to", type=Path, required=True, metavar="DIR")
    fetch.add_argument("--limit", type=int, metavar="BYTES", help="of all files together")
    fetch.add_argument(
        "--allow", action="append", default=[], metavar="CIDR", help="a network beside public ones"
    )
    fetch.add_argument("urls", nargs="+", metavar="URL", help="with #sha256=HEX to hold it to that")
    pull = verbs.add_parser("pull", help="an image or artifact into a directory")
    pull.add_argument("--to", type=Path, required=True, metavar="DIR")
    pull.add_argument("--limit", type=int, metavar="BYTES", help="of all files together")
    pull.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="that an adapter must be of"
    )
    push = verbs.add_parser("push", help="an adapter to a registry")
    push.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR")
    push.add_argument("--annotation", action="append", default=[], metavar="K=V")
    for each in (pull, push):
        each.add_argument(
            "--auth",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="a docker configuration; FILE with .crt in the place of .json is trusted, too",
        )
        each.add_argument("reference", metavar="REFERENCE")
    stored = verbs.add_parser("store", help="an adapter into a volume")
    stored.add_argument("--from", dest="source", type=Path, required=True, metavar="DIR")
    stored.add_argument("--to", type=Path, required=True, metavar="DIR")
    for each in (push, stored):
        each.add_argument(
            "--checkpoints", type=Path, metavar="DIR", help="to remove when that is done"
        )
    return parser


def _work(asked: argparse.Namespace) -> str:
    match asked.verb:
        case "fetch":
            return _fetch(asked)
        case "pull":
            asked.to.mkdir(parents=True, exist_ok=True)
            Pull(
                reference=asked.reference,
                to=asked.to,
                auth=asked.auth,
                limit=asked.limit,
                models=asked.model,
                tls=_tls(asked.auth),
            ).run()
            return f"{asked.reference} is in {asked.to}."
        case "push":
            _check_checkpoints(asked.checkpoints, asked.source)
            said = Push(
                source=asked.source,
                reference=asked.reference,
                auth=asked.auth,
                annotations=dict(_annotations(asked.annotation)),
                tls=_tls(asked.auth),
            ).run()
        case _:
            _check_checkpoints(asked.checkpoints, asked.source, asked.to)
            # Each Workspace has its own, also where several store to one volume.
            whose = asked.checkpoints.name if asked.checkpoints else ""
            said = store(asked.source, asked.to, whose)
    _remove(asked.checkpoints)
    return said


def _fetch(asked: argparse.Namespace) -> str:
    try:
        reach = Reach(networks(asked.allow))
    except ValueError as error:
        raise Ended(Ending.CONFIG_INVALID, f"--allow takes networks: {error}.") from error
    asked.to.mkdir(parents=True, exist_ok=True)
    order = Fetch(urls=asked.urls, to=asked.to, limit=asked.limit, reach=reach)
    found = asyncio.run(order.run())
    size = sum((asked.to / record.name).stat().st_size for record in found)
    return f"{len(found)} files of {spelled(size)} together are in {asked.to}."


def _tls(auth: Iterable[Path]) -> ssl.SSLContext:
    authorities = [file.with_suffix(".crt") for file in auth]
    try:
        return trust(each for each in authorities if each.is_file())
    except (OSError, ssl.SSLError) as error:
        raise Ended(
            Ending.CONFIG_INVALID,
            "The ca.crt of a Secret is no certificate: it must be one in PEM.",
        ) from error


def _annotations(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise Ended(Ending.CONFIG_INVALID, f"--annotation takes K=V, not {text[:80]!r}.")
        yield key, value


def _check_checkpoints(checkpoints: Path | None, *kept: Path) -> None:
    """Whether removing them would remove something else."""
    if checkpoints is None:
        return
    gone = checkpoints.resolve()
    if any(each.resolve().is_relative_to(gone) for each in kept):
        raise Ended(
            Ending.CONFIG_INVALID,
            f"--checkpoints {checkpoints} is a directory that holds more than checkpoints.",
        )


def _remove(checkpoints: Path | None) -> None:
    if checkpoints is None:
        return
    # The result is where it belongs: whoever was stopped now would have it trained once more.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        shutil.rmtree(checkpoints)
        if checkpoints.parent.name == HIDDEN and not any(checkpoints.parent.iterdir()):
            checkpoints.parent.rmdir()
    except FileNotFoundError:
        pass
    except OSError as error:
        # The result is where it belongs all the same.
        sys.stderr.write(f"The checkpoints in {checkpoints} could not be removed: {error}\n")
