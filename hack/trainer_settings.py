"""Builds kaito/catalog/data/trainer_settings.toml: what the trainer's settings are called.

    python -m hack.trainer_settings

The trainer (kaito/engine/tuning/keys.py) decides; the table is for those that run where it does
not, so that a slip is told before a node is paid for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from kaito.engine.tuning.keys import OLDER, REFUSED, SECTIONS

OUT = Path(__file__).parent.parent / "kaito/catalog/data/trainer_settings.toml"
HEADER = """\
# What may stand in training_config.yaml: read by kaito/catalog/trainer_settings.py.
#
# Made by hack/trainer_settings.py from the trainer's own tables; not to be edited. Below
# [SECTION.refused], * ends a beginning, and each has its reason.
"""
# Older names of settings, and one that is taken where it says that nothing is reported.
TAKEN = {"TrainingArguments": (*OLDER, "report_to")}


def table() -> str:
    """The text of the file."""
    return HEADER + "\n".join(_lines())


def _lines() -> Iterator[str]:
    for section, settings in SECTIONS.items():
        yield f"\n[{section}]\nsettings = ["
        yield from (f'    "{name}",' for name in sorted([*settings, *TAKEN.get(section, ())]))
        yield f"]\n\n[{section}.refused]"
        # A text of JSON is one of TOML, too.
        yield from (f'"{name}" = {json.dumps(why)}' for name, why in REFUSED[section].items())
    yield ""


if __name__ == "__main__":
    OUT.write_text(table(), "utf-8")
