"""Pods whose image is known run as local processes, are probed for real, and end with them."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaito.local.kinds import DEPLOYMENTS, ENDPOINT_SLICES, NODES, PODS, SERVICES
from kaito.local.pods.images import Program
from kaito.local.pods.kaito_base import PORT
from kaito.local.profile import Profile
from kaito.runtime import Call, Key, Object, is_true

if TYPE_CHECKING:
    from test.integration.local.conftest import World

LIVELY = Profile.instant(processes=True)
PROXY = "/api/v1/namespaces/default/services/phi:http/proxy"


def engine(image: str = "registry.example/kaito-base:0.1.0", **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "phi",
            "namespace": "default",
            "labels": {"app": "phi"},
            **metadata,
        },
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {
                    "name": "engine",
                    "image": image,
                    "args": ["--served-model-name=phi-3-mini"],
                    "ports": [{"containerPort": 5000}],
                    "readinessProbe": {
                        "httpGet": {"path": "/health", "port": 5000},
                        "initialDelaySeconds": 30,
                    },
                }
            ],
        },
    }


SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "phi", "namespace": "default"},
    "spec": {
        "selector": {"app": "phi"},
        "ports": [{"name": "http", "port": 80, "targetPort": 5000}],
    },
}


def ready(pod: Object) -> bool:
    return is_true(pod["status"].get("conditions", ()), "Ready")


async def ask(world: World, path: str, body: Any = None) -> Any:
    call = Call(
        method="POST" if body else "GET",
        path=PROXY + path,
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode() if body else None,
    )
    return json.loads(await world.client.send(call))


async def test_the_engine_answers_through_the_service(start: Any, tmp_path: Path) -> None:
    async with start(nodes=1, profile=LIVELY, state_dir=tmp_path) as world:
        await world.client.create(SERVICES, SERVICE)
        await world.client.create(PODS, engine())
        pod = await world.object(PODS, "phi", ready, "default")
        said = next(c for c in pod["status"]["conditions"] if "Simulated" in c["type"])
        assert said["message"] == "engine: a stand-in answers instead of the model"
        models = await ask(world, "/v1/models")
        assert [each["id"] for each in models["data"]] == ["phi-3-mini"]
        answer = await ask(world, "/chat", {"prompt": "What is Kubernetes?"})
        log = Call(method="GET", path="/api/v1/namespaces/default/pods/phi/log")
        assert b"simulated engine for phi-3-mini" in await world.client.send(log)
        assert "simulated" in answer["Result"]
        assert "What is Kubernetes?" in answer["Result"]
        found = await world.until(
            ENDPOINT_SLICES,
            lambda store: [
                s
                for s in store.list()
                if s["endpoints"] and s["endpoints"][0]["conditions"]["ready"]
            ],
        )
        assert found[0]["ports"] == [{"name": "http", "port": 5000, "protocol": "TCP"}]
        assert found[0]["endpoints"][0]["targetRef"]["name"] == "phi"


async def test_a_deleted_pod_takes_its_process_along(start: Any, tmp_path: Path) -> None:
    async with start(nodes=1, profile=LIVELY, state_dir=tmp_path) as world:
        await world.client.create(PODS, engine())
        await world.object(PODS, "phi", ready, "default")
        gone = await connected(port_of(world))
        await world.client.delete(PODS, Key("default", "phi"))
        await world.gone(PODS, "phi")
        await gone()


async def test_a_pod_of_a_deleted_node_ends(start: Any, tmp_path: Path) -> None:
    async with start(nodes=1, profile=LIVELY, state_dir=tmp_path) as world:
        await world.client.create(PODS, engine())
        await world.object(PODS, "phi", ready, "default")
        gone = await connected(port_of(world))
        await world.client.delete(NODES, Key("", "local-0"))
        await world.gone(PODS, "phi")
        await gone()


async def test_a_process_that_ends_is_started_again(start: Any, tmp_path: Path) -> None:
    script = "import sys, time; print('bye', flush=True); sys.exit(3)"
    program = Program(image="short:*", port=1, command=lambda *_: [sys.executable, "-c", script])
    async with start(nodes=1, profile=LIVELY, state_dir=tmp_path, programs=[program]) as world:
        await world.client.create(PODS, engine("short:1"))
        pod = await world.object(
            PODS,
            "phi",
            lambda each: any(
                status["restartCount"] >= 2
                for status in each["status"].get("containerStatuses", ())
            ),
            "default",
        )
        (status,) = pod["status"]["containerStatuses"]
        assert status["lastState"]["terminated"]["exitCode"] == 3
        assert not status["ready"]
        assert pod["status"]["phase"] == "Running"


async def test_a_program_that_cannot_be_started_says_so(start: Any, tmp_path: Path) -> None:
    program = Program(image="none:*", port=1, command=lambda *_: ["/no/such/program"])
    pod = engine("none:1")
    pod["spec"]["restartPolicy"] = "Never"
    async with start(nodes=1, profile=LIVELY, state_dir=tmp_path, programs=[program]) as world:
        await world.client.create(PODS, pod)
        failed = await world.object(
            PODS, "phi", lambda each: each["status"]["phase"] == "Failed", "default"
        )
        ended = failed["status"]["containerStatuses"][0]["state"]["terminated"]
        assert ended["exitCode"] == 127


async def test_processes_end_with_the_cluster(start: Any, tmp_path: Path) -> None:
    async with start(nodes=1, profile=LIVELY, state_dir=tmp_path) as world:
        await world.client.create(PODS, engine())
        await world.object(PODS, "phi", ready, "default")
        gone = await connected(port_of(world))
    await gone()


async def test_processes_end_even_when_the_cluster_is_killed(tmp_path: Path) -> None:
    program = Path(__file__).with_name("killed_cluster.py")
    child = await asyncio.create_subprocess_exec(
        sys.executable, program, tmp_path, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(20):
            # Before it come the log lines of the start.
            while not (line := await child.stdout.readline()).startswith(b"port "):
                assert line, "it ended before its pod was ready"
        port = int(line.split()[1])
        gone = await connected(port)
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    await gone()


async def test_a_restarted_cluster_still_has_its_pods_and_starts_their_processes(
    start: Any, tmp_path: Path
) -> None:
    arguments = {"profile": LIVELY, "data_dir": tmp_path}
    async with start(nodes=1, **arguments) as world:
        before = world.cluster.kubeconfig()
        port = world.cluster.port
        await world.client.create(DEPLOYMENTS, wrapped())
        await world.object(
            DEPLOYMENTS, "phi", lambda d: d["status"].get("availableReplicas") == 1, "default"
        )
        (pod,) = await world.count(PODS, 1)
    async with start(nodes=1, port=port, **arguments) as world:
        assert world.cluster.kubeconfig() == before
        again = await world.object(
            PODS,
            pod["metadata"]["name"],
            lambda each: (
                ready(each) and each["status"]["containerStatuses"][0]["restartCount"] == 1
            ),
            "default",
        )
        assert again["metadata"]["uid"] == pod["metadata"]["uid"]
        assert again["status"]["podIP"] == pod["status"]["podIP"]
        await world.count(PODS, 1)


def wrapped() -> Object:
    pod = engine()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "phi", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "phi"}},
            "template": {
                "metadata": {"labels": {"app": "phi"}},
                "spec": pod["spec"],
            },
        },
    }


def port_of(world: World) -> int:
    port = world.cluster.local_port(Key("default", "phi"), PORT)
    assert port is not None
    return port


async def connected(port: int) -> Any:
    """Connect to a process; the function returned waits until the process has ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def gone() -> None:
        try:
            async with asyncio.timeout(20):
                assert await reader.read() == b""
        except ConnectionResetError:
            pass
        finally:
            writer.close()

    return gone
