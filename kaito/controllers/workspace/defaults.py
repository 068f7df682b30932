"""The settings of a training whose Workspace names no ConfigMap."""

from __future__ import annotations

from functools import cache
from importlib import resources

from kaito.api.workspace_rules import METHODS


@cache
def default_parameters(method: str) -> str:
    """The text that a ConfigMap would hold, for this method in any case of letters.

    ValueError for what is no method.
    """
    if method.lower() not in METHODS:
        raise ValueError(f"{method!r} is no method of tuning")
    name = f"{method.lower()}_params_template.yaml"
    return (resources.files("kaito.catalog") / "data" / name).read_text(encoding="utf-8")
