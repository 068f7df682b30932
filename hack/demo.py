"""The quick start from nothing to an answer, as `make demo` runs it.

    python hack/demo.py [--engine simulated|transformers]

Starts `kaito local up` (API server, Azure endpoint, both daemons: each a process of its own),
applies examples/phi-3-mini.yaml, shows what happens, asks the endpoint one question, deletes the
Workspace and waits until its GPU node is gone. Exit code 0, or 1 and the reason. With --engine
transformers the Pod's process is the real server of models, with a small model that is trained
first; it needs `make setup-engine`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from kaito.local.pods import guard
from kaito.runtime import (
    Call,
    Change,
    Client,
    Informer,
    Key,
    Object,
    Resource,
    RuntimeFailure,
    load,
)

ROOT = Path(__file__).parent.parent
MANIFEST = ROOT / "examples" / "phi-3-mini.yaml"
QUESTION = ROOT / "examples" / "question.json"
ENGINE_PYTHON = ROOT / ".venv-engine" / "bin" / "python"
PATIENCE = 120.0  # seconds for each stage; the whole takes a few

WORKSPACES: Resource[Object] = Resource("kaito.sh", "v1beta1", "workspaces", "Workspace")
V1ALPHA1: Resource[Object] = Resource("kaito.sh", "v1alpha1", "workspaces", "Workspace")
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")

COLUMNS = ("ResourceReady", "InferenceReady", "WorkspaceReady")


class DemoFailed(Exception):
    """One sentence that says which step failed and why."""


class Screen:
    """Prints each thing once, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._said: set[str] = set()

    def say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            print(f"{time.monotonic() - self._started:6.1f} s  {text}", flush=True)


async def main(engine: str) -> None:
    screen = Screen()
    with tempfile.TemporaryDirectory(prefix="kaito-demo-") as scratch:
        kubeconfig = Path(scratch) / "kubeconfig"
        log = Path(scratch) / "log"
        command = await real_engine(Path(scratch), screen) if engine == "transformers" else ""
        async with local_cluster(kubeconfig, log, screen, command):
            config = await load(str(kubeconfig))
            async with Client(config.transport("kaito-demo"), field_manager="demo") as client:
                await walk(client, screen)
    screen.say("everything is stopped and cleaned up")


@asynccontextmanager
async def local_cluster(
    kubeconfig: Path, log: Path, screen: Screen, engine: str
) -> AsyncIterator[None]:
    """`kaito local up` as a process, from its `ready` to a clean stop. `engine` is the command of
    the Pods' engine, "" for a simulated one."""
    screen.say("starting a local cluster: kaito local up")
    with log.open("wb") as sink:
        # Under the guard it ends with the demo, however the demo ends.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", guard.__file__),
            *(sys.executable, "-m", "kaito.cli", "local", "up", "--kubeconfig", str(kubeconfig)),
            *(("--engine", engine) if engine else ()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=sink,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
        if line.strip() != b"ready":
            raise DemoFailed(f"kaito local up did not become ready: {tail(log)}")
        screen.say("the API server answers; both daemons are on their way")
        try:
            yield
        except (DemoFailed, RuntimeFailure) as error:
            raise DemoFailed(
                f"{error}\nThe last lines of the cluster's log:\n{tail(log)}"
            ) from error
    finally:
        if process.returncode is None:
            process.terminate()
        if await process.wait() != 0:
            screen.say(f"kaito local up ended with exit code {process.returncode}")


async def real_engine(scratch: Path, screen: Screen) -> str:
    """Train the small model; the command of a server of it."""
    if not ENGINE_PYTHON.exists():
        raise DemoFailed(f"{ENGINE_PYTHON} does not exist: run `make setup-engine` first.")
    screen.say("training a small model: hack/small_model.py")
    model, log = scratch / "model", scratch / "training"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(ENGINE_PYTHON, "-m", "hack.small_model", str(model)),
            cwd=ROOT,
            stdout=sink,
            stderr=sink,
        )
    if await process.wait() != 0:
        raise DemoFailed(f"The small model could not be trained: {tail(log)}")
    served = ["--host=127.0.0.1", "--device_map=cpu", f"--pretrained_model_name_or_path={model}"]
    return shlex.join([str(ENGINE_PYTHON), "-m", "kaito.engine.serving", *served])


async def walk(client: Client, screen: Screen) -> None:
    """Apply, wait, ask, delete, wait."""
    manifest: Object = yaml.safe_load(MANIFEST.read_text())
    key = Key("default", manifest["metadata"]["name"])
    async with watching(client, screen) as workspaces:
        screen.say(f"kubectl apply -f {MANIFEST.relative_to(ROOT)}")
        await client.create(V1ALPHA1, manifest, namespace=key.namespace)
        await until(lambda: condition(workspaces, key, "WorkspaceReady") == "True", workspaces, key)
        print(table(workspaces.store.object(key) or {}))

        question = QUESTION.read_text()
        path = f"/api/v1/namespaces/{key.namespace}/services/{key.name}:80/proxy/chat"
        print(f"  POST {path}\n  {question.strip()}")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        body = await client.send(
            Call(method="POST", path=path, headers=headers, body=question.encode())
        )
        print(f"\n  {json.loads(body)['Result']}\n")

        screen.say(f"kubectl delete workspace {key.name}")
        await client.delete(WORKSPACES, key)
        await until(lambda: key not in workspaces.store, workspaces, key)
        nodes = (await client.list(NODES)).items
        if nodes:
            raise DemoFailed(f"The Workspace is gone but {len(nodes)} of its nodes are not.")
        screen.say("the Workspace, its Machine, its agent pool and its node are gone")


@asynccontextmanager
async def watching(client: Client, screen: Screen) -> AsyncIterator[Informer[Object]]:
    """Informers that print what happens; yields the one of the Workspaces."""
    workspaces = Informer(client, WORKSPACES)
    workspaces.on_change(lambda change: report_workspace(change, screen))
    others = [Informer(client, resource) for resource in (MACHINES, NODES, PODS)]
    for informer in others:
        informer.on_change(lambda change: report_child(change, screen))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(informer.run()) for informer in (workspaces, *others)]
        await workspaces.wait_synced()
        try:
            yield workspaces
        finally:
            for task in running:
                task.cancel()


def report_workspace(change: Change, screen: Screen) -> None:
    if change.header.deleting:
        return
    told: set[str] = set()
    for found in change.object.get("status", {}).get("conditions", ()):
        # WorkspaceReady repeats the message of whatever holds it up: once is enough.
        if found["type"] in COLUMNS and found["message"] not in told:
            why = "" if found["status"] == "True" else f": {found['message']}"
            told |= {found["message"]} if why else set()
            screen.say(f"Workspace {found['type']}={found['status']}{why}")


def report_child(change: Change, screen: Screen) -> None:
    child = change.object
    name = f"{child['kind']} {change.key.name}"
    if change.kind == "deleted":
        screen.say(f"{name} is gone")
        return
    screen.say(f"{name} is there")
    for found in child.get("status", {}).get("conditions", ()):
        if found["status"] == "True" and found["type"].removeprefix("Machine") in (
            "Launched",
            "Registered",
            "Initialized",
            "Ready",
        ):
            screen.say(f"{name} {found['type']}")


async def until(done: Callable[[], bool], workspaces: Informer[Object], key: Key) -> None:
    """Return when `done()`; DemoFailed with the Workspace's own words when it takes too long."""
    changed = asyncio.Event()
    workspaces.on_change(lambda _: changed.set())
    try:
        async with asyncio.timeout(PATIENCE):
            while not done():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        found = workspaces.store.object(key) or {}
        said = [
            f"{each['type']}={each['status']} ({each['message']})"
            for each in found.get("status", {}).get("conditions", ())
        ]
        raise DemoFailed(f"Nothing more after {PATIENCE:g} s: {'; '.join(said)}") from None


def condition(workspaces: Informer[Object], key: Key, kind: str) -> str:
    found = workspaces.store.object(key) or {}
    for each in found.get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            return str(each["status"])
    return ""


def table(workspace: Object) -> str:
    """What `kubectl get workspace` prints, less the age."""
    truths = {each["type"]: each["status"] for each in workspace["status"]["conditions"]}
    row = [workspace["metadata"]["name"], workspace["resource"]["instanceType"]]
    row += [truths.get(column, "") for column in COLUMNS]
    head = ["NAME", "INSTANCE", *(column.upper() for column in COLUMNS)]
    widths = [max(len(a), len(b)) for a, b in zip(head, row, strict=True)]
    lines = ("   ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in (head, row))
    return "\n" + "\n".join(f"  {line}" for line in lines) + "\n"


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def stop(number: int, _: object) -> None:
    """Make SIGTERM end the demo as Ctrl-C does: with the cluster it started."""
    signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["simulated", "transformers"], default="simulated")
    signal.signal(signal.SIGTERM, stop)
    try:
        asyncio.run(main(parser.parse_args().engine))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as failure:  # noqa: BLE001 - whatever it was, its reason is the last line
        reason: BaseException = failure
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        print(f"demo: {reason}", file=sys.stderr)
        sys.exit(1)
