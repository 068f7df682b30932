"""Programs of ours that run for an image: what they are given, and what no Pod makes of them."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaito.local.kinds import CONFIG_MAPS, PODS
from kaito.local.pods.images import Program
from kaito.local.pods.kaito_base import KAITO_BASE
from kaito.local.profile import Profile
from test.integration.local.pods_of_programs import log, named, over, pod, state_of

TELLS = """
import json, os, pathlib, sys
found = {"words": sys.argv[1:], "variables": dict(os.environ)}
for word in sys.argv[1:]:
    there = pathlib.Path(word)
    found[there.name] = sorted({p.read_text() for p in there.rglob("[!.]*") if p.is_file()})
pathlib.Path(os.environ["KAITO_TERMINATION_LOG"]).write_text("all told")
print(json.dumps(found))
"""


@pytest.fixture
def told(start: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """`async with told(gathers=...) as world`: a fixed program, which prints what it is given."""

    def cluster(*programs: Program, **fields: Any) -> Any:
        fixed = Program(
            image="fixed",
            command=lambda *_: [sys.executable, "-c", TELLS],
            words=lambda container: container.get("args") or (),
            **fields,
        )
        return start(
            nodes=1,
            profile=Profile.instant(processes=True),
            state_dir=tmp_path,
            programs=[fixed, *programs],
        )

    return cluster


def container(*words: str, **fields: Any) -> dict[str, Any]:
    return {"name": "main", "image": "fixed:1", "args": [*words], **fields}


async def test_no_variable_of_a_pod_says_what_a_program_of_ours_loads(
    told: Callable[..., Any],
) -> None:
    names = ("PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "PATH", "SSL_CERT_FILE", "MODEL")
    env = [{"name": name, "value": "/of/the/pod"} for name in names]
    async with told() as world:
        await world.client.create(PODS, pod(container(env=env)))
        await over(world)
        variables = json.loads(await log(world))["variables"]
        assert {name for name in names if variables.get(name) == "/of/the/pod"} == {"MODEL"}
        # It trusts the registry of this cluster, and whom this machine trusts.
        trusted = ssl.create_default_context(cafile=variables["SSL_CERT_FILE"]).get_ca_certs()
        assert len(trusted) >= 1
        assert world.cluster.ca_pem.strip() in Path(variables["SSL_CERT_FILE"]).read_text()


async def test_a_program_of_ours_says_how_it_ended_where_its_container_does(
    told: Callable[..., Any],
) -> None:
    async with told() as world:
        await world.client.create(PODS, pod(container()))
        found = await over(world)
        assert state_of(found)["state"]["terminated"]["message"] == "all told"


@pytest.mark.parametrize("word", ["/etc", "--to=/etc", "/mnt/data/../../etc"])
async def test_a_program_of_ours_is_told_no_path_that_is_in_no_volume(
    told: Callable[..., Any], word: str
) -> None:
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/mnt/data"}]}
    volumes = [{"name": "data", "emptyDir": {}}]
    async with told() as world:
        await world.client.create(PODS, pod(container(word, **mounts), volumes=volumes))
        waiting = await world.object(
            PODS,
            "p",
            lambda p: "CreateContainerConfigError" in json.dumps(p.get("status")),
            "default",
        )
        said = state_of(waiting)["state"]["waiting"]["message"]
        assert said == f'no volume of the container holds "{word.removeprefix("--to=")}"'


async def test_a_program_looks_through_what_is_mounted_below_a_directory(
    told: Callable[..., Any],
) -> None:
    names = ("one", "two", "three")
    mounts = [{"name": each, "mountPath": f"/mnt/adapter/{each}"} for each in names[:2]]
    mounts += [{"name": "three", "mountPath": "/mnt/three"}]
    volumes = [{"name": each, "configMap": {"name": each}} for each in names]
    async with told(gathers=("/mnt/adapter",)) as world:
        for each in names:
            config = named("ConfigMap", each, data={"text": f"of {each}"})
            await world.client.create(CONFIG_MAPS, config)
        asks = container("/mnt/adapter/one", "/mnt/adapter", volumeMounts=mounts)
        await world.client.create(PODS, pod(asks, volumes=volumes))
        await over(world)
        told_of = json.loads(await log(world))
        assert told_of["one"] == ["of one"]
        place = Path(told_of["words"][1])
        assert {each.name: (each / "text").read_text() for each in place.iterdir()} == {
            "one": "of one",
            "two": "of two",
        }


async def test_a_training_in_a_pod_hands_on_what_it_has_made(told: Callable[..., Any]) -> None:
    mounts = {
        "volumeMounts": [
            {"name": "data", "mountPath": "/mnt/data"},
            {"name": "results", "mountPath": "/mnt/results"},
        ]
    }
    trainer = {
        "name": "trainer",
        "image": "registry/kaito-base:1",
        "command": [
            *("python3", "/workspace/tfs/fine_tuning.py", "--method=lora", "--data=/mnt/data"),
            *("--pretrained_model_name_or_path=org/model", "--output=/mnt/results"),
            "--checkpoints=/mnt/results/.checkpoints",
        ],
        **mounts,
    }
    volumes = [
        {"name": "data", "configMap": {"name": "data"}},
        {"name": "results", "emptyDir": {}},
    ]
    async with told(*KAITO_BASE) as world:
        data = named("ConfigMap", "data", data={"train.jsonl": '{"text": "one"}'})
        await world.client.create(CONFIG_MAPS, data)
        reads = container("/mnt/results", **mounts)
        await world.client.create(PODS, pod(reads, initContainers=[trainer], volumes=volumes))
        found = await over(world)
        assert found["status"]["phase"] == "Succeeded"
        assert any("LORA" in each for each in json.loads(await log(world))["results"])
        [condition] = [
            each["message"]
            for each in found["status"]["conditions"]
            if each["type"] == "local.kaito.sh/Simulated"
        ]
        assert condition == "trainer: a stand-in writes an adapter that has learnt nothing"
