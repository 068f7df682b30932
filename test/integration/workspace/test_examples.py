"""The manifests in examples/ as users will paste them: accepted by the server and the webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kaito.api.workspace import Workspace
from kaito.catalog.catalog import load
from kaito.controllers.workspace.judge import judge
from kaito.controllers.workspace.kinds import WORKSPACES
from kaito.controllers.workspace.parameters import Missing, config_name
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object, Resource
from test.integration.workspace.stage import Stage

EXAMPLES = Path(__file__).parents[3] / "examples"
FILES = sorted([EXAMPLES / "phi-3-mini.yaml", *(EXAMPLES / "workspaces").glob("*.yaml")])


def workspaces(file: Path) -> Iterator[Object]:
    for document in yaml.safe_load_all(file.read_text()):
        if document["kind"] == "Workspace":
            yield document


def of_version(version: str) -> Resource[Object]:
    return Resource("kaito.sh", version, "workspaces", "Workspace")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_an_example_is_applied_with_nothing_unknown_and_means_the_same(
    scene: Stage, file: Path
) -> None:
    strict = scene.client.with_options(field_validation="Strict")
    for manifest in workspaces(file):
        version = manifest["apiVersion"].rpartition("/")[2]
        named = {**manifest, "metadata": {**manifest["metadata"], "namespace": "default"}}
        made = await strict.create(of_version(version), named)
        stored = await scene.client.get(WORKSPACES, Key.of(made))
        for part in ("resource", "inference", "tuning"):
            assert (part in manifest) == (part in stored)
            assert same(stored, part, manifest.get(part))


def same(kept: Object, key: str, value: object) -> bool:
    """Whether what is kept holds what was sent; the server may have added defaults."""
    found = kept.get(key)
    if isinstance(value, dict) and isinstance(found, dict):
        return all(same(found, k, v) for k, v in value.items())
    return found == value


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_passes_the_webhook_with_what_it_names(file: Path) -> None:
    found = {
        document["metadata"]["name"]: document
        for document in yaml.safe_load_all(file.read_text())
        if document["kind"] == "ConfigMap"
    }
    for manifest in workspaces(file):
        name = config_name(manifest)
        config = found.get(name, Missing(name=name)) if name else None
        said = judge(manifest, None, catalog=load(), settings=Settings(), config=config)
        assert said.problems == ()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_comes_back_as_it_was(file: Path) -> None:
    for manifest in workspaces(file):
        assert Workspace.model_validate(manifest).wire() == manifest
