"""`kaito why` names the cause of every failure that is injected into a running system, and the way
out of it: thirty of them, at the same time, in one cluster."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

import msgspec
import pytest

from kaito.cli.table import WIDTH
from kaito.cli.why import text
from kaito.local import kubeconfig
from kaito.runtime import Call, Client, Key, Object, Resource
from kaito.testing import eventually
from kaito.why import Chain, State, Verdict, explain, read
from kaito.why.reading import JOBS
from test.accounts import JSON
from test.e2e.failures import FAILURES, FAULT, SERVES, Expected, Failure, template
from test.e2e.stage import (
    DEPLOYMENTS,
    MACHINES,
    NODES,
    PATIENCE,
    WORKSPACES,
    Stage,
    certificate_of,
)

NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
QUOTAS: Resource[Object] = Resource("", "v1", "resourcequotas", "ResourceQuota")
ACCOUNTS: Resource[Object] = Resource("", "v1", "serviceaccounts", "ServiceAccount")
RBAC = "rbac.authorization.k8s.io"
ROLES: Resource[Object] = Resource(RBAC, "v1", "roles", "Role")
BINDINGS: Resource[Object] = Resource(RBAC, "v1", "rolebindings", "RoleBinding")
DEFINITIONS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
WEBHOOKS: Resource[Object] = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)
MACHINE_DEFINITION = Key("", f"{MACHINES.plural}.{MACHINES.group}")
THROTTLED = "Standard_NC12s_v3"
LONG = re.compile(r"\S{61}")  # a word that no line of 80 columns holds behind its label


@pytest.mark.timeout(300)  # forty Workspaces at once, on a machine that does other things, too
async def test_every_failure_is_told_with_its_cause_and_its_way_out(
    bare: Stage, tmp_path: Path
) -> None:
    wrong: dict[str, str] = {}

    async def check(name: str, expected: Expected, key: Key | None = None) -> None:
        """Write down what an explanation lacks once there has been time enough."""
        where = key or Key(name, name)
        lacks: list[str] = []

        async def as_expected() -> bool:
            chain = await why(bare.client, where)
            lacks[:] = lacking(chain, expected)
            if lacks:
                lacks.extend(text(chain))
            return not lacks

        try:
            await eventually(as_expected, heartbeat=0.2, within=PATIENCE / 3)
        except AssertionError:
            wrong[name] = "\n".join(lacks)

    definition = await bare.client.get(DEFINITIONS, MACHINE_DEFINITION)
    await bare.client.delete(DEFINITIONS, MACHINE_DEFINITION)
    await befall(bare, {"early": Failure(expected=NOT_THERE["Machines"])})
    await bare.process("manager").start()
    await check("early", NOT_THERE["Machines"])
    head = {"name": MACHINE_DEFINITION.name}
    await bare.client.create(DEFINITIONS, {"metadata": head, "spec": definition["spec"]})
    await check("early", NOT_THERE["provisioner"])
    # The cloud lets so many pools be asked for in a time: who failed asks again less often.
    slower = {"AZURE_POLL_SECONDS": "1"}
    await bare.process("provisioner", "--joining-seconds", "3", **slower).start()

    await befall(bare, FAILURES | SERVES)
    await bare.until(lambda: all(serves(bare, name) for name in SERVES), "some that serve")
    await strike(bare)
    for name, failure in (SERVES | FAILURES).items():
        await check(name, failure.expected)
    for name in await mend(bare.client):
        await check(name, SERVING)
    await train_again(bare.client, Key("training-data", "training-data"))
    await throttle(bare)
    await check("throttled", THROTTLING)
    await by_the_command(bare, tmp_path)
    assert not wrong, "\n\n".join(f"--- {name}: {said}" for name, said in wrong.items())


async def why(client: Client, key: Key) -> Chain:
    return explain(await read(client, key, now=time.time()))


def lacking(chain: Chain, expected: Expected) -> list[str]:
    """What of an explanation is not as it should be."""
    fix = chain.fix
    ways = [fix.what, *fix.commands] if fix else [""]
    failing = [link.kind for link in chain.links if link.state is State.FAILING]
    links = [link for link in chain.links if link.since is not None]
    found = {
        f"verdict {chain.verdict}": chain.verdict is expected.verdict,
        f"reason {chain.reason}": chain.reason == expected.reason,
        f"cause {chain.cause}": expected.cause in chain.cause,
        f"fix {ways}": any(expected.fix in each for each in ways),
        f"failing {failing}": not expected.last or failing[-1:] == [expected.last],
        "no time": bool(links) and chain.links[0].kind == "Workspace",
        "too wide": all(len(line) <= WIDTH or LONG.search(line) for line in text(chain)),
    }
    return [what for what, holds in found.items() if not holds]


NOT_THERE = {
    "Machines": Expected(
        verdict=Verdict.NEEDS_YOU,
        reason="ManagerNotRunning",
        cause="is not running: generation 1 of the Workspace is unanswered. The API server has no "
        "Machine",
        fix="kaito crds | kubectl apply --server-side -f -",
        last="Lease",
    ),
    "provisioner": Expected(
        verdict=Verdict.NEEDS_YOU,
        reason="ProvisionerNotRunning",
        cause="The provisioner, which makes nodes, is not running",
        fix="`kaito provisioner`",
        last="Lease",
    ),
}
SERVING = Expected(verdict=Verdict.READY, reason="workspaceReady", cause="1 of 1 replicas")
THROTTLING = Expected(
    verdict=Verdict.RETRYING,
    reason="Throttled",
    cause="Azure did not make agent pool",
    fix="Nothing yet",
)


def serves(stage: Stage, name: str) -> bool:
    return stage.is_true("WorkspaceReady", Key(name, name))


async def befall(stage: Stage, failures: dict[str, Failure]) -> None:
    """Create the Workspaces of these failures, each in a namespace of its own."""
    for name, failure in failures.items():
        await stage.client.create(NAMESPACES, failure.namespace(name))
        match name:
            case "pods-over-quota" | "pods-of-a-set-over-quota":
                await forbid_pods(stage.client, name)
            case "webhook-down":
                await break_a_webhook(stage.client, name)
            case "training-data" | "training-killed":
                await log_in(stage.client, name)
            case "name-taken":
                await take(stage.client, Key(name, name))
        await stage.client.create(WORKSPACES, failure.workspace(name))


async def strike(stage: Stage) -> None:
    """Bring down what serves."""
    for name, fault in (("node-lost", "lost"), ("evicted", "disk-pressure")):
        node = node_of(stage, Key(name, name))
        await stage.client.patch(NODES, node, {"metadata": {"annotations": {FAULT: fault}}})
    broken = template({FAULT: "crash"})
    undone = Key("edited-and-undone", "edited-and-undone")
    await stage.client.patch(WORKSPACES, undone, broken)
    scaled = Key("scaled-away", "scaled-away")
    await stage.client.patch(DEPLOYMENTS, scaled, {"spec": {"replicas": 0}})
    kept = Key("kept", "kept")
    found = await stage.client.get(WORKSPACES, kept)
    finalizers = [*found["metadata"]["finalizers"], "example.com/keep"]
    await stage.client.patch(WORKSPACES, kept, {"metadata": {"finalizers": finalizers}})
    await stage.client.delete(WORKSPACES, kept)


def node_of(stage: Stage, key: Key) -> Key:
    [name] = (stage.find(WORKSPACES, key) or {})["status"]["workerNodes"]
    return Key("", name)


async def throttle(stage: Stage) -> None:
    """Have the cloud refuse whoever asks for nodes of one size, last, for all then ask slower."""
    fault = {"kind": "throttled", "vmSize": THROTTLED}
    call = Call(
        method="POST", path="/local/azure/faults", headers=JSON, body=msgspec.json.encode(fault)
    )
    await stage.client.send(call)
    await befall(stage, {"throttled": Failure(size=THROTTLED, expected=THROTTLING)})


async def mend(client: Client) -> list[str]:
    """Do what was said; the names of those that it helps."""
    variable, settings = "secret-of-a-variable", "settings-missing"
    head = {"name": "hugging-face", "namespace": variable}
    await client.create(SECRETS, {"metadata": head, "stringData": {"HF_TOKEN": "token"}})
    head = {"name": "settings", "namespace": settings}
    await client.create(CONFIG_MAPS, {"metadata": head, "data": {"inference_config.yaml": "{}"}})
    return [variable, settings]


async def train_again(client: Client, job: Key) -> None:
    """Do what was said of a training that failed; another one is begun."""
    before = (await client.get(JOBS, job))["metadata"]["uid"]
    await client.delete(JOBS, job)

    async def begun() -> bool:
        return bool((await client.get(JOBS, job))["metadata"]["uid"] != before)

    await eventually(begun, within=PATIENCE)


async def log_in(client: Client, namespace: str) -> None:
    """What a result is pushed with."""
    head = {"name": "push", "namespace": namespace}
    kind, login = "kubernetes.io/dockerconfigjson", {".dockerconfigjson": '{"auths":{}}'}
    await client.create(SECRETS, {"metadata": head, "type": kind, "stringData": login})


async def forbid_pods(client: Client, namespace: str) -> None:
    none = {"pods": "0"}
    head = {"name": "none", "namespace": namespace}
    await client.create(QUOTAS, {"metadata": head, "spec": {"hard": none}})
    # There is no quota controller in the local cluster.
    status = {"status": {"hard": none, "used": none}}
    await client.patch(QUOTAS, Key(namespace, "none"), status, subresource="status")


async def break_a_webhook(client: Client, namespace: str) -> None:
    """Somebody's webhook that has to agree to the Pods of a namespace, and is not there."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"]}
    webhook = {
        "name": "pods.example.com",
        "clientConfig": {"url": "https://127.0.0.1:9/pods", "caBundle": ""},
        "namespaceSelector": {"matchLabels": {"case": namespace}},
        "rules": [{**rule, "resources": ["pods"]}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    await client.create(WEBHOOKS, {"metadata": {"name": "pods"}, "webhooks": [webhook]})


async def take(client: Client, key: Key) -> None:
    """Somebody else's Deployment."""
    labels = {"app": "other"}
    containers = [{"name": "other", "image": "example/other:1"}]
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    }
    head = {"namespace": key.namespace, "name": key.name}
    await client.create(DEPLOYMENTS, {"metadata": head, "spec": spec})


async def by_the_command(stage: Stage, scratch: Path) -> None:
    """The same as a process with the rights of somebody who may read Workspaces and no more."""
    limited = await reader(stage, "crash", scratch / "limited")
    code, said = await kaito("why", "workspace", "crash", "-n", "crash", "--kubeconfig", limited)
    assert code == 1
    assert "cause  Pod crash-" in said
    assert "last exit code was 1." in " ".join(said.split())
    assert "unseen You may not list pods in namespace crash" in said
    code, said = await kaito(
        "why", "early", "-n", "early", "-o", "json", "--kubeconfig", str(stage.kubeconfig)
    )
    assert (code, json.loads(said)["verdict"]) == (0, "ready")


async def reader(stage: Stage, namespace: str, file: Path) -> str:
    """A kubeconfig of somebody who may read the Workspaces of a namespace."""
    head = {"name": "reader", "namespace": namespace}
    await stage.client.create(ACCOUNTS, {"metadata": head})
    rule = {"apiGroups": ["kaito.sh"], "resources": ["workspaces"], "verbs": ["get"]}
    await stage.client.create(ROLES, {"metadata": head, "rules": [rule]})
    binding = {
        "metadata": head,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", **head}],
    }
    await stage.client.create(BINDINGS, binding)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/reader/token"
    call = Call(method="POST", path=path, headers=JSON, body=b'{"spec":{}}')
    token = msgspec.json.decode(await stage.client.send(call))["status"]["token"]
    ca = certificate_of(stage.kubeconfig).decode()
    file.write_text(kubeconfig.render(server=stage.config.server, ca_pem=ca, token=token))
    return str(file)


async def kaito(*arguments: str) -> tuple[int | None, str]:
    """Run the command; its exit code and standard output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kaito.cli", *arguments), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    return process.returncode, out.decode()
