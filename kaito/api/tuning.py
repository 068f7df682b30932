"""What the containers of a tuning agree on: names, exit codes, words of progress.

A container that ends badly says why twice: by its exit code, for programs, and by one sentence in
its termination message, for people. kaito.engine.endings has the same codes, and a test compares
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kaito.api import conditions

# Containers, in the order in which they run. Only the last is no init container.
DOWNLOADER = "data-downloader"
PULLER = "data-puller"
TRAINER = "trainer"
PUSHER = "pusher"

DATA = "/mnt/data"
CONFIG = "/mnt/config"
RESULTS = "/mnt/results"
"""Where results are put unless a ConfigMap says otherwise."""
# Outside of /mnt, below which a ConfigMap may choose a directory for results.
OUTPUT = "/kaito/output"
CHECKPOINTS = "/kaito/checkpoints"

CONFIG_VARIABLE = "KAITO_TRAINING_CONFIG"
"""The trainer's settings as text, where no ConfigMap is named."""

PROGRESS = "KAITO_TUNING "
"""How a line of the trainer's output begins that tells of its progress; JSON follows."""

METRICS_PORT = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One way in which a container ends badly."""

    code: int
    reason: str
    """Of the condition WorkspaceSucceeded."""
    final: bool
    """Whether trying again would change nothing."""
    sentence: str
    """What is told where the container left no message."""


ENDINGS: Mapping[int, Ending] = MappingProxyType(
    {
        code: Ending(code=code, reason=reason, final=final, sentence=sentence)
        for code, reason, final, sentence in (
            (10, conditions.DATASET_INVALID, True, "the data cannot be trained on"),
            (11, conditions.DATASET_TOO_LARGE, True, "there is more data than may be loaded"),
            (12, conditions.DATA_UNAVAILABLE, True, "the source of the data refuses it"),
            (13, conditions.ADDRESS_FORBIDDEN, True, "the data is at an address inside a network"),
            (14, conditions.DISK_FULL, True, "the disk is full"),
            (15, conditions.OUT_OF_MEMORY, True, "the memory does not suffice"),
            (16, conditions.MODEL_UNUSABLE, True, "the model cannot be loaded"),
            (17, conditions.PUSH_REFUSED, True, "the registry refuses the result"),
            (18, conditions.REGISTRY_UNAVAILABLE, False, "the registry does not answer"),
            (19, conditions.CONFIG_INVALID, True, "the settings cannot be used"),
            (20, conditions.ARTIFACT_INVALID, True, "the artifact is not what it should be"),
            (21, conditions.SOURCE_UNAVAILABLE, False, "the source of the data does not answer"),
            (22, conditions.NOT_ENOUGH_RESULT, True, "there is no result to store"),
        )
    }
)
"""By exit code; every other one is unexpected and tried again."""

FINAL_CODES = tuple(sorted(each.code for each in ENDINGS.values() if each.final))
