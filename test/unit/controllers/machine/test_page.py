"""The page about the provisioner tells every reason, and names only tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from kaito.api.launch import Cause
from kaito.cli.parser import build_parser
from kaito.controllers.machine import conditions
from kaito.provisioner.claim import DIALECTS

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/provisioner.md").read_text()
TESTS = [
    "test/unit/controllers/machine",
    "test/unit/provisioner",
    "test/integration/provisioner",
]


def test_every_reason_is_explained() -> None:
    types = {conditions.READY, conditions.DRAINED, conditions.INSTANCE_TERMINATING}
    reasons = {
        value
        for name, value in vars(conditions).items()
        if name.isupper() and isinstance(value, str) and value not in types
    }
    reasons |= {
        reason
        for dialect in DIALECTS.values()
        for reason in (dialect.not_launched, dialect.not_registered)
    }
    reasons |= set(Cause)
    explained = set(re.findall(r"`(\w+)`", PAGE))
    assert reasons <= explained


def test_every_test_that_it_names_exists() -> None:
    files = [path for folder in TESTS for path in (ROOT / folder).rglob("test_*.py")]
    known = {path.name for path in files}
    for path in files:
        known |= set(re.findall(r"def (test_\w+)\(", path.read_text()))
    named = re.findall(r"`(test_\w+(?:\.py)?)[`\[]", PAGE)
    assert named
    assert set(named) <= known


def test_every_flag_of_its_own_is_explained() -> None:
    own = {"--expire", "--repair", "--drain-seconds", "--making-seconds", "--joining-seconds"}
    taken = vars(build_parser().parse_args(["provisioner"]))
    assert {flag[2:].replace("-", "_") for flag in own} <= set(taken)
    assert own <= set(re.findall(r"`(--[\w-]+)", PAGE))
