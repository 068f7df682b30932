"""The images hold what the manager starts, pinned, without root. None is built here."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hack.images import IMAGES, plan
from kaito.catalog.arguments import arguments
from kaito.catalog.engine import engine
from kaito.controllers.workspace import job
from kaito.controllers.workspace.command import CHAT_TEMPLATES, ENTRY, LAUNCH
from kaito.controllers.workspace.group import HEALTH, SCRIPT
from kaito.engine.moving.pull import DATA

ROOT = pathlib.Path(__file__).parents[2]
DOCKER = ROOT / "docker"
FILES = sorted(DOCKER.glob("*.Dockerfile"))
HADOLINT = pathlib.Path(sys.executable).with_name("hadolint")
PINNED = re.compile(r"[a-z0-9./-]+(:v?[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.-]*|@sha256:[0-9a-f]{64})")


def text(name: str) -> str:
    return (DOCKER / name).read_text()


def names(found: list[pathlib.Path]) -> list[str]:
    return [each.name for each in found]


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_a_linter_has_nothing_to_say(file: pathlib.Path) -> None:
    assert HADOLINT.exists(), "make setup installs it"
    done = subprocess.run([HADOLINT, file], capture_output=True, text=True, timeout=60)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_bases_are_pinned_and_nobody_is_root(file: pathlib.Path) -> None:
    said = file.read_text()
    bases = re.findall(r"^ARG [A-Z]+=(\S+)$|^FROM ([^$\s]+)", said, re.MULTILINE)
    found = [one or other for one, other in bases]
    assert found
    assert [base for base in found if base != "scratch" and not PINNED.fullmatch(base)] == []
    assert re.findall(r"^USER (\S+)$", said, re.MULTILINE)[-1] == "65532:65532"


@pytest.mark.parametrize("file", FILES, ids=names(FILES))
def test_every_package_has_one_version(file: pathlib.Path) -> None:
    said = file.read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]+)", said)
    words = [word.strip("'\"") for each in installs for word in each.split()]
    options = ("-", "http", ".")  # and ours, from its own source
    assert [w for w in words if not w.startswith(options) and "==" not in w] == []


def pinned(name: str) -> dict[str, Version]:
    """What a Dockerfile installs from PyPI."""
    found = re.findall(r"^\s+'?([a-z.-]+)(?:\[.*\])?==([0-9.]+)", text(name), re.MULTILINE)
    return {each: Version(version) for each, version in found}


def test_the_transformers_server_has_what_it_is_tested_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(each) for each in (*extras["engine"], *extras["moving"])]
    extra = [each for each in wanted if each.name != "kaito"]  # one extra within another
    there = pinned("transformers.Dockerfile") | {"torch": Version("2.13.0")}
    assert "torch==2.13.0+cpu" in text("transformers.Dockerfile")
    assert [str(each) for each in extra if there.get(each.name) not in each.specifier] == []
    both = pinned("vllm.Dockerfile")
    shared = (
        *("accelerate", "backports.zstd", "bitsandbytes", "datasets", "oras", "peft", "pyarrow"),
        "trl",
    )
    assert {name: both[name] for name in shared}.items() <= there.items()


def test_the_engine_is_the_release_whose_arguments_are_known() -> None:
    assert f"ARG VLLM=vllm/vllm-openai:v{arguments().version}\n" in text("vllm.Dockerfile")
    assert f"vllm.git#v{arguments().version}:examples" in text("vllm.Dockerfile")


def test_every_template_that_a_model_is_started_with_is_there() -> None:
    made = re.findall(r"\S+:(\S+?)(?=[ ;])", text("vllm.Dockerfile").partition("for pair in")[2])
    chat = engine().chat_template
    wanted = {*chat.by_prefix.values(), *chat.by_architecture.values()}
    assert wanted <= set(made)
    assert f"{CHAT_TEMPLATES}\n" in text("vllm.Dockerfile")


def test_what_the_manager_runs_is_there() -> None:
    entries = (ENTRY[-1], job.ENTRY[-1], LAUNCH[-1], HEALTH[-1])
    paths = {*entries, *re.findall(r"serving=(\S+)", SCRIPT)}
    assert len(paths) == 5
    for path in paths:
        assert (DOCKER / "workspace" / path.removeprefix("/workspace/")).is_file(), path
    assert "COPY --chmod=0555 docker/workspace /workspace\n" in text("vllm.Dockerfile")
    # An adapter's files are looked for where its image has them.
    assert f"COPY . /{DATA}/\n" in text("adapter.Dockerfile")


def alone(tmp_path: pathlib.Path) -> dict[str, str]:
    """What an image has of kaito."""
    (tmp_path / "kaito").mkdir()
    shutil.copy(ROOT / "kaito/__init__.py", tmp_path / "kaito")
    shutil.copytree(ROOT / "kaito/engine", tmp_path / "kaito/engine")
    return {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}


def test_the_launcher_starts_with_nothing_else_of_kaito(tmp_path: pathlib.Path) -> None:
    # vLLM is not here, so it comes as far as asking for it.
    done = subprocess.run(
        [sys.executable, DOCKER / "workspace/vllm/inference_api.py", "--kaito-config-file"],
        env=alone(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "--kaito-config-file: expected one argument" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("word", "code"), [("leader", 0), ("worker", 1)])
def test_on_several_nodes_a_worker_becomes_the_engine(
    tmp_path: pathlib.Path, word: str, code: int
) -> None:
    # A place that makes no sense, so that nothing is started.
    variables = {**alone(tmp_path), "KAITO_NODES": "2", "POD_INDEX": "none"}
    done = subprocess.run(
        [sys.executable, DOCKER / "workspace/vllm/multi-node-serving.sh", word],
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert ("POD_INDEX must be a number" in done.stderr) == bool(code)


def test_images_are_built_and_pushed_by_lists_of_words() -> None:
    commands = plan("podman", "r.example/k", "1.2.3", push=True, model=("/weights", "phi"))
    built = [f"r.example/k/{name}:1.2.3" for name in [*IMAGES, "phi"]]
    assert [each[5] for each in commands if each[1] == "build"] == built
    assert [each[2] for each in commands if each[1] == "push"] == built
    assert "BASE=r.example/k/kaito-base:1.2.3" in commands[3]
    assert all((DOCKER / file).is_file() for file in IMAGES.values())
