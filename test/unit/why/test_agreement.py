"""What the manager decides to say and what is explained of it agree: one cause, one wording."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.api import conditions as c
from kaito.api.launch import Cause
from kaito.api.machine import LAUNCHED
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.runtime import Object, find_condition, rfc3339
from kaito.why import Chain, Verdict, explain
from kaito.why.scene import Scene
from test.unit.controllers.workspace.scene import (
    NOW,
    after,
    decided,
    held,
    machine,
    own_node,
    ready_machine,
    seen,
    workspace,
)
from test.unit.why.scenes import lease


def explained(observation: Observation) -> tuple[Object, Chain]:
    """The status that the manager writes, and what is explained once it stands there."""
    written = after(observation, decided(observation))
    status = written.workspace["status"]
    leases = {name: lease(0.0) for name in ("kaito-workspace", "kaito-provisioner")}
    children = (written.deployment, written.stateful_set)
    scene = Scene(
        workspace=written.workspace,
        now=written.now,
        orders=written.orders,
        workloads=tuple(each for each in children if each is not None),
        pods=written.pods,
        leases=leases,
    )
    return status, explain(scene)


def refused(cause: Cause) -> Order:
    """A Machine that the cloud refused."""
    said = f"Azure did not make agent pool x: {cause.value}."
    wire = machine(**{LAUNCHED: ("False", said)}).model_dump(by_alias=True)
    told = {
        "type": LAUNCHED,
        "status": "False",
        "reason": cause.value,
        "message": said,
        "lastTransitionTime": rfc3339(NOW - 5.0),
    }
    wire["status"]["conditions"] = [told]
    return ORDERS["Machine"].model.model_validate(wire)


def pod(state: Object, last: Object | None = None) -> Object:
    """A Pod whose container is in this state."""
    container = {"name": "w", "ready": False, "state": state, "lastState": last or {}}
    return {
        "kind": "Pod",
        "metadata": {"name": "w-1", "namespace": "default", "uid": "u"},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Pending", "containerStatuses": [container]},
    }


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def deployed(found: Object) -> Observation:
    """A Workspace whose nodes are there and whose Pod is this one."""
    begun = seen(held(), orders=(ready_machine(),), nodes=(own_node(),))
    begun = after(begun, decided(begun))
    return replace(begun, pods=(found,))


SCENES = {
    **{f"refused: {cause}": seen(held(), orders=(refused(cause),)) for cause in Cause},
    "an unknown preset": seen(held(inference={"preset": {"name": "phi-9"}})),
    "a model that does not fit": seen(held(inference={"preset": {"name": "deepseek-r1-0528"}})),
    "an unknown size": seen(held(resource={"instanceType": "Standrad_NC6s_v3"})),
    "no nodes of one's own": seen(held(resource={"instanceType": ""})),
    "an image that is not there": deployed(pod(waiting("ErrImagePull", "not found"))),
    "a Secret that is not there": deployed(
        pod(waiting("CreateContainerConfigError", 'secret "hf" not found'))
    ),
    "a crash": deployed(pod(waiting("CrashLoopBackOff"), {"terminated": {"exitCode": 1}})),
    "out of memory": deployed(
        pod(waiting("CrashLoopBackOff"), {"terminated": {"reason": "OOMKilled", "exitCode": 137}})
    ),
    "a start": deployed(pod({"running": {}})),
    "a request": seen(workspace()),
}


@pytest.mark.parametrize("name", SCENES)
def test_the_cause_is_the_message_of_the_condition(name: str) -> None:
    status, chain = explained(SCENES[name])
    whole = find_condition(status["conditions"], c.WORKSPACE_READY)
    assert whole is not None
    unanswered = chain.reason == "Unnoticed"
    assert chain.cause == whole["message"] or unanswered


@pytest.mark.parametrize("name", SCENES)
def test_whose_turn_it_is_is_what_the_state_says(name: str) -> None:
    status, chain = explained(SCENES[name])
    somebodys = chain.verdict in (Verdict.NEEDS_YOU, Verdict.HOPELESS)
    # That nodes have to be brought is no failure: they may come at any time.
    assert somebodys == (status["state"] == "Failed") or name == "no nodes of one's own"


@pytest.mark.parametrize("name", SCENES)
def test_whatever_is_not_fine_has_a_way_out(name: str) -> None:
    _, chain = explained(SCENES[name])
    assert chain.verdict.fine or chain.fix is not None
