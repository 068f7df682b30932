"""`kaito why` fits a terminal, gives commands that can be copied, and says what it did not see."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api import crds
from kaito.cli import main
from kaito.cli.why import as_json, text
from kaito.controllers.kinds import NODES
from kaito.controllers.workspace.kinds import PODS, WORKSPACES
from kaito.controllers.workspace.order import ORDERS
from kaito.runtime import Client, Key, Object
from kaito.testing import Cluster, Faults
from kaito.why import Chain, Fix, Link, State, Verdict, read
from kaito.why.reading import MOST

NOW = 1_700_000_000.0
OWN: Object = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "metadata": {"name": "w", "namespace": "default"},
    "resource": {
        "instanceType": "Standard_NC24ads_A100_v4",
        "labelSelector": {"matchLabels": {"apps": "w"}},
    },
    "inference": {"preset": {"name": "phi-4"}},
}


def chain(**changes: Any) -> Chain:
    found: dict[str, Any] = {
        "key": Key("default", "w"),
        "now": NOW,
        "verdict": Verdict.NEEDS_YOU,
        "reason": "ImagePullError",
        "cause": "Pod w-0, container w, waits: ErrImagePull.",
        "since": NOW - 125.0,
        "fix": Fix(what="See that it is there.", commands=("kubectl -n default describe pod w-0",)),
        "links": (
            Link(
                kind="Workspace",
                name="w",
                namespace="default",
                state=State.FAILING,
                since=NOW - 3 * 3600.0,
                evidence="InferenceReady=False, ImagePullError",
                message="asks for phi-4",
            ),
            Link(kind="container", name="w", state=State.WAITING, evidence="waiting"),
        ),
        "unseen": ("You may not list events in namespace default: they are missing.",),
    }
    return Chain(**(found | changes))


def test_a_chain_is_told_from_the_request_to_the_cause_with_the_way_out() -> None:
    assert "\n".join(text(chain())) == (
        "Workspace w in default: needs-you, for 2 min\n"
        "\n"
        "cause  Pod w-0, container w, waits: ErrImagePull.\n"
        "fix    See that it is there.\n"
        "         $ kubectl -n default describe pod w-0\n"
        "\n"
        "FAILS  Workspace w                              2023-11-14T19:13:20Z  3 h ago\n"
        "       InferenceReady=False, ImagePullError\n"
        "       asks for phi-4\n"
        "waits  container w\n"
        "       waiting\n"
        "\n"
        "unseen You may not list events in namespace default: they are missing."
    )


def test_json_has_the_fields_that_are_documented() -> None:
    told = json.loads(json.dumps(as_json(chain())))
    page = (Path(__file__).parents[3] / "docs" / "why.md").read_text()
    fields = [*told, *(f"chain[].{name}" for name in told["chain"][0]), "fix.what", "fix.commands"]
    assert told["since"] == "2023-11-14T22:11:15Z"
    assert [each for each in fields if f"`{each}`" not in page] == []


@given(words=st.lists(st.text("ab-", min_size=1, max_size=30), min_size=1, max_size=20))
def test_every_sentence_fits_eighty_columns(words: list[str]) -> None:
    sentence = " ".join(words)
    told = text(chain(cause=sentence, unseen=(sentence,), fix=Fix(what=sentence)))
    assert all(len(line) <= 80 for line in told)


WORD = st.text("abc-/=.'\"<$ ", min_size=1, max_size=25)


@given(words=st.lists(WORD, min_size=1, max_size=15))
def test_a_command_is_the_same_to_a_shell_however_it_is_broken(words: list[str]) -> None:
    command = f"az {shlex.join(words)}"
    told = list(text(chain(fix=Fix(what="x", commands=(command,)), links=(), unseen=())))
    lines = [line for line in told[4:] if line]
    # As a shell reads it: a backslash before the end of a line takes both away.
    joined = "\n".join(lines).replace("$ ", "", 1).replace(" \\\n", " ")
    assert shlex.split(joined) == shlex.split(command)


@pytest.mark.parametrize("words", [["w"], ["workspace", "w"], ["workspace/w"], ["Workspaces", "w"]])
async def test_a_workspace_is_named_as_for_kubectl(
    words: list[str], kube: Cluster, kube_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await kube.install(*crds())
    async with kube.client() as client:
        await client.create(WORKSPACES, OWN)
    code = await asyncio.to_thread(main, ["why", *words, "--kubeconfig", str(kube_config)])
    told = capsys.readouterr().out
    assert code == 1
    assert told.startswith("Workspace w in default: needs-you")
    assert "The manager, which looks after Workspaces, is not running" in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pod", "w"], 2, "kaito why tells of Workspaces alone"),
        (["w"], 1, "There is no Workspace w in namespace default"),
    ],
)
async def test_what_cannot_be_told_of_is_one_line(
    words: list[str],
    code: int,
    said: str,
    kube: Cluster,
    kube_config: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await kube.install(*crds())
    found = await asyncio.to_thread(main, ["why", *words, "--kubeconfig", str(kube_config)])
    told = capsys.readouterr().err
    assert (found, told.count("\n")) == (code, 1)
    assert said in told


async def test_a_cluster_without_the_kind_is_told_how_to_get_it(
    kube_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await asyncio.to_thread(main, ["why", "w", "--kubeconfig", str(kube_config)])
    told = capsys.readouterr().out
    assert code == 1
    assert "The API server has no Workspace (kaito.sh/v1beta1)" in told
    assert "$ kaito crds | kubectl apply --server-side -f -" in told


async def test_a_workspace_that_may_not_be_read_is_said(
    kube: Cluster,
    kube_config: Path,
    kube_faults: Faults,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await kube.install(*crds())
    kube_faults.on("get", WORKSPACES, times=None).fails(403)
    code = await asyncio.to_thread(main, ["why", "w", "--kubeconfig", str(kube_config)])
    assert code == 1
    assert "You may not read Workspace w in namespace default" in capsys.readouterr().err


async def test_what_may_not_be_read_is_said_and_the_rest_is_told(
    kube: Cluster, kube_client: Client, kube_faults: Faults
) -> None:
    await kube.install(*(each for each in crds() if each["spec"]["names"]["kind"] != "Machine"))
    await kube_client.create(WORKSPACES, OWN | {"metadata": OWN["metadata"]})
    kube_faults.on("list", PODS, times=None).fails(403)
    kube_faults.on("list", ORDERS["NodeClaim"], times=None).fails(500)
    seen = await read(kube_client, Key("default", "w"), now=NOW)
    assert "You may not list pods in namespace default: what they would tell is missing." in (
        seen.unseen
    )
    assert "Of nodeclaims nothing is known: 500 InternalError: InternalError, said the test" in (
        " ".join(seen.unseen)
    )
    assert "The API server has no Machine (karpenter.sh/v1alpha5)." in seen.unseen
    assert seen.absent >= {"Machine"}
    assert seen.leases == {"kaito-workspace": None, "kaito-provisioner": None}


async def test_of_many_pods_only_so_many_are_looked_at(kube: Cluster, kube_client: Client) -> None:
    await kube.install(*crds())
    made = await kube_client.create(WORKSPACES, OWN)
    labels = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"}
    spec = {"containers": [{"name": "w", "image": "example/engine:1"}], "nodeName": "node"}
    for number in range(MOST + 5):
        head = {"name": f"w-{number}", "namespace": "default", "labels": labels}
        await kube_client.create(PODS, {"metadata": head, "spec": spec})
    counted = kube.faults.on(resource=NODES, times=None).fails(403)
    seen = await read(kube_client, Key.of(made), now=NOW)
    assert len(seen.pods) == MOST
    assert len(seen.events) <= 8
    assert counted.seen == 1
