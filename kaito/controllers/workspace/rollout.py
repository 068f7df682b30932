"""Which revision of a Workspace is to run, and how an edit comes to serve or is undone. Pure.

A revision that was never served, while an earlier one was, is being tried. The time that it has is
counted while its nodes are ready and somebody wants replicas of it, for no revision is to blame
for a node or for being switched off. One that does not answer
in its time is undone: the last one that did runs again, until the content changes. The first one
is never undone, for there is nothing to go back to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kaito.api.workspace_rules import update_problems
from kaito.controllers.workspace.kinds import STATEFUL_SETS
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.parameters import Config, config_hash
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.revisions import (
    Revision,
    Undone,
    content_of,
    declared,
    history,
    last_good,
    restored,
    seconds_since,
)
from kaito.runtime import Object, find_condition, rfc3339

# What the deployment controller says of a rollout that has made no progress for its deadline.
STALLED = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where a Workspace stands between its revisions."""

    declared: Revision
    """What its author asks for."""
    good: Revision | None
    """The last other one that answered."""
    known: tuple[Revision, ...] = ()
    """Those that are written down, in order of number."""
    refusal: Refusal | None = None
    """Why the declared one cannot be."""

    @property
    def back(self) -> Revision | None:
        """The revision that runs in the place of the declared one; None when that one does."""
        stays = self.declared.undone is not None or self.refusal is not None
        return self.good if stays else None

    @property
    def trying(self) -> bool:
        """Whether the declared one may still turn out not to work, and there is a way back."""
        return not self.declared.served and self.back is None and self.good is not None


def course(observation: Observation) -> Course:
    """Where this Workspace stands."""
    subject = Subject(observation.workspace)
    known = history(subject, observation.revisions)
    chosen = declared(subject, content_of(observation.workspace), known)
    if chosen.undone is not None and chosen.undone.config != config_hash(observation.config):
        # What failed with one ConfigMap may work with another.
        chosen = replace(chosen, undone=None, tried_since="")
    good = last_good(known, but=chosen)
    if good is not None and _changes_what_stays(observation.workspace, good):
        good = None  # nobody but a forger can have written that
    return Course(declared=chosen, good=good, known=known)


def way_back(observation: Observation) -> Revision | None:
    """The revision that runs in the place of the declared one, or may soon; None when none does."""
    try:
        way = course(observation)
    except RecursionError:
        return None  # nested deeper than what can be read, of which the rules tell
    return way.good if way.back is not None or way.trying else None


def refused(observation: Observation, refusal: Refusal) -> Course | None:
    """The course where an edit cannot be and an earlier revision serves on; None where there is
    none, and where what is declared has served itself: that is left as it runs."""
    try:
        way = course(observation)
    except RecursionError:
        return None  # as in way_back
    return replace(way, refusal=refusal) if way.back is not None or way.trying else None


def turned_back(observation: Observation, to: Revision) -> Observation:
    """What is seen, with another revision in the place of the declared one."""
    workspace = restored(observation.workspace, to.content)
    return replace(observation, workspace=workspace, config=observation.good_config)


def went_on(way: Course, *, answers: bool, may_start: bool, now: float) -> Course:
    """The course after what is seen now: whether the declared revision answers, and whether
    anything but itself keeps it from that."""
    chosen = way.declared
    if way.back is not None:
        return way
    if answers or chosen.served:
        served = chosen.served or rfc3339(now)
        return replace(way, declared=replace(chosen, served=served, tried_since=""))
    since = chosen.tried_since or rfc3339(now)
    return replace(
        way, declared=replace(chosen, tried_since=since if way.trying and may_start else "")
    )


def seconds_left(way: Course, deadline: float, now: float) -> float | None:
    """How long the revision that is being tried has still; None when its time does not run."""
    if not way.trying or not way.declared.tried_since:
        return None
    return deadline - seconds_since(way.declared.tried_since, now)


def switched_off(workload: Object | None) -> bool:
    """Whether somebody has scaled a workload to nothing."""
    return workload is not None and (workload.get("spec") or {}).get("replicas") == 0


def stalled(workload: Object | None) -> bool:
    """Whether a workload makes no progress. A StatefulSet does not tell: its Pods start together,
    so the time that all of them have is what each has."""
    if workload is None:
        return False
    if workload.get("kind") == STATEFUL_SETS.kind:
        return True
    status = workload.get("status") or {}
    seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    progressing = find_condition(status.get("conditions") or [], "Progressing") or {}
    return seen and progressing.get("reason") == STALLED


def undone(way: Course, *, reason: str, message: str, config: Config | None) -> Course:
    """The course once the declared revision has had its time."""
    why = Undone(reason=reason, message=message, config=config_hash(config))
    return replace(way, declared=replace(way.declared, undone=why, tried_since=""))


def _changes_what_stays(workspace: Object, revision: Revision) -> bool:
    """Whether a revision holds other values of what can never be changed, such as node sizes."""
    return any(update_problems(restored(workspace, revision.content), workspace))
