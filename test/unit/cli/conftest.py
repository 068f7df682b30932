"""The command, called as its users call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from kaito.cli import main

Answer: TypeAlias = "tuple[int, str, str]"
"""Exit code, standard output, standard error."""
Ask: TypeAlias = Callable[..., Answer]


@pytest.fixture
def kaito(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs `kaito` with these arguments."""

    def asked(*arguments: str) -> Answer:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return asked
