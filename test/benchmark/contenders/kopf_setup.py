"""What a careful user of kopf switches off: events about itself, and watching the definitions.

The login reads the kubeconfig with PyYAML alone, the leanest of those that kopf has.
"""

from __future__ import annotations

from typing import Any

import kopf


@kopf.on.login()
def login(**context: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**context)


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False
    settings.scanning.disabled = True
