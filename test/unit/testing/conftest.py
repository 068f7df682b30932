"""The kit under test, loaded as a plugin."""

from __future__ import annotations

import pytest

from kaito.testing import plugin


def pytest_configure(config: pytest.Config) -> None:
    """An installed kit is loaded by its entry point; one from a checkout is loaded here."""
    if plugin not in config.pluginmanager.get_plugins():
        config.pluginmanager.register(plugin, plugin.__name__)
