"""What config/webhook holds is what the daemon expects."""

from __future__ import annotations

from pathlib import Path

from kaito.api.manifest import render
from kaito.cli.parser import build_parser
from kaito.controllers.workspace.webhook import CONFIGURATION, SERVICE, installation

FILE = Path(__file__).parents[4] / "config" / "webhook" / "webhook.yaml"


def test_the_file_in_config_is_current() -> None:
    assert FILE.read_text() == render(installation()), "run make manifests"


def test_the_service_is_the_one_that_the_daemon_answers_for() -> None:
    service, configuration = installation()
    assert build_parser().parse_args(["manager"]).webhook_service == SERVICE
    assert service["metadata"]["name"] == SERVICE
    (webhook,) = configuration["webhooks"]
    assert webhook["name"] == configuration["metadata"]["name"] == CONFIGURATION
    assert webhook["clientConfig"]["service"]["name"] == SERVICE


def test_what_is_being_deleted_is_never_asked_about() -> None:
    (webhook,) = installation()[1]["webhooks"]
    assert "DELETE" not in webhook["rules"][0]["operations"]
    assert [c["expression"] for c in webhook["matchConditions"]] == [
        "!has(object.metadata.deletionTimestamp)"
    ]
