"""Programs written for other clients run against the local cluster as they are."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaito.runtime import Client, Key, NotFound, Object, Resource, from_kubeconfig, is_true
from kaito.testing import eventually
from test.integration.clients.programs import manifests

PROGRAMS = Path(__file__).with_name("programs")
PATIENCE = 60.0  # seconds; reached only when something is broken

CRDS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
WIDGETS: Resource[Object] = Resource(
    manifests.GROUP, manifests.VERSION, manifests.PLURAL, manifests.KIND
)
A = Key(manifests.NAMESPACE, "a")


def needs(package: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(package) is None
    reason = f"{package} is not installed; `pip install -e '.[bench]'` installs all of these."
    return pytest.mark.skipif(missing, reason=reason)


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a local cluster in a process of its own, in which python images are processes."""
    scratch = tmp_path_factory.mktemp("cluster")
    path, log = scratch / "kubeconfig", scratch / "log"
    options = ["--nodes", "1", "--profile", "instant", "--image", f"python:*={sys.executable}"]
    up = ["-m", "kaito.cli", "local", "up", "--kubeconfig", str(path), "--no-controllers"]
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [sys.executable, *up, *options], stdout=subprocess.PIPE, stderr=sink
        ) as cluster,
    ):
        assert cluster.stdout is not None
        assert cluster.stdout.readline() == b"ready\n", log.read_text()
        yield path
        cluster.terminate()


def started(
    program: str, kubeconfig: Path, namespace: str = manifests.NAMESPACE
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROGRAMS / f"{program}.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "NAMESPACE": namespace},
    )


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("official", marks=needs("kubernetes")),
        pytest.param("asynchronous", marks=needs("kubernetes_asyncio")),
        pytest.param("with_kr8s", marks=needs("kr8s")),
        pytest.param("with_lightkube", marks=needs("lightkube")),
    ],
)
def test_a_program_does_its_work(program: str, kubeconfig: Path) -> None:
    with started(program, kubeconfig, program.replace("_", "-")) as running:
        said, _ = running.communicate()
    assert running.returncode == 0, said


@needs("kopf")
async def test_an_operator_reacts_to_its_objects(kubeconfig: Path) -> None:
    config = await from_kubeconfig(str(kubeconfig))
    async with Client(config.transport()) as client:

        async def established() -> bool:
            crd = await client.get(CRDS, Key("", f"{manifests.PLURAL}.{manifests.GROUP}"))
            return is_true(crd["status"]["conditions"], "Established")

        async def status(**wanted: int) -> bool:
            widget = await client.get(WIDGETS, A)
            return wanted.items() <= widget.get("status", {}).items()

        async def data() -> str:
            config_map = await client.get(CONFIG_MAPS, A)
            return str(config_map["data"]["size"])

        async def gone(resource: Resource[Object], name: str) -> bool:
            try:
                await client.get(resource, Key(manifests.NAMESPACE, name))
            except NotFound:
                return True
            return False

        await client.create(NAMESPACES, {"metadata": {"name": manifests.NAMESPACE}})
        await client.create(CRDS, manifests.crd())
        await eventually(established)
        with started("kopf_operator", kubeconfig) as operator:
            try:
                await client.create(WIDGETS, manifests.widget("a", size=2))
                await eventually(lambda: status(size=2, ticks=2), within=PATIENCE)
                assert await data() == "2"
                widget = await client.get(WIDGETS, A)
                assert widget["metadata"]["finalizers"] == [f"{manifests.GROUP}/kopf"]
                assert widget["status"]["created"] == {"made": 1}

                await client.patch(WIDGETS, A, {"spec": {"size": 5}})
                await eventually(lambda: status(size=5), within=PATIENCE)
                assert await data() == "5"

                await client.delete(WIDGETS, A)
                await eventually(lambda: gone(WIDGETS, "a"), within=PATIENCE)
                assert await gone(SECRETS, "a-key")
                await eventually(lambda: gone(CONFIG_MAPS, "a"), within=PATIENCE)
            finally:
                operator.send_signal(signal.SIGTERM)
                said, _ = operator.communicate()
            assert operator.returncode == 0, said
