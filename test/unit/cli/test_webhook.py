"""What a daemon outside of a cluster leaves behind."""

from __future__ import annotations

from structlog.testing import capture_logs

from kaito.cli.webhook import _withdraw
from kaito.runtime import Client, ConnectionFailed
from kaito.testing import FakeApi, VirtualClock


async def test_a_server_that_is_gone_at_the_end_does_not_change_how_the_daemon_ends() -> None:
    api = FakeApi()
    api.fault = lambda call: ConnectionFailed("refused")
    with capture_logs() as logs:
        await _withdraw(Client(api, clock=VirtualClock()))
    assert [log["event"] for log in logs] == ["webhook left behind"]
    assert "kubectl delete validatingwebhookconfigurations" in logs[0]["hint"]
