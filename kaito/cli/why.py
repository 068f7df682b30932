"""`kaito why`: the chain from a Workspace down to what keeps it, and what to do about that.

It reads with the rights of whoever asks, and writes nothing. What it was not allowed to look at is
said last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import textwrap
import time
from collections.abc import Iterator
from typing import Any

from kaito.api import conditions
from kaito.cli.parser import CommandError
from kaito.cli.table import WIDTH
from kaito.controllers.workspace.kinds import WORKSPACES
from kaito.runtime import Client, Forbidden, Key, NotFound, load, rfc3339
from kaito.why import Chain, Fix, Link, State, Verdict, explain, read
from kaito.why.daemons import INSTALL

NAMES = ("workspace", "workspaces", f"workspaces.{WORKSPACES.group}")
SECONDS = 15.0  # for one question; a person waits for the answer
MISUSED = 2  # as argparse ends
LABEL = 7  # columns
INDENT = " " * LABEL
TIMES = 48  # the column at which times stand
_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")
MARKS = {State.DONE: "ok", State.WAITING: "waits", State.FAILING: "FAILS"}


def run(arguments: argparse.Namespace) -> int:
    """Print why a Workspace is as it is; 0 when it is ready or on its way, 1 when it is not."""
    key = Key(arguments.namespace, _named(arguments.target))
    chain = asyncio.run(_ask(arguments.kubeconfig, key))
    if arguments.output == "json":
        print(json.dumps(as_json(chain), indent=2))
    else:
        print("\n".join(text(chain)))
    return 0 if chain.verdict.fine else 1


async def _ask(kubeconfig: str | None, key: Key) -> Chain:
    config = await load(kubeconfig)
    async with Client(config.transport("kaito-why"), timeout=SECONDS) as client:
        try:
            return explain(await read(client, key, now=time.time()))
        except NotFound as error:
            if error.status.details.name:
                raise CommandError(
                    f"There is no Workspace {key.name} in namespace {key.namespace}; -n names "
                    "another one."
                ) from error
            return _without_kind(key)
        except Forbidden as error:
            raise CommandError(
                f"You may not read Workspace {key.name} in namespace {key.namespace}: "
                f"{error.status.message}"
            ) from error


def _without_kind(key: Key) -> Chain:
    return Chain(
        key=key,
        now=time.time(),
        verdict=Verdict.NEEDS_YOU,
        reason=conditions.KIND_NOT_SERVED,
        cause=f"The API server has no Workspace ({WORKSPACES.api_version}): KAITO's definitions "
        "are not installed.",
        since=None,
        fix=Fix(
            what="Install them, and the daemons.",
            commands=(INSTALL,),
        ),
        links=(),
        unseen=(),
    )


def _named(words: list[str]) -> str:
    """The name in `NAME`, `workspace NAME` or `workspace/NAME`."""
    parts = words[0].split("/") if len(words) == 1 and "/" in words[0] else words
    *kind, name = parts
    if len(kind) > 1 or (kind and kind[0].lower() not in NAMES) or not name:
        raise CommandError(
            f"kaito why tells of Workspaces alone: write kaito why workspace NAME, not "
            f"{' '.join(words)}.",
            code=MISUSED,
        )
    return name


def as_json(chain: Chain) -> dict[str, Any]:
    """The chain for programs. Fields are added and never renamed; times are RFC 3339 in UTC, and
    null where nobody wrote one down."""
    fix = chain.fix
    return {
        "namespace": chain.key.namespace,
        "name": chain.key.name,
        "now": rfc3339(chain.now),
        "verdict": chain.verdict.value,
        "reason": chain.reason,
        "cause": chain.cause,
        "since": _time(chain.since),
        "fix": {"what": fix.what, "commands": list(fix.commands)} if fix else None,
        "chain": [
            {
                "kind": link.kind,
                "name": link.name,
                "namespace": link.namespace,
                "state": link.state.value,
                "since": _time(link.since),
                "evidence": link.evidence,
                "message": link.message,
            }
            for link in chain.links
        ],
        "unseen": list(chain.unseen),
    }


def text(chain: Chain) -> Iterator[str]:
    """The chain for people, 80 columns wide."""
    key = chain.key
    since = f", for {_span(chain.now - chain.since)}" if chain.since is not None else ""
    head = f"Workspace {key.name} in {key.namespace}: {chain.verdict.value}{since}"
    yield from textwrap.wrap(head, WIDTH, break_on_hyphens=False)
    yield ""
    yield from _labelled("cause", chain.cause)
    if chain.fix:
        yield from _labelled("fix", chain.fix.what)
        for command in chain.fix.commands:
            yield from _command(command)
    if chain.links:
        yield ""
    told = [chain.cause]
    for link in chain.links:
        yield from _head(link, chain.now)
        # What stands above already would only hide the rest.
        if link.message and not any(link.message.rstrip(".") in each for each in told):
            yield from _wrapped(link.message)
            told.append(link.message)
    for sentence in chain.unseen:
        yield ""
        yield from _labelled("unseen", sentence)


def _head(link: Link, now: float) -> Iterator[str]:
    what = f"{MARKS[link.state]:<{LABEL}}{link.kind} {link.name}"
    since = link.since
    when = f"{rfc3339(since)}  {_span(now - since)} ago" if since is not None else ""
    if when and len(what) < TIMES:
        yield f"{what:<{TIMES}}{when}"
    else:
        yield what
        yield from _wrapped(when)
    yield from _wrapped(link.evidence)


def _labelled(label: str, sentence: str) -> Iterator[str]:
    first, *rest = list(_wrapped(sentence)) or [""]
    yield f"{label:<{LABEL}}{first[LABEL:]}"
    yield from rest


def _wrapped(words: str) -> list[str]:
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _command(command: str) -> Iterator[str]:
    """A command as it can be copied: broken between words alone, the end of each line escaped."""
    first, *rest = _words(command)
    line = f"{INDENT}  $ {first}"
    for word in rest:
        if len(line) + len(word) + len("  \\") > WIDTH:
            yield f"{line} \\"
            line = f"{INDENT}      {word}"
        else:
            line = f"{line} {word}"
    yield line


def _words(command: str) -> list[str]:
    """The words of a command as a shell tells them apart, an option with what belongs to it."""
    words: list[str] = []
    for word in _WORD.findall(command):
        if words and words[-1].startswith("-") and " " not in words[-1] and word[0] != "-":
            words[-1] += f" {word}"
        else:
            words.append(word)
    return words


def _time(moment: float | None) -> str | None:
    return rfc3339(moment) if moment is not None else None


def _span(seconds: float) -> str:
    """How long that is, in its largest unit: clocks that disagree make it no time at all."""
    whole = max(0, int(seconds))
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {name}"
    return f"{whole} s"
