"""What is trained, and what tells it from another training. Pure.

A Job is one run. What makes another run is what its author changed: the part `tuning` of the
Workspace, and what its ConfigMap says. The image, the nodes and the wishes about them do not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from kaito.controllers.workspace.parameters import Config, Missing, config_hash
from kaito.controllers.workspace.revisions import content_of
from kaito.runtime import Object

DIGITS = 16  # of a hash


@dataclass(frozen=True, slots=True)
class Run:
    """Tells one run from another."""

    spec: str
    """Of what the Workspace says."""
    settings: str | None
    """Of what its ConfigMap says, "" for none; None where that cannot be known."""

    def __str__(self) -> str:
        return f"{self.spec}.{self.settings or ''}"

    def is_of(self, told: str) -> bool:
        """Whether this is the run that these words are about. A ConfigMap that has gone since
        changes nothing about what was trained with it."""
        if self.settings is None:
            return told.partition(".")[0] == self.spec
        return told == str(self)


def run_of(workspace: Object, config: Config | None) -> Run:
    """The run that a Workspace asks for now. RecursionError for one that nests without end."""
    text = json.dumps(content_of(workspace).get("tuning"), sort_keys=True, separators=(",", ":"))
    spec = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return Run(spec, None if isinstance(config, Missing) else config_hash(config))
