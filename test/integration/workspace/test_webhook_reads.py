"""The one ConfigMap that the webhook reads: when, for how long, and what is said when it cannot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from kaito.catalog.catalog import load
from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.webhook import READ_SECONDS, READS, WorkspaceWebhook
from kaito.runtime import (
    Call,
    CallTimedOut,
    Client,
    Denied,
    Key,
    Metrics,
    Object,
    Reply,
    Review,
)
from kaito.testing import CapturedMetrics, FakeApi, ScriptedReply, VirtualClock
from test.integration.workspace.wrong import SERVE, Wrong

PLAIN = SERVE
NAMING = Wrong({"inference.config": "c"}, "", "").manifest
NAMING_ANOTHER = Wrong({"inference.config": "d"}, "", "").manifest
GOOD, BAD = "vllm: {max-model-len: 2048}", "vllm: {max-model-len: many}"


def review(new: Object | None, old: Object | None = None, **fields: Any) -> Review:
    asked: dict[str, Any] = {
        "uid": "u",
        "operation": "UPDATE" if old else "CREATE",
        "group": "kaito.sh",
        "version": "v1beta1",
        "plural": "workspaces",
        "subresource": "",
        "kind": "Workspace",
        "key": Key("default", "w"),
        "object": new,
        "old": old,
        "user": "ann",
        "groups": (),
        "dry_run": False,
    }
    return Review(**{**asked, **fields})


class Scene:
    """A webhook before a server that does what a test tells it to, on a clock of its own."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.clock = VirtualClock()
        metrics = Metrics()
        self.metrics = CapturedMetrics(metrics)
        self.webhook = WorkspaceWebhook(
            Client(self.api, clock=self.clock),
            load(),
            Settings(),
            metrics=metrics,
            clock=self.clock,
        )
        self.configure(GOOD)

    def configure(self, text: str) -> None:
        for name in "cd":
            self.api.put(CONFIG_MAPS, name, "default", data={"inference_config.yaml": text})

    def ask(self, review: Review) -> asyncio.Task[Any]:
        return asyncio.create_task(self.webhook.validate(review))

    def outcomes(self) -> dict[str, float]:
        """What became of the reads, by outcome."""
        name = "kaito_webhook_config_reads_total"
        found = {
            outcome: self.metrics.value(name, outcome=outcome)
            for outcome in ("read", "missing", "failed", "late", "busy")
        }
        return {outcome: times for outcome, times in found.items() if times}


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(
    ("new", "old", "reads"),
    [
        (PLAIN, None, 0),
        (NAMING, None, 1),
        (NAMING, PLAIN, 1),
        (NAMING_ANOTHER, NAMING, 1),
        (NAMING, NAMING, 0),
        (PLAIN, NAMING, 0),
    ],
)
async def test_it_is_read_once_where_its_name_is_news(
    scene: Scene, new: Object, old: Object | None, reads: int
) -> None:
    await scene.webhook.validate(review(new, old))
    assert [call.method for call in scene.api.calls] == ["GET"] * reads


async def test_an_edit_of_something_else_does_not_read_it(scene: Scene) -> None:
    other = Wrong({"inference.config": "c", "resource.count": 2}, "", "").manifest
    with pytest.raises(Denied):
        await scene.webhook.validate(review(other, NAMING))
    assert scene.api.calls == []


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
async def test_only_what_is_stored_is_judged(scene: Scene, operation: str) -> None:
    options: Object = {"kind": "PodExecOptions", "inference": {"config": "c"}}
    assert await scene.webhook.validate(review(options, operation=operation)) == ()
    assert scene.api.calls == []


@pytest.mark.parametrize("metadata", [None, [], "w"])
async def test_metadata_that_are_no_map_are_refused(scene: Scene, metadata: object) -> None:
    with pytest.raises(Denied, match="metadata must be a map"):
        await scene.webhook.validate(review({**PLAIN, "metadata": metadata}))


async def test_what_is_wrong_in_it_is_refused(scene: Scene) -> None:
    scene.configure(BAD)
    with pytest.raises(Denied, match=r"vllm\.max-model-len"):
        await scene.webhook.validate(review(NAMING))
    assert scene.outcomes() == {"read": 1}


async def test_one_that_is_not_there_is_said_to_be_missing(scene: Scene) -> None:
    scene.api.remove(CONFIG_MAPS, "c", "default")
    with pytest.raises(Denied, match="c"):
        await scene.webhook.validate(review(NAMING))
    assert scene.outcomes() == {"missing": 1}


@pytest.mark.parametrize("name", ["../x", "a/b", "..", "a?b"])
async def test_a_name_that_leads_elsewhere_is_never_asked_for(scene: Scene, name: str) -> None:
    with pytest.raises(Denied, match=r"inference\.config"):
        await scene.webhook.validate(review(Wrong({"inference.config": name}, "", "").manifest))
    assert scene.api.calls == []


async def test_a_server_that_hangs_is_waited_for_a_second_and_the_user_is_warned(
    scene: Scene,
) -> None:
    scene.api.hang = lambda call: True
    asking = scene.ask(review(NAMING))
    with capture_logs() as logs:
        assert await scene.clock.run_until(asking.done) == READ_SECONDS
    assert asking.result() == ("ConfigMap c was not looked at: it was not read within 1 s.",)
    assert [(log["event"], log["key"]) for log in logs] == [("config not read", "default/c")]
    assert scene.outcomes() == {"late": 1}


@pytest.mark.parametrize("failure", ["refuses", "times out"])
async def test_a_server_that_does_not_tell_is_no_reason_to_refuse(
    scene: Scene, failure: str
) -> None:
    def fault(call: Call) -> Reply | Exception:
        if failure == "refuses":
            return ScriptedReply.refusal(403, "Forbidden", "hunter2 has no role")
        return CallTimedOut("hunter2 is asleep")

    scene.api.fault = fault
    asking = scene.ask(review(NAMING))
    with capture_logs() as logs:
        await scene.clock.run_until(asking.done)
    (warning,) = asking.result()
    assert warning.startswith("ConfigMap c was not looked at: ")
    assert "hunter2" not in warning, "what servers say to us is for the log"
    assert [log["event"] for log in logs] == ["config not read"]


async def test_few_are_read_at_a_time_and_who_comes_then_is_told(scene: Scene) -> None:
    scene.api.hang = lambda call: True
    asking = [scene.ask(review(NAMING)) for _ in range(READS)]
    await scene.clock.settle()
    assert await scene.webhook.validate(review(NAMING)) == (
        f"ConfigMap c was not looked at: {READS} others are being read.",
    )
    assert len(scene.api.calls) == READS
    await scene.clock.run_until(lambda: all(task.done() for task in asking))
    scene.api.hang = None
    assert await scene.webhook.validate(review(NAMING)) == ()
    assert scene.outcomes() == {"late": READS, "busy": 1, "read": 1}


async def test_a_path_in_a_refusal_is_one_short_line(scene: Scene) -> None:
    evil = "\x1b[2Jx\n* all is well: " + "y" * 5000
    labels = {"resource.labelSelector": {"matchLabels": {evil: "b c"}}}
    with pytest.raises(Denied) as refused:
        await scene.webhook.validate(review(Wrong(labels, "", "").manifest))
    for cause in refused.value.causes:
        assert cause.field.isprintable()
        assert cause.message.isprintable()
        assert len(cause.field) <= 200
