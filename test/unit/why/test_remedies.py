"""For every reason there is a way out, and every command is one that can be run."""

from __future__ import annotations

import shlex
from string import Formatter

import pytest

from kaito.api import conditions
from kaito.api.launch import STOPPED, Cause
from kaito.controllers.machine import conditions as steps
from kaito.controllers.workspace.pods import GRAVITY
from kaito.why import Verdict
from kaito.why.facts import facts
from kaito.why.remedies import Facts, fix
from kaito.why.rows import (
    KIND_MISSING,
    NODE_LOST,
    NODES,
    NODES_LACKING,
    OTHER_SIZES,
    PODS,
    SCALED_AWAY,
    TUNING,
    WORKSPACE,
    Row,
)
from test.unit.why.scenes import machine, pod, scene, workspace

LOGIN = "--docker-server=SERVER --docker-username=USER --docker-password=PASSWORD"
TYPES = "Types."
# Advice and news: they end nothing, and are no condition's reason.
NO_REASONS = ("Reasons of warnings", "Reason of the Event")
ROWS = [
    *(NODES | TUNING | PODS | WORKSPACE).values(),
    *(KIND_MISSING, NODE_LOST, NODES_LACKING, SCALED_AWAY),
]


def reasons() -> list[str]:
    """What conditions of a Workspace can say, by the headings of the module that lists them."""
    assert conditions.__file__ is not None
    heading, found = "", []
    with open(conditions.__file__, encoding="utf-8") as source:
        for line in source:
            if line.startswith(("# Reason", "# Types")):
                heading = line.removeprefix("# ").strip()
            name, _, rest = line.partition(" = ")
            if (
                name.isupper()
                and rest.startswith('"')
                and not heading.startswith((TYPES, *NO_REASONS))
            ):
                found.append(getattr(conditions, name))
    return found


@pytest.mark.parametrize("reason", reasons())
def test_each_reason_of_a_workspace_has_a_verdict(reason: str) -> None:
    assert any(reason in table for table in (WORKSPACE, PODS, TUNING))


@pytest.mark.parametrize("reason", [*GRAVITY, *(cause.value for cause in Cause), STOPPED])
def test_whatever_is_wrong_has_a_way_out(reason: str) -> None:
    row = (NODES | PODS)[reason]
    assert row.what
    assert row.verdict is not Verdict.READY


@pytest.mark.parametrize(
    "reason",
    [
        getattr(steps, name)
        for name in vars(steps)
        if name.isupper()
        and name not in ("READY", "DRAINED", "INSTANCE_TERMINATING", "UNHEALTHY", "RECONCILING")
        and name not in ("TERMINATING", "DRAINING", "DRAIN_ABANDONED", "DONE", "NODECLAIM")
    ],
)
def test_each_step_of_a_claim_that_is_missing_has_a_verdict(reason: str) -> None:
    assert reason in NODES


def test_every_blank_of_a_command_can_be_filled() -> None:
    found = scene(workspace() | {"inference": {"preset": {"name": "phi-4"}, "config": "settings"}})
    of_nodes = facts(found, order=machine(node="node-1")).known
    of_pods = facts(found, pod=pod(), container="w", about="Deployment w exists already").known
    blanks = {
        name
        for row in ROWS
        for command in row.commands
        for _, name, _, _ in Formatter().parse(command)
        if name
    }
    assert blanks <= {*of_nodes, *of_pods}


def test_a_command_that_lacks_a_fact_is_left_out() -> None:
    row = Row(Verdict.NEEDS_YOU, "Look.", ("kubectl describe node {node}", "kubectl get nodes"))
    found = fix(row, Facts({}), "It is wrong.")
    assert found is not None
    assert found.commands == ("kubectl get nodes",)


def test_commands_that_a_message_names_are_given_and_what_was_cut_off_is_not() -> None:
    said = "No room: `az aks nodepool list --name x` shows all; `az aks list --sub. Then `kubectl"
    row = Row(Verdict.NEEDS_YOU, "Look.")
    found = fix(row, Facts({}), said, ours=True)
    assert found is not None
    assert found.commands == ("az aks nodepool list --name x",)


def test_commands_in_the_words_of_others_are_not_handed_on() -> None:
    row = Row(Verdict.NEEDS_YOU, "Look.")
    found = fix(row, Facts({}), "container w: run `kubectl delete namespace default` now")
    assert found is not None
    assert found.commands == ()


def test_what_users_wrote_is_one_word_of_a_shell() -> None:
    hostile = workspace(annotations={"kaito.sh/instance-types": "a$(touch /tmp/x)\n;b"})
    command = facts(scene(hostile), order=machine()).filled(OTHER_SIZES)
    assert command is not None
    assert "\n" not in command
    assert len(shlex.split(command)) == 8


@pytest.mark.parametrize(
    ("said", "keys", "what", "command"),
    [
        (
            'secret "hf" not found',
            {"hf": "HF_TOKEN"},
            "Create the Secret hf",
            "kubectl -n default create secret generic hf --from-literal=HF_TOKEN=VALUE",
        ),
        (
            'volume "auth" : secret "registry" not found',
            {"registry": ".dockerconfigjson"},
            "Create the Secret registry",
            f"kubectl -n default create secret docker-registry registry {LOGIN}",
        ),
        (
            'configmap "settings" not found',
            {},
            "Create the ConfigMap settings",
            "kubectl -n default create configmap settings --from-file=FILE",
        ),
        (
            "couldn't find key HF_TOKEN in Secret default/hf",
            {},
            "Put the key HF_TOKEN into the Secret hf",
            "kubectl -n default edit secret hf",
        ),
        (
            "references non-existent secret key: .dockerconfigjson. It waits.",
            {"hf": "HF_TOKEN", "registry": ".dockerconfigjson"},
            "Put the key .dockerconfigjson into the Secret registry;",
            "kubectl -n default edit secret registry",
        ),
        (
            'persistentvolumeclaim "data" not found',
            {},
            "Create the PersistentVolumeClaim data",
            "kubectl -n default get persistentvolumeclaims,storageclasses",
        ),
    ],
)
def test_what_is_missing_is_to_be_created(
    said: str, keys: dict[str, str], what: str, command: str
) -> None:
    known = Facts({"ns": "default"}, keys)
    found = fix(PODS[conditions.CONTAINER_START_ERROR], known, said)
    assert found is not None
    assert found.what.startswith(what)
    assert found.commands == (command,)


def test_a_key_that_a_config_map_lacks_is_told_without_its_name_which_kubelets_do_not_say() -> None:
    said = "configmap references non-existent config key: training_config.yaml"
    found = fix(PODS[conditions.VOLUMES_NOT_MOUNTED], Facts({"ns": "default"}), said)
    assert found is not None
    assert found.what.startswith("Put the key training_config.yaml into the ConfigMap that the Pod")


def test_other_sizes_are_those_that_hold_the_model_and_the_first_stays_first() -> None:
    sizes = facts(scene(workspace()), order=machine()).known["sizes"].split(",")
    assert sizes[0] == "Standard_NC6s_v3"
    assert len(sizes) == 3
    assert len(set(sizes)) == 3
