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
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from kaito.api.manifest import render
from kaito.catalog.catalog import Catalog, load
from kaito.catalog.hub import is_model_name
from kaito.cli import report
from kaito.cli.parser import NO_HUB, CommandError
from kaito.controllers.workspace.changes import Change, change
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import DEPLOYMENTS, WORKSPACES
from kaito.controllers.workspace.observation import preset_name
from kaito.controllers.workspace.quote import Quote, quote
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import noted
from kaito.runtime import Key, Object

if TYPE_CHECKING:
    from kaito.cli.live import Live

MANAGER = "kaito-workspace"
"""The field manager of the workspace controller."""
LARGEST = 16 * 1024**2  # bytes of one file
CLUSTER_SECONDS = 5.0  # for one call; a plan without the cluster is better than none


def run(arguments: argparse.Namespace) -> int:
    """Print the plans; 1 when one of the Workspaces cannot be."""
    catalog = _catalog(arguments)
    settings = Settings(cloud=arguments.cloud)
    manifests = [each for name in arguments.filename for each in _documents(name)]
    wanted = [_placed(each, arguments.namespace) for each in manifests if _is_workspace(each)]
    if not wanted:
        raise CommandError(
            f"{', '.join(arguments.filename)} holds no Workspace (kind: Workspace, apiVersion: "
            f"{WORKSPACES.group}/v1beta1)."
        )
    documents = Documents(namespace=arguments.namespace)
    live = _live(arguments, documents, wanted)
    catalog = _with_strangers(wanted, catalog, live, arguments)
    for each in manifests:
        if not _is_workspace(each):
            documents.add(each)
    quotes: list[tuple[Key, Quote, list[Change] | None]] = []
    for each in wanted:
        key = documents.add(live.merged(each) if live else each)
        assert key is not None
        old = live.find(WORKSPACES.kind, key) if live else None
        observation = documents.observation(key, now=time.time())
        found = quote(observation, old, catalog=catalog, settings=settings)
        quotes.append((key, found, _changes(found, live)))
    _print(quotes, live.notes if live else [], arguments.output)
    return 0 if all(found.possible for _, found, _ in quotes) else 1


def _print(
    quotes: Sequence[tuple[Key, Quote, list[Change] | None]], notes: Iterable[str], form: str
) -> None:
    for note in notes:
        print(f"kaito: {note}", file=sys.stderr)
    if form == "json":
        print(json.dumps([report.as_json(*each) for each in quotes], indent=2))
    elif form == "yaml":
        for _, found, _ in quotes:
            for problem in found.problems:
                print(f"kaito: {problem.message}", file=sys.stderr)
            sys.stdout.write(render(found.objects))
    else:
        print("\n".join(report.text(*each) for each in quotes), end="")


def _changes(found: Quote, live: Live | None) -> list[Change] | None:
    if live is None:
        return None
    return [
        change(each, live.find(each["kind"], Key.of(each)), manager=MANAGER)
        for each in found.objects
    ]


def _catalog(arguments: argparse.Namespace) -> Catalog:
    catalog = load()
    if not arguments.model_config:
        return catalog
    from kaito.catalog.checkpoint import model_in

    name, _, path = arguments.model_config.rpartition("=")
    return catalog.with_model(model_in(Path(path), name=name or None))


def _with_strangers(
    workspaces: Sequence[Object],
    catalog: Catalog,
    live: Live | None,
    arguments: argparse.Namespace,
) -> Catalog:
    """The catalogue with the models that only Hugging Face knows."""
    for workspace in workspaces:
        name = preset_name(workspace)
        if not is_model_name(name) or catalog.find_model(name) is not None:
            continue
        deployment = live.find(DEPLOYMENTS.kind, Key.of(workspace)) if live else None
        if found := noted(deployment, name):
            catalog = catalog.with_model(found)
            continue
        if arguments.offline or arguments.hub == NO_HUB:
            raise CommandError(
                f"{name} is not in the catalogue, and Hugging Face is not to be asked: give "
                f"its configuration with --model-config {name}=FILE."
            )
        from kaito.cli.strangers import from_hub

        token = os.environ.get("HF_TOKEN", "")
        catalog = catalog.with_model(from_hub(name, token=token, address=arguments.hub))
    return catalog


def _live(
    arguments: argparse.Namespace, documents: Documents, wanted: Sequence[Object]
) -> Live | None:
    chosen = arguments.kubeconfig or os.environ.get("KUBECONFIG", "")
    if arguments.offline or not (chosen or Path("~/.kube/config").expanduser().exists()):
        return None
    import asyncio

    return asyncio.run(_read(arguments, documents, wanted))


async def _read(
    arguments: argparse.Namespace, documents: Documents, wanted: Sequence[Object]
) -> Live | None:
    from kaito.cli.live import Live
    from kaito.runtime import Client, ConfigError, RuntimeFailure, load

    try:
        config = await load(arguments.kubeconfig)
        transport = config.transport("kaito-plan")
        async with Client(transport, field_manager=MANAGER, timeout=CLUSTER_SECONDS) as client:
            live = Live(client)
            await live.read_nodes(documents)
            for workspace in wanted:
                await live.read(workspace, documents)
            return live
    except (ConfigError, RuntimeFailure) as error:
        if arguments.kubeconfig:
            raise
        print(
            f"kaito: The cluster is left out of this plan: {error} (--offline asks none.)",
            file=sys.stderr,
        )
        return None


def _documents(name: str) -> list[Object]:
    """The objects of a file, - for the standard input; the items of lists among them."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror or error}") from error
    if len(data) > LARGEST:
        raise CommandError(f"{name} is larger than {LARGEST // 1024**2} MiB: is it a manifest?")
    try:
        found = list(yaml.load_all(data, LOADER))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CommandError(f"{name} is no YAML: {' '.join(str(error).split())[:300]}") from error
    objects: list[Object] = []
    for each in found:
        if isinstance(each, dict):
            items = each.get("items") if str(each.get("kind", "")).endswith("List") else None
            objects += [o for o in items if isinstance(o, dict)] if items else [each]
        elif each is not None:
            raise CommandError(f"{name} holds a document that is no object.")
    return objects


LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def _is_workspace(obj: Object) -> bool:
    group = str(obj.get("apiVersion", "")).partition("/")[0]
    return obj.get("kind") == WORKSPACES.kind and group == WORKSPACES.group


def _placed(workspace: Object, namespace: str) -> Object:
    metadata = workspace.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or metadata.get("generateName")
    if not isinstance(name, str) or not name:
        raise CommandError("A Workspace has no metadata.name: give it one.")
    placed = {**metadata, "name": name, "namespace": metadata.get("namespace") or namespace}
    return {**workspace, "metadata": placed}
