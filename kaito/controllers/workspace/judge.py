"""What a Workspace is told when it is created or changed: all that is wrong, and warnings. Pure.

The webhook asks before the API server stores it, the controller after. Both ask the same. Objects
being deleted and changes of nothing that users write always pass: an upgrade of the rules must
never make an object undeletable. What was wrong before is not held against a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from kaito.api.rules import Problem, explain
from kaito.api.words import one_line
from kaito.api.workspace import Workspace
from kaito.api.workspace_rules import problems, update_problems
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace.annotations import ours
from kaito.controllers.workspace.objections import advice, objections
from kaito.controllers.workspace.parameters import Config, config_name
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

USERS = ("resource", "inference", "tuning")  # the parts that users write
MESSAGE_LENGTH = 500  # characters of one problem; a path in it may be as long as its author likes
MOST = 20  # problems that one answer tells
ROUNDS = 5  # of leaving out what does not fit: resource, its selector, and what they hide
_PLACE = re.compile(r"\[[0-9]+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is wrong, and what is only worth knowing."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def judge(
    workspace: Object,
    old: Object | None,
    *,
    catalog: Catalog,
    settings: Settings,
    config: Config | None = None,
) -> Judgement:
    """All that is wrong with a Workspace; `old` is what it was, None for a new one.

    `config` is the ConfigMap that it names, None when it was not looked at.
    """
    if workspace.get("metadata", {}).get("deletionTimestamp"):
        return Judgement()
    if old is not None and written(old) == written(workspace):
        return Judgement()
    read, found = _judged(workspace, old is None, catalog, settings, config)
    if old is not None:
        same = config if config_name(old) == config_name(workspace) else None
        _, before = _judged(old, False, catalog, settings, same)
        known = {_fault(each) for each in before}
        found = [each for each in found if _fault(each) not in known]
        found = [*update_problems(workspace, old), *found]
    said = advice(read, catalog=catalog, settings=settings, config=config) if read else ()
    return Judgement(problems=tuple(_bounded(found)), warnings=tuple(each.message for each in said))


def written(workspace: Object) -> Object:
    """What users write of a Workspace and something follows from."""
    noted = workspace.get("metadata", {}).get("annotations")
    parts = {name: workspace[name] for name in USERS if workspace.get(name) is not None}
    return parts | {"annotations": ours(noted) if isinstance(noted, Mapping) else {}}


def _judged(
    workspace: Object, new: bool, catalog: Catalog, settings: Settings, config: Config | None
) -> tuple[Workspace | None, list[Problem]]:
    """A Workspace as far as it can be read, and all that is wrong with it."""
    read, unfit = _read(workspace)
    broken = [
        each
        for each in problems(workspace, new=new)
        # What does not even have its type is told once.
        if not any(_within(each.path, told.path) for told in unfit)
    ]
    said = objections(read, catalog=catalog, settings=settings, config=config) if read else ()
    refused = [Problem(path=each.path, message=each.message) for each in said if not each.open]
    return read, [*unfit, *broken, *refused]


def _within(path: str, whole: str) -> bool:
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))


def _read(workspace: Object) -> tuple[Workspace | None, list[Problem]]:
    """A Workspace as far as it can be read, and what of it cannot: that is left out. None where
    too little is left."""
    told: list[Problem] = []
    wire = workspace
    for _ in range(ROUNDS):
        try:
            return Workspace.as_written(wire), told
        except ValidationError as error:
            told = told or [*explain(error)]
            wire = _without(wire, error)
    return None, told


def _without(workspace: Object, error: ValidationError) -> Object:
    """A Workspace without what does not fit; what must be there is there, and empty."""
    left = dict(workspace)
    faults: dict[tuple[str | int, ...], bool] = {}
    for detail in error.errors(include_url=False, include_input=False):
        place, missing = detail["loc"], detail["type"] == "missing"
        needed = missing and place[:-1] in ((), ("resource",))
        # What lacks a part goes as a whole.
        faults[place if needed or not missing else place[:-1]] = needed
    # From the end, so that the places in a list stay what they are.
    for (*way, last), needed in reversed(faults.items()):
        inner = _opened(left, way)
        if needed and isinstance(inner, dict):
            inner[last] = {}
        elif isinstance(inner, dict):
            inner.pop(last, None)
        elif isinstance(inner, list) and isinstance(last, int):
            del inner[last : last + 1]
    return left


# Any: a Workspace that does not fit has any shape.
def _opened(workspace: Object, way: Sequence[str | int]) -> Any:
    """What is at the end of a way into an object, copied on the way so that it can be written to;
    None when the way leads nowhere."""
    inner: Any = workspace
    for step in way:
        known = range(len(inner)) if isinstance(inner, list) else inner
        if step not in known or not isinstance(inner[step], dict | list):
            return None
        inner[step] = inner[step].copy()
        inner = inner[step]
    return inner


def _fault(problem: Problem) -> tuple[str, str]:
    """What is wrong wherever it stands in a list: its place moves when another item goes."""
    return _PLACE.sub("[]", problem.path), _PLACE.sub("[]", problem.message)


def _bounded(found: list[Problem]) -> Iterator[Problem]:
    for each in found[:MOST]:
        yield Problem(path=each.path, message=one_line(each.message, MESSAGE_LENGTH))
    if len(found) > MOST:
        yield Problem(path="", message=f"There are {len(found) - MOST} more problems like these.")
