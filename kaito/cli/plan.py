"""`kaito plan`: what manifests would take and cost, before any money is spent.

The answer comes from the controller's own decisions. Without a cluster everything is as if nothing
existed; with one, what is there counts, and what would change is told.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kaito.api.manifest import render
from kaito.api.workspace import DEFINITION
from kaito.catalog.catalog import Catalog, load
from kaito.catalog.config import ModelError
from kaito.catalog.hub import is_model_name
from kaito.cli import report
from kaito.cli.answer import Answer
from kaito.cli.manifests import read
from kaito.cli.options import NO_HUB
from kaito.cli.parser import CommandError
from kaito.cli.settings import settings_of
from kaito.controllers.workspace.changes import Change, change
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import DEPLOYMENTS, STATEFUL_SETS, WORKSPACES
from kaito.controllers.workspace.observation import preset_name
from kaito.controllers.workspace.quote import Quote, quote
from kaito.controllers.workspace.strangers import Unread, noted
from kaito.runtime import Key, Object

if TYPE_CHECKING:
    from kaito.cli.live import Live
    from kaito.runtime import Client

T = TypeVar("T")
MANAGER = "kaito-workspace"
"""The field manager of the workspace controller."""
CLUSTER_SECONDS = 5.0  # for one call; a plan without the cluster is better than none


def run(arguments: argparse.Namespace) -> int:
    """Print the plans; 1 when one of the Workspaces cannot be, or what it takes cannot be told."""
    # What only Hugging Face knows is read here, and not by the daemon.
    settings = settings_of(arguments, reads_models=False)
    manifests = [each for name in arguments.filename for each in read(name)]
    wanted = [_placed(each, arguments.namespace) for each in manifests if _is_workspace(each)]
    if not wanted:
        raise CommandError(
            f"{', '.join(arguments.filename)} holds no Workspace (kind: Workspace, apiVersion: "
            f"{WORKSPACES.group}/v1beta1)."
        )
    counted = Counter(map(Key.of, wanted))
    if twice := [str(key) for key, count in counted.items() if count > 1]:
        raise CommandError(f"Workspace {twice[0]} is there more than once: keep one.")
    catalog = _catalog(arguments, [preset_name(each) for each in wanted])
    documents = Documents(namespace=arguments.namespace)
    live = _live(arguments, documents, wanted)
    for each in manifests:
        if not _is_workspace(each):
            documents.add(each)
    answers: list[Answer] = []
    # One after the other: what the first takes is not there for the second.
    for each in wanted:
        key, workspace = Key.of(each), live.merged(each) if live else each
        documents.add(workspace)
        catalog, unread = _with_stranger(each, catalog, live, arguments)
        observation = documents.observation(key, now=time.time(), unread=unread)
        old = live.find(WORKSPACES.kind, key) if live else None
        found = quote(observation, old, catalog=catalog, settings=settings)
        if found.status is not None:
            documents.add({**observation.workspace, "status": found.status})
        answers.append(
            Answer(key=key, quote=found, changes=_changes(found, live), tokens=arguments.tokens)
        )
    _print(_with_needs(answers, live, arguments), live.notes if live else [], arguments.output)
    return 0 if all(each.quote.foreseen for each in answers) else 1


def _print(answers: Sequence[Answer], notes: Iterable[str], form: str) -> None:
    for note in notes:
        print(f"kaito: {note}", file=sys.stderr)
    if form == "json":
        print(json.dumps([report.as_json(each) for each in answers], indent=2))
    elif form == "yaml":
        for each in answers:
            for problem in each.quote.problems:
                print(f"kaito: {problem.message}", file=sys.stderr)
            if each.quote.possible:
                sys.stdout.write(render(each.quote.objects))
    else:
        print("\n".join(report.text(each) for each in answers), end="")


def _changes(found: Quote, live: Live | None) -> list[Change] | None:
    if live is None:
        return None
    return [
        change(each, live.find(each["kind"], Key.of(each)), manager=MANAGER)
        for each in found.objects
    ]


def _with_needs(
    answers: Sequence[Answer], live: Live | None, arguments: argparse.Namespace
) -> Sequence[Answer]:
    """The same, with whether the Secrets and claims of its Pods are there."""
    wanted = [each for answer in answers for each in answer.quote.needs]
    if live is None or not wanted:
        return answers

    async def look(client: Client) -> None:
        await live.look_for(client, wanted)

    _beside(arguments, look)
    return [replace(each, found=live.found) for each in answers]


def _catalog(arguments: argparse.Namespace, presets: Sequence[str]) -> Catalog:
    """The catalogue, with the model whose configuration is given."""
    catalog = load()
    if not arguments.model_config:
        return catalog
    from kaito.catalog.checkpoint import model_in

    name, _, path = arguments.model_config.rpartition("=")
    strangers = sorted({each for each in presets if each and catalog.find_model(each) is None})
    if not name and len(strangers) != 1:
        raise CommandError(
            f"--model-config {path} names no model, and {len(strangers) or 'none'} of the presets "
            "asked for are in no catalogue: write --model-config ORG/MODEL=PATH."
        )
    name = name or strangers[0]
    if name.lower() not in {each.lower() for each in presets}:
        raise CommandError(
            f"--model-config is for {name}, which no Workspace has for a preset: they have "
            f"{', '.join(sorted(filter(None, presets))) or 'none'}."
        )
    return catalog.with_model(model_in(Path(path), name=name))


def _with_stranger(
    workspace: Object, catalog: Catalog, live: Live | None, arguments: argparse.Namespace
) -> tuple[Catalog, Unread | None]:
    """The catalogue with the model of a Workspace that only Hugging Face knows, or why it cannot
    be read."""
    name = preset_name(workspace)
    if not is_model_name(name) or catalog.find_model(name) is not None:
        return catalog, None
    for kind in (DEPLOYMENTS.kind, STATEFUL_SETS.kind):
        workload = live.find(kind, Key.of(workspace)) if live else None
        if found := noted(workload, name):
            return catalog.with_model(found), None
    given = f"give its configuration with --model-config {name}=PATH"
    if arguments.offline or arguments.hub == NO_HUB:
        said = f"{name} is not in the catalogue, and Hugging Face is not to be asked: {given}."
        return catalog, Unread(message=said, failed=True, look_again=0.0)
    from kaito.cli.strangers import from_hub

    try:
        token = os.environ.get("HF_TOKEN", "")
        return catalog.with_model(from_hub(name, token=token, address=arguments.hub)), None
    except ModelError as error:
        said = f"{error} Or {given}."
        return catalog, Unread(message=said, failed=True, look_again=0.0)


def _live(
    arguments: argparse.Namespace, documents: Documents, wanted: Sequence[Object]
) -> Live | None:
    chosen = arguments.kubeconfig or os.environ.get("KUBECONFIG", "")
    if arguments.offline or not (chosen or Path("~/.kube/config").expanduser().exists()):
        return None
    from kaito.cli.live import Live

    async def look(client: Client) -> Live:
        live = Live(client)
        await live.read_nodes(documents)
        for workspace in wanted:
            await live.read(workspace, documents)
        return live

    return _beside(arguments, look)


def _beside(arguments: argparse.Namespace, ask: Callable[[Client], Awaitable[T]]) -> T | None:
    """What the cluster answers; None, and a word about it, when it does not."""
    import asyncio

    from kaito.runtime import Client, ConfigError, RuntimeFailure
    from kaito.runtime import load as load_kubeconfig

    async def asked() -> T:
        config = await load_kubeconfig(arguments.kubeconfig)
        transport = config.transport("kaito-plan")
        async with Client(transport, field_manager=MANAGER, timeout=CLUSTER_SECONDS) as client:
            return await ask(client)

    try:
        return asyncio.run(asked())
    except (ConfigError, RuntimeFailure) as error:
        said = f"{str(error).removesuffix('.')}."
        if arguments.kubeconfig:
            raise CommandError(
                f"{said} Mend {arguments.kubeconfig}, or plan without the cluster: --offline."
            ) from error
        print(
            f"kaito: The cluster is left out of this plan: {said} (--offline asks none.)",
            file=sys.stderr,
        )
        return None


def _is_workspace(obj: Object) -> bool:
    group = str(obj.get("apiVersion", "")).partition("/")[0]
    return obj.get("kind") == WORKSPACES.kind and group == WORKSPACES.group


def _placed(workspace: Object, namespace: str) -> Object:
    metadata = workspace.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str) or not name:
        raise CommandError("A Workspace has no metadata.name: give it one.")
    version = str(workspace["apiVersion"])
    known = [f"{WORKSPACES.group}/{each.name}" for each in DEFINITION.versions]
    if version not in known:
        raise CommandError(
            f"Workspace {name} has the apiVersion {version}, which does not exist: write "
            f"{' or '.join(known)}."
        )
    placed = {**metadata, "name": name, "namespace": metadata.get("namespace") or namespace}
    return {**workspace, "metadata": placed}
