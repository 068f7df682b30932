"""What is to be done about a Workspace that tunes a model. Pure.

A run is one Job: it is made when its nodes are ready, never changed, and deleted when its author
asks for another. When it has ended its nodes go, because they cost money; how it ended is written
into its revision first, for its Pods go with its nodes, and nothing that ended well is ever begun
again by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kaito.api import conditions, labels, tuning
from kaito.api.conditions import State
from kaito.api.words import listed
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace.crew import made_nodes
from kaito.controllers.workspace.decision import Decision, Deletion, Finalizer
from kaito.controllers.workspace.deployment import HASH
from kaito.controllers.workspace.details import details
from kaito.controllers.workspace.ended import containers, ended, is_over, pods_of, worn_out
from kaito.controllers.workspace.job import PLACE_HASH, desired_claim, desired_job
from kaito.controllers.workspace.judgement import Verdict, obstructed, stuck
from kaito.controllers.workspace.kinds import CLAIMS, JOBS
from kaito.controllers.workspace.leaving import belongings, order_deletions
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.revisions import (
    Ended,
    Revision,
    content_of,
    declared,
    forgotten,
    history,
    record,
)
from kaito.controllers.workspace.run import Run, run_of
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.started import (
    busy,
    current,
    look_again,
    pending,
    started,
)
from kaito.controllers.workspace.status import events, status, summary
from kaito.controllers.workspace.supply import Supply, soonest, supply
from kaito.controllers.workspace.trained import trained
from kaito.runtime import Key, Object

PROGRESS_SECONDS = 10.0  # between two looks at what the trainer says
OBSTACLE_SECONDS = 60.0  # somebody else's object with our name is not watched


def past(observation: Observation) -> Ended | None:
    """How the run that is asked for ended; None while it has not."""
    subject, job = Subject(observation.workspace), _job(observation)
    try:
        run = run_of(observation.workspace, observation.config)
    except RecursionError:
        return None  # nested deeper than what can be read, of which the rules tell
    known = history(subject, observation.revisions)
    last = _last(known)
    if job is not None and not _deleting(job) and run.is_of(_noted(job, HASH)):
        return _end_of(job, observation, last)
    # What merely failed is tried again once its Job has been deleted.
    stays = last is not None and (last.good or last.reason == conditions.EVICTED_TOO_OFTEN)
    if last is None or not stays or not run.is_of(last.run):
        return None
    # Another run has been asked for since, and may have stored its result in the same place.
    return None if job is not None and _stores(pods_of(job, observation.pods)) else last


def rest(observation: Observation, end: Ended, catalog: Catalog, settings: Settings) -> Decision:
    """What is to be done once the run has ended: let the nodes go, and say how it ended."""
    subject, job = Subject(observation.workspace), _job(observation)
    revision = _declared(observation)
    told = revision.ended == end
    done = Verdict(truth="True", reason=conditions.SUCCEEDED, message=_success(end))
    failure = Verdict(truth="False", reason=end.reason, message=end.message, final=True)
    whole = done if end.good else failure
    begun = replace(whole, reason=conditions.JOB_HAS_STARTED if end.good else conditions.JOB_FAILED)
    kept = _keeps_nodes(observation)
    verdicts = {
        conditions.RESOURCE_READY: _let_go(observation, kept),
        conditions.JOB_STARTED: begun,
        conditions.WORKSPACE_READY: whole,
        conditions.WORKSPACE_SUCCEEDED: whole,
    }
    mine = pods_of(job, observation.pods) if job is not None else []
    # The Job of a run that was asked for in between, and taken back.
    superseded = job is not None and not _is_of(job, end)
    before = {} if superseded else _told(subject)
    of_job = None if superseded else job
    said = status(
        observation,
        verdicts,
        state="Succeeded" if end.good else "Failed",
        worker_nodes=sorted(_there(observation)) if kept else (),
        target_node_count=1,
        details=details(observation, None, None, catalog, settings),
        training=trained(before, of_job, mine, observation.progress, end),
    )
    if told and "phases" in subject.status:
        # What they follow from goes with the nodes.
        said["phases"] = subject.status["phases"]
    known = history(subject, observation.revisions)
    deletions = [] if kept else order_deletions(observation.orders)
    over = superseded or end.reason == conditions.EVICTED_TOO_OFTEN
    if over and job is not None and not _deleting(job):
        deletions.append(_deletion(job))
    if end.good:
        # What was reached on the way is worth nothing any more, and its disk costs money.
        deletions += [each for each in belongings(observation, ()) if each.resource == CLAIMS]
    served = revision.served or (end.at if end.good else "")
    return Decision(
        finalizer=Finalizer.KEEP if subject.held else Finalizer.ADD,
        revision=record(subject, replace(revision, served=served, ended=end)),
        deletions=(*forgotten(subject, known, [revision]), *deletions),
        status=said,
        events=events(observation, said),
        announces=not told,
    )


def let_go(observation: Observation, decision: Decision) -> Decision:
    """What is decided where the run that is asked for cannot be: the nodes of one before, which has
    ended, go all the same. How it ended is kept, for its author may come back to it."""
    subject, job = Subject(observation.workspace), _job(observation)
    known = history(subject, observation.revisions)
    end = _end_of(job, observation, _last(known)) if job is not None else None
    if end is None or _keeps_nodes(observation):
        return decision
    return replace(
        decision,
        revision=record(subject, replace(known[-1], ended=end)) if known else None,
        deletions=(*decision.deletions, *order_deletions(observation.orders)),
    )


def tune(observation: Observation, planned: Plan, catalog: Catalog, settings: Settings) -> Decision:
    """What is to be done until the run has ended."""
    subject, job = Subject(observation.workspace), _job(observation)
    found = supply(observation, planned, settings)
    mine = pods_of(job, observation.pods) if job is not None else []
    wanted = _wanted(found, subject, run_of(observation.workspace, observation.config))
    turn = _turn(observation, found, wanted)
    begun = obstructed(observation) or turn.begun
    whole = _summary(found.resource, begun)
    of_job = None if turn.removes else job
    said = status(
        observation,
        {**found.verdicts, conditions.JOB_STARTED: begun, **whole},
        state=_state(begun, whole[conditions.WORKSPACE_READY]),
        worker_nodes=found.worker_nodes,
        target_node_count=planned.nodes,
        details=details(observation, found.crew, None, catalog, settings),
        training=trained(_told(subject), of_job, mine, observation.progress),
    )
    objects, deletions = found.objects, [*found.deletions]
    revision: Object | None = None
    if turn.removes and job is not None:
        deletions.append(_deletion(job))
    if turn.makes or of_job is not None:
        chosen = replace(_declared(observation), ended=None)
        revision = record(subject, chosen)
        known = history(subject, observation.revisions)
        deletions += forgotten(subject, known, [chosen])
    if turn.makes:
        objects += _unmade(wanted, observation)
        # What another run needed, such as a disk.
        deletions += () if observation.obstacles else belongings(observation, wanted)
    asks = found.crew.missing and not found.crew.kept and job is None
    listens = _trainer_of(mine)
    return Decision(
        finalizer=Finalizer.KEEP if subject.held else Finalizer.ADD,
        trial=tuple(_unmade(wanted, observation)) if asks else (),
        revision=revision,
        objects=tuple(objects),
        deletions=tuple(deletions),
        status=said,
        events=(*events(observation, said), *found.events(catalog)),
        announces=bool(found.crew.surplus) and not stuck(observation),
        listens=listens,
        look_again=soonest(
            OBSTACLE_SECONDS if observation.obstacles else None,
            found.look_again,
            look_again(of_job, mine, observation.now) if of_job is not None else None,
            PROGRESS_SECONDS if listens else None,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """Where a run stands between its Jobs, and what is to be done about that now."""

    begun: Verdict
    makes: bool = False
    """Whether its Job is to be made."""
    removes: bool = False
    """Whether the Job that is there is to go."""


def _turn(observation: Observation, found: Supply, wanted: Sequence[Object]) -> _Turn:
    subject, job = Subject(observation.workspace), _job(observation)
    name = subject.name
    if job is None:
        if not found.resource.good or not wanted:
            return _Turn(begun=pending("The training starts when its nodes are ready."))
        held = _held(observation)
        if held:
            return _Turn(begun=pending(f"The training starts when {held} has gone."))
        # As of one that is there: saying both would be one more write each time.
        return _Turn(begun=pending(f"Job {name} waits for its Pod."), makes=True)
    going = pending(f"Job {name} is being deleted; another one follows when it has gone.")
    if _deleting(job):
        return _Turn(begun=going)
    mine = pods_of(job, observation.pods)
    run = run_of(observation.workspace, observation.config)
    placed = not wanted or _noted(job, PLACE_HASH) == _noted(wanted[-1], PLACE_HASH)
    live = current(mine)
    # A Pod that has begun stays on its node; one that has not may wait for a node that has gone.
    if not run.is_of(_noted(job, HASH)) or not (placed or (live is not None and busy(live))):
        return _Turn(begun=going, removes=True)
    return _Turn(begun=started(job, mine, observation.now))


def _wanted(found: Supply, subject: Subject, run: Run) -> list[Object]:
    """The objects of this run, its Job the last; none while they cannot be known."""
    planned, crew = found.planned, found.crew
    if planned.gpus is None or crew.lacking or (crew.brought and not found.resource.good):
        # Which nodes it runs on is not settled, and it is bound to them by name.
        return []
    claim = desired_claim(planned, subject, found.settings)
    job = desired_job(planned, crew, subject, found.settings, run)
    return [job] if claim is None else [claim, job]


def _unmade(wanted: Iterable[Object], observation: Observation) -> list[Object]:
    """Those that are to be written: a claim stays as it was made, for it cannot be changed."""
    subject = Subject(observation.workspace)
    there = CLAIMS.kind if subject.owns(observation.checkpoints) else ""
    return [each for each in wanted if each["kind"] != there]


def _held(observation: Observation) -> str:
    """What has to go before a Job is made; "" for nothing."""
    subject, claim = Subject(observation.workspace), observation.checkpoints
    for pod in observation.pods:
        if not is_over(pod) and _of_a_job(pod):
            return f"Pod {pod['metadata']['name']} of an earlier run"
    if claim is not None and subject.owns(claim) and _deleting(claim):
        return f"PersistentVolumeClaim {claim['metadata']['name']} of an earlier run"
    return ""


def _summary(resource: Verdict, begun: Verdict) -> dict[str, Verdict]:
    """WorkspaceReady and its mirror, for a run that has not ended."""
    if not (resource.good and begun.good):
        return summary(resource, begun)
    goes_on = Verdict(truth="False", reason=conditions.PENDING, message=begun.message)
    return dict.fromkeys((conditions.WORKSPACE_READY, conditions.WORKSPACE_SUCCEEDED), goes_on)


def _state(begun: Verdict, ready: Verdict) -> State:
    if begun.good:
        return "Running"
    return "Failed" if ready.final else "Pending"


def _last(known: Sequence[Revision]) -> Ended | None:
    """How the last run that has ended did."""
    return next((each.ended for each in reversed(known) if each.ended), None)


def _end_of(job: Object, observation: Observation, last: Ended | None) -> Ended | None:
    """How a Job ended; None while it has not."""
    mine, run = pods_of(job, observation.pods), _noted(job, HASH)
    found = ended(job, mine, run) or worn_out(job, mine, run)
    # What was written down was said by Pods that may have gone since.
    return last if found and last and _holds(last, found) else found


def _holds(last: Ended, found: Ended) -> bool:
    """Whether what was written down is about this very end, and no less than is seen now."""
    same = (last.job, last.run) == (found.job, found.run)
    return same and not (found.result and not last.result)


def _is_of(job: Object, end: Ended) -> bool:
    """Whether a Job trained what has ended so; the very Job, or one of the same run."""
    return job["metadata"].get("uid") == end.job or _noted(job, HASH) == end.run


def _stores(pods: Iterable[Object]) -> bool:
    """Whether one of these Pods stores a result, or has."""
    return any(is_over(pod) or busy(pod) == tuning.PUSHER for pod in pods)


def _deletion(job: Object) -> Deletion:
    return Deletion(resource=JOBS, key=Key.of(job), uid=str(job["metadata"]["uid"]))


def _of_a_job(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(each.get("kind") == JOBS.kind for each in owners)


def _success(end: Ended) -> str:
    where = f": the result is {end.result}" if end.result else ""
    return f"The training ended well{where}."


def _let_go(observation: Observation, kept: bool) -> Verdict:
    """What is said of the nodes of a run that has ended."""
    if kept and _there(observation):
        return Verdict(
            truth="True",
            reason=conditions.RESOURCE_SUCCESS,
            message=f"The training has ended; annotation {labels.KEEP_NODES} keeps its nodes.",
        )
    left = [f"{each.kind} {each.name}" for each in observation.orders]
    going = f" {listed(left)} {'are' if len(left) > 1 else 'is'} being deleted." if left else ""
    return Verdict(
        truth="False",
        reason=conditions.NODES_RELEASED,
        message=f"The training has ended, and its nodes are let go.{going}",
    )


def _keeps_nodes(observation: Observation) -> bool:
    noted = Subject(observation.workspace).metadata.get("annotations") or {}
    return str(noted.get(labels.KEEP_NODES, "")).lower() == "true"


def _there(observation: Observation) -> set[str]:
    """The nodes that it has: those made for it, and those that it counts."""
    counted = set(Subject(observation.workspace).status.get("workerNodes") or ())
    made = {node.name for node in made_nodes(observation)}
    return made | {node.name for node in observation.nodes if node.name in counted}


def _trainer_of(pods: Sequence[Object]) -> Key | None:
    """The Pod whose trainer has something to say; None where none has."""
    live = current(pods)
    for container in containers(live) if live is not None else ():
        ran = {"running", "terminated"} & (container.get("state") or {}).keys()
        if container.get("name") == tuning.TRAINER and ran:
            return Key.of(live or {})
    return None


def _declared(observation: Observation) -> Revision:
    """The revision that is asked for now."""
    subject = Subject(observation.workspace)
    known = history(subject, observation.revisions)
    return declared(subject, content_of(observation.workspace), known)


def _told(subject: Subject) -> Object:
    found = subject.status.get("tuning")
    return found if isinstance(found, dict) else {}


def _job(observation: Observation) -> Object | None:
    """The Job, where it is its own."""
    return observation.job if Subject(observation.workspace).owns(observation.job) else None


def _noted(obj: Object, key: str) -> str:
    found = (obj["metadata"].get("annotations") or {}).get(key, "")
    return str(found)


def _deleting(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))
