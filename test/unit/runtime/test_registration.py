"""What a process leaves behind where the server does not let it tidy up."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from kaito.runtime import Call, Client, ConnectionFailed, Object, Reply
from kaito.runtime.authority import VALIDATING
from kaito.runtime.conflicts import TRIES
from kaito.runtime.registration import (
    CHECK_SECONDS,
    UNTRUSTED_SECONDS,
    Registration,
    keep,
)
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

WANTED: Object = {
    "apiVersion": VALIDATING.api_version,
    "kind": VALIDATING.kind,
    "metadata": {"name": "colours"},
    "webhooks": [{"name": "c", "clientConfig": {"url": "https://127.0.0.1:1001"}}],
}


class Looked:
    """An upkeep that is unready at every other look."""

    def __init__(self) -> None:
        self.looks = 0

    def unready(self) -> str:
        return "no" if self.looks % 2 else ""

    async def ensure(self) -> None:
        self.looks += 1

    def looked(self, times: int) -> bool:
        return self.looks == times


@pytest.fixture
def registration(client: Client, clock: VirtualClock) -> Registration:
    return Registration(client, VALIDATING, "colours", lambda: WANTED, Looked(), clock=clock)


async def test_a_server_that_is_gone_at_the_end_does_not_change_how_the_process_ends(
    api: FakeApi, clock: VirtualClock, registration: Registration
) -> None:
    await registration.ensure()
    api.fault = lambda call: ConnectionFailed("refused")
    with capture_logs() as logs:
        withdrawing = asyncio.create_task(registration.withdraw())
        await clock.run_until(withdrawing.done)
    assert [log["event"] for log in logs] == ["webhook left behind"]
    assert logs[0]["hint"] == "kubectl delete validatingwebhookconfigurations colours"


@pytest.mark.parametrize(("conflicts", "gone"), [(1, True), (TRIES, False)])
async def test_a_configuration_written_meanwhile_is_looked_at_again(
    api: FakeApi, clock: VirtualClock, registration: Registration, conflicts: int, gone: bool
) -> None:
    await registration.ensure()
    left = iter(range(conflicts))

    def fault(call: Call) -> Reply | None:
        if call.method == "DELETE" and next(left, None) is not None:
            return ScriptedReply.refusal(409, "Conflict", "somebody wrote first")
        return None

    api.fault = fault
    withdrawing = asyncio.create_task(registration.withdraw())
    await clock.run_until(withdrawing.done)
    assert (api.object(VALIDATING, "colours") is None) is gone


async def test_one_that_another_takes_over_at_the_last_moment_is_left_to_it(
    api: FakeApi, clock: VirtualClock, registration: Registration
) -> None:
    await registration.ensure()
    theirs = [{"name": "c", "clientConfig": {"url": "https://127.0.0.1:1002"}}]

    def fault(call: Call) -> None:
        if call.method == "DELETE":
            api.put(VALIDATING, "colours", webhooks=theirs)

    api.fault = fault
    withdrawing = asyncio.create_task(registration.withdraw())
    await clock.run_until(withdrawing.done)
    assert (api.object(VALIDATING, "colours") or {})["webhooks"] == theirs


async def test_a_server_that_refuses_is_told_of_once_and_asked_again(
    api: FakeApi, registration: Registration
) -> None:
    api.fault = lambda call: ScriptedReply.refusal(403, "Forbidden", "no role")
    with capture_logs() as logs:
        await registration.ensure()
        await registration.ensure()
    assert [log["event"] for log in logs] == ["webhook not asked"]
    assert "no role" in registration.unready()
    api.fault = None
    await registration.ensure()
    assert "no role" not in registration.unready()


async def test_what_is_not_well_is_looked_at_more_often(clock: VirtualClock) -> None:
    upkeep = Looked()
    keeping = asyncio.create_task(keep(upkeep, clock))
    waits = [await clock.run_until(partial(upkeep.looked, times)) for times in (1, 2, 3)]
    assert waits == [0, UNTRUSTED_SECONDS, CHECK_SECONDS]
    keeping.cancel()
    await asyncio.wait([keeping])
