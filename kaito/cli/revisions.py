"""`kaito history` and `kaito rollback`: what a Workspace was, and the way back to it.

A rollback writes what an earlier revision held into the Workspace itself, so that what is declared
stays what runs. It is an edit like any other, and made with the rights of whoever asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from kaito.api.workspace_rules import update_problems
from kaito.cli.parser import CommandError
from kaito.cli.table import headed
from kaito.controllers.workspace.changes import differences
from kaito.controllers.workspace.kinds import REVISIONS, WORKSPACES
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.revisions import (
    Revision,
    content_of,
    declared,
    history,
    last_good,
    restored,
)
from kaito.runtime import BadRequest, Client, Conflict, Invalid, Key, NotFound, Object, load

T = TypeVar("T")
MANAGER = "kaito-rollback"
ATTEMPTS = 5  # while others write the Workspace at the same moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One revision, as it is shown."""

    revision: int
    state: str
    served: str
    """When it first answered, or was first trained to its end; "" for never."""
    changed: tuple[str, ...]
    """The fields in which it differs from the revision before it."""
    why: str
    """Why it was undone, or its training failed."""


def show(arguments: argparse.Namespace) -> int:
    """Print the revisions of a Workspace, the latest last."""
    key = Key(arguments.namespace, arguments.name)
    workspace, found = asyncio.run(_with_client(arguments, lambda client: _read(client, key)))
    rows = list(rows_of(workspace, found))
    if arguments.output == "json":
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    if not rows:
        raise CommandError(f"Workspace {key.name} has no revision yet: it has not run so far.")
    cells = [
        (str(row.revision), row.state, row.served, ", ".join(row.changed), row.why) for row in rows
    ]
    first = "FIRST TRAINED" if Subject(workspace).tunes else "FIRST SERVED"
    header = ("REVISION", "STATE", first, "CHANGED", "WHY")
    print("\n".join(headed(header, cells, right=["REVISION"])))
    return 0


def rollback(arguments: argparse.Namespace) -> int:
    """Write what an earlier revision held into the Workspace."""
    key = Key(arguments.namespace, arguments.name)
    number: int | None = arguments.to_revision
    found = asyncio.run(_with_client(arguments, lambda client: _restore(client, key, number)))
    anew = ", and is trained anew" if "tuning" in found.content else ""
    print(f"Workspace {key.name} is again what revision {found.number} held{anew}.")
    return 0


async def _restore(client: Client, key: Key, number: int | None) -> Revision:
    for _ in range(ATTEMPTS):
        workspace, found = await _read(client, key)
        known = history(Subject(workspace), found)
        chosen = _chosen(key.name, workspace, known, number)
        wanted = restored(workspace, chosen.content)
        for problem in update_problems(wanted, workspace):
            raise CommandError(
                f"Workspace {key.name} cannot be what revision {chosen.number} held. "
                f"{problem.message}"
            )
        try:
            await client.update(WORKSPACES, wanted)
        except Conflict:
            continue
        except (Invalid, BadRequest) as error:
            raise CommandError(error.status.message) from error
        return chosen
    raise CommandError(f"Workspace {key.name} is being changed by others all the time: try again.")


def rows_of(workspace: Object, found: Sequence[Object]) -> Iterator[Row]:
    """The revisions of a Workspace among these objects, the latest last."""
    subject = Subject(workspace)
    known = history(subject, found)
    asked = declared(subject, content_of(workspace), known)
    # What answered last serves until the declared one does.
    serves = asked if asked.served and asked.undone is None else last_good(known, but=asked)
    before: Object | None = None
    for each in known:
        is_asked = each.name == asked.name
        if subject.tunes:
            state = _trained(each, is_asked)
        elif serves is not None and each.name == serves.name:
            state = "serves"
        elif each.undone is not None:
            state = "undone"
        else:
            never = "" if each.served else "never served"
            state = "is tried" if is_asked else never
        old = each.content if before is None else before
        changed = dict.fromkeys([*differences(each.content, old), *differences(old, each.content)])
        yield Row(
            revision=each.number,
            state=state,
            served=each.served,
            changed=tuple(changed),
            why=_why(each),
        )
        before = each.content


def _trained(revision: Revision, is_asked: bool) -> str:
    """How the training of a revision stands."""
    if revision.ended is not None:
        return "trained" if revision.ended.good else "failed"
    never = "" if revision.served else "never trained"
    return "is trained" if is_asked else never


def _why(revision: Revision) -> str:
    told = revision.undone or revision.ended
    return told.message if told is not None else ""


def _chosen(
    name: str, workspace: Object, known: Sequence[Revision], number: int | None
) -> Revision:
    """The revision that is meant: that of the number, else the last other one that served."""
    now = content_of(workspace)
    there = ", ".join(str(each.number) for each in known) or "none"
    if number is None:
        found = next((r for r in reversed(known) if r.served and r.content != now), None)
        did = "was trained to its end" if "tuning" in now else "served"
        if found is None:
            raise CommandError(
                f"Workspace {name} has no other revision that ever {did} (it has {there}); "
                "choose one with --to-revision N."
            )
        return found
    found = next((each for each in known if each.number == number), None)
    if found is None:
        raise CommandError(f"Workspace {name} has no revision {number}; it has {there}.")
    if found.content == now:
        raise CommandError(f"Workspace {name} is what revision {number} held already.")
    return found


async def _read(client: Client, key: Key) -> tuple[Object, Sequence[Object]]:
    try:
        workspace = await client.get(WORKSPACES, key)
    except NotFound as error:
        raise CommandError(
            f"There is no Workspace {key.name} in namespace {key.namespace}; -n names another one."
        ) from error
    mine = ",".join(f"{label}={value}" for label, value in Subject(workspace).identity.items())
    found = await client.list(REVISIONS, namespace=key.namespace, labels=mine)
    return workspace, found.items


async def _with_client(arguments: argparse.Namespace, ask: Callable[[Client], Awaitable[T]]) -> T:
    config = await load(arguments.kubeconfig)
    async with Client(config.transport("kaito"), field_manager=MANAGER) as client:
        return await ask(client)
