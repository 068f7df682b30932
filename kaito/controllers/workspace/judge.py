"""What a Workspace is told when it is created or changed: all that is wrong, and warnings. Pure.

The webhook asks before the API server stores it, the controller after. Both ask the same. Objects
being deleted and changes of nothing that users write always pass: an upgrade of the rules must
never make an object undeletable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from kaito.api import labels
from kaito.api.rules import Problem, explain
from kaito.api.words import one_line
from kaito.api.workspace import Workspace
from kaito.api.workspace_rules import problems, update_problems
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace.objections import ANNOTATIONS, advice, objections
from kaito.controllers.workspace.parameters import Config
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

USERS = ("resource", "inference", "tuning")  # the parts that users write
READ = (*ANNOTATIONS, labels.BYPASS_RESOURCE_CHECKS)  # annotations that decide something
MESSAGE_LENGTH = 500  # characters of one problem; a path in it may be as long as its author likes
MOST = 20  # problems that one answer holds


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
    try:
        read = Workspace.model_validate(workspace)
    except ValidationError as error:
        return _judgement(explain(error))
    found = list(problems(workspace, new=old is None))
    if old is not None:
        found += update_problems(workspace, old)
    if found:
        return _judgement(iter(found))
    wrong = [
        Problem(path=each.path, message=each.message)
        for each in objections(read, catalog=catalog, settings=settings, config=config)
    ]
    said = [each.message for each in advice(read, catalog=catalog, settings=settings)]
    return _judgement(iter(wrong), tuple(said))


def written(workspace: Object) -> Object:
    """What users write of a Workspace and something follows from."""
    noted = workspace.get("metadata", {}).get("annotations")
    noted = noted if isinstance(noted, Mapping) else {}
    parts = {name: workspace[name] for name in USERS if workspace.get(name) is not None}
    return parts | {"annotations": {key: noted[key] for key in READ if key in noted}}


def _judgement(found: Iterator[Problem], warnings: tuple[str, ...] = ()) -> Judgement:
    bounded = [
        Problem(path=each.path, message=one_line(each.message, MESSAGE_LENGTH)) for each in found
    ]
    return Judgement(problems=tuple(bounded[:MOST]), warnings=warnings)
