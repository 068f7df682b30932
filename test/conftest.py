"""For all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from kaito.testing import plugin

# A slow machine is no failure.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
# Where rich is installed, structlog would show local variables: a minute for large ones.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_configure(config: pytest.Config) -> None:
    """An installed kit is loaded by its entry point; one from a checkout is loaded here."""
    if plugin not in config.pluginmanager.get_plugins():
        config.pluginmanager.register(plugin, plugin.__name__)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """How a command logs that a test calls in this process is forgotten when the test is over."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
