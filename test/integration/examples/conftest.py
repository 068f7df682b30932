"""The examples as modules, `import labeler` as beside the files themselves, and the kit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kaito.testing import plugin

EXAMPLES = Path(__file__).parents[3] / "examples" / "runtime"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))


def pytest_configure(config: pytest.Config) -> None:
    """An installed kit is loaded by its entry point; one from a checkout is loaded here."""
    if plugin not in config.pluginmanager.get_plugins():
        config.pluginmanager.register(plugin, plugin.__name__)
