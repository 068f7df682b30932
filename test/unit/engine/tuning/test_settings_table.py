"""What is told before a training starts is what the trainer itself takes and refuses."""

from __future__ import annotations

import pytest

from hack.trainer_settings import OUT, table
from kaito.catalog.trainer_settings import trainer_settings
from kaito.engine.tuning.keys import REFUSED, refusal


def test_the_table_of_settings_is_the_trainers() -> None:
    assert OUT.read_text("utf-8") == table(), "run python -m hack.trainer_settings"


@pytest.mark.parametrize("section", sorted(REFUSED))
def test_a_setting_is_refused_for_the_trainers_reason(section: str) -> None:
    names = [name.replace("*", "anything") for name in REFUSED[section]] + ["of_nobody"]
    known = trainer_settings()[section]
    assert [known.refusal(name) for name in names] == [refusal(section, name) for name in names]
