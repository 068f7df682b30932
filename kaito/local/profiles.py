"""Profiles by name, or from a file.

    base: azure          # demo (default), instant or azure
    scale: 0.02          # everything so many times as long
    image_pull: 900      # and these seconds instead, before they are scaled

A file is YAML or JSON; what may stand in it are the timings of Profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from kaito.local.profile import RATES, SECONDS, Profile

NAMES: Mapping[str, Callable[[], Profile]] = {
    "demo": Profile,
    "instant": lambda: Profile.instant(processes=True),
    "azure": Profile.azure,
}
TIMINGS = (*SECONDS, *RATES)


def find(name: str) -> Profile:
    """The profile of this name, else the one in the file of this name. ValueError with a sentence
    for people when there is neither, or the file says something else."""
    if name in NAMES:
        return NAMES[name]()
    path = Path(name)
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        known = ", ".join(NAMES)
        raise ValueError(
            f"{name}: no profile ({known}) and no file that can be read: {error.strerror}."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is neither YAML nor JSON: {error}") from None
    return read(content, name)


def read(content: Any, name: str) -> Profile:
    """The profile that a file of this name says. ValueError as above."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{name}: a profile is a mapping, such as {{scale: 0.1}}.")
    given = dict(content)
    base, scale = given.pop("base", "demo"), given.pop("scale", 1)
    if base not in NAMES:
        raise ValueError(f"{name}: base is {base!r}; it is one of {', '.join(NAMES)}.")
    for key, value in [("scale", scale), *given.items()]:
        if key != "scale" and key not in TIMINGS:
            raise ValueError(f"{name}: {key!r} is no timing; there are {', '.join(TIMINGS)}.")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise ValueError(f"{name}: {key} is {value!r}; it is a number of 0 or more.")
    if not scale:
        raise ValueError(f"{name}: scale is 0; take the profile `instant` for no time at all.")
    return replace(NAMES[base](), **given).scaled(scale)
