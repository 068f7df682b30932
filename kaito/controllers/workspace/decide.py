"""What is to be done about a Workspace. Pure: no I/O, no clock; the observation carries both.

Deciding twice over the same observation gives equal decisions, and deciding over what a decision
brought about changes nothing. What is running is never torn down because of an edit that cannot
be: it stays until the edit is mended or the Workspace is deleted.
"""

from __future__ import annotations

from dataclasses import replace

from kaito.api import conditions
from kaito.api.conditions import State
from kaito.catalog.catalog import Catalog
from kaito.controllers.workspace import judgement
from kaito.controllers.workspace.alternatives import sized
from kaito.controllers.workspace.attempt import choose
from kaito.controllers.workspace.crew import Crew, candidates, gpus_of, made_nodes
from kaito.controllers.workspace.deadline import progress_seconds, start_on_nodes
from kaito.controllers.workspace.decision import Decision, Finalizer
from kaito.controllers.workspace.details import details
from kaito.controllers.workspace.judgement import Verdict
from kaito.controllers.workspace.leaving import belongings, leave
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.controllers.workspace.plan import Plan, on_gpus, plan
from kaito.controllers.workspace.pods import trouble, trouble_in
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.restart import restarts
from kaito.controllers.workspace.revisions import forgotten, record
from kaito.controllers.workspace.rollout import (
    STALLED,
    Course,
    course,
    refused,
    seconds_left,
    stalled,
    switched_off,
    turned_back,
    undone,
    went_on,
)
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.status import events, state_after, status, summary
from kaito.controllers.workspace.supply import soonest, supply
from kaito.controllers.workspace.surge import gap_told, with_room
from kaito.controllers.workspace.tune import let_go, past, rest, tune
from kaito.controllers.workspace.workload import companions, desired_workload
from kaito.runtime import Object

# Somebody else's object with our name: it is not watched, so we look again.
OBSTACLE_SECONDS = 60.0


def decide(observation: Observation, catalog: Catalog, settings: Settings) -> Decision:
    """What is to be done about this Workspace now."""
    subject = Subject(observation.workspace)
    if subject.deleting:
        return leave(observation)
    end = past(observation) if subject.tunes else None
    if end is not None:
        return rest(observation, end, catalog, settings)
    planned = plan_of(observation, catalog, settings)
    if isinstance(planned, Refusal):
        unread = observation.unread
        if planned.reason == conditions.UNKNOWN_PRESET and unread is not None:
            planned = replace(planned, message=unread.message)
            decision = (
                _refuse(observation, planned, catalog, settings)
                if unread.failed
                else _wait(observation, planned, catalog, settings)
            )
            return replace(decision, look_again=unread.look_again)
        way = None if subject.tunes else refused(observation, planned)
        if way is None:
            return _refuse(observation, planned, catalog, settings)
        return _stay(observation, way, catalog, settings)
    if subject.tunes:
        return tune(observation, planned, catalog, settings)
    return _run(observation, planned, course(observation), catalog, settings)


def plan_of(observation: Observation, catalog: Catalog, settings: Settings) -> Plan | Refusal:
    """What this Workspace takes on nodes of the size that is asked for now; on GPUs that only its
    nodes know, when they are there."""
    workspace = sized(observation.workspace, choose(observation).size)
    planned = plan(workspace, catalog=catalog, settings=settings, config=observation.config)
    if isinstance(planned, Plan) and planned.model is not None and planned.gpus is None:
        nodes = [*made_nodes(observation), *candidates(planned, observation)]
        own = next((gpus for node in nodes if (gpus := gpus_of(node))), None)
        if own is not None:
            return on_gpus(planned, own, catalog=catalog, settings=settings)
    return planned


def _run(
    observation: Observation, planned: Plan, way: Course, catalog: Catalog, settings: Settings
) -> Decision:
    """Serve the declared revision, or in its place the last one that answered."""
    if way.back is None:
        return _serve(observation, planned, way, catalog, settings)
    return _stay(observation, way, catalog, settings)


def _stay(observation: Observation, way: Course, catalog: Catalog, settings: Settings) -> Decision:
    """Serve the last revision that answered, where what is declared does not or cannot be."""
    assert way.back is not None
    earlier = turned_back(observation, way.back)
    again = plan_of(earlier, catalog, settings)
    if not isinstance(again, Refusal):
        return _serve(earlier, again, way, catalog, settings)
    # What was good once cannot be any more: nothing is changed.
    if way.refusal is not None:
        return _refuse(observation, way.refusal, catalog, settings)
    stays = Verdict(truth="False", reason=again.reason, message=again.message)
    subject = Subject(observation.workspace)
    told = judgement.undone(way.declared, way.back, stays, subject.name)
    refusal = replace(again, reason=told.reason, message=told.message)
    return replace(
        _refuse(observation, refusal, catalog, settings), revision=record(subject, way.declared)
    )


def _serve(
    observation: Observation, planned: Plan, way: Course, catalog: Catalog, settings: Settings
) -> Decision:
    subject = Subject(observation.workspace)
    found = supply(observation, planned, settings)
    crew, resource = found.crew, found.resource
    workload = _workload(planned, crew, observation, settings, resource)
    gap = _gap(observation, planned, way, workload)
    inference = judgement.inference(observation, workload, resource, gap)
    may_start = resource.good and not switched_off(observation.workload)
    way = went_on(way, answers=inference.good, may_start=may_start, now=observation.now)
    left = seconds_left(way, progress_seconds(planned), observation.now)
    if left is not None and left <= 0 and _stalled(observation, workload):
        wrong = trouble(observation.pods, observation.workload, observation.now)
        return _run(
            observation,
            planned,
            undone(
                way,
                reason=wrong.reason if wrong else STALLED,
                message=wrong.message if wrong else "No Pod says why.",
                config=observation.config,
            ),
            catalog,
            settings,
        )
    if way.back is not None and way.refusal is not None:
        inference = judgement.refused(way.refusal, way.back, inference)
    elif way.back is not None:
        inference = judgement.undone(way.declared, way.back, inference, subject.name)
    elif way.trying or way.declared.served:
        # It is undone by itself, or has served like this before.
        inference = replace(inference, final=False)

    whole = summary(resource, inference)
    deployed = resource.good or observation.workload is not None
    said = status(
        observation,
        {**found.verdicts, conditions.INFERENCE_READY: inference, **whole},
        state=state_after(_state_before(subject, way), whole[conditions.WORKSPACE_READY]),
        worker_nodes=found.worker_nodes,
        target_node_count=planned.nodes,
        details=details(observation, crew, workload if deployed else None, catalog, settings),
    )
    objects = found.objects
    trial: list[Object] = []
    deletions = [*found.deletions]
    revision: Object | None = None
    if workload is not None:
        served = [*companions(planned, subject), workload]
        # A Deployment serves on until the nodes are there that a StatefulSet takes, or the reverse.
        runs_so = subject.owns(judgement.written_as(workload, observation))
        if resource.good or runs_so:
            # What cannot be was never tried, so nothing is to be remembered of it.
            revision = record(subject, way.declared) if way.refusal is None else None
            deletions += forgotten(subject, way.known, [way.declared, way.good])
            deletions += restarts(observation.stateful_set, observation.pods)
            objects += served
            # What is wanted no more goes when what is wanted instead can be had.
            deletions += () if observation.obstacles else belongings(observation, served)
        elif crew.missing and not crew.kept:
            trial = served
    return Decision(
        finalizer=Finalizer.KEEP if subject.held else Finalizer.ADD,
        trial=tuple(trial),
        revision=revision,
        objects=tuple(objects),
        deletions=tuple(deletions),
        status=said,
        events=(*events(observation, said), *found.events(catalog)),
        gap=gap,
        announces=bool(crew.surplus or (gap and not inference.good))
        and not judgement.stuck(observation),
        look_again=soonest(
            OBSTACLE_SECONDS if observation.obstacles else None,
            # Whose time is over waits for what its workload says next, which wakes.
            left if left is not None and left > 0 else None,
            found.look_again,
            trouble_in(observation.pods, observation.now, replacing=bool(gap)),
        ),
    )


def _wait(
    observation: Observation, refusal: Refusal, catalog: Catalog, settings: Settings
) -> Decision:
    """Say what is waited for; what runs meanwhile runs on and is not spoken of."""
    if observation.workload is not None:
        subject = Subject(observation.workspace)
        return Decision(finalizer=Finalizer.KEEP if subject.held else Finalizer.ADD)
    waits = Verdict(truth="Unknown", reason=conditions.READING_MODEL, message=refusal.message)
    return _nothing(observation, waits, waits, catalog, settings, state="Pending")


def _refuse(
    observation: Observation, refusal: Refusal, catalog: Catalog, settings: Settings
) -> Decision:
    failed = Verdict(truth="False", reason=refusal.reason, message=refusal.message)
    sum_up = Verdict(truth="False", reason=conditions.FAILED, message=refusal.message)
    decision = _nothing(observation, failed, sum_up, catalog, settings, state="Failed")
    return let_go(observation, decision) if Subject(observation.workspace).tunes else decision


def _nothing(
    observation: Observation,
    parts: Verdict,
    whole: Verdict,
    catalog: Catalog,
    settings: Settings,
    *,
    state: State,
) -> Decision:
    """Nothing is to be done; say why, and what is there all the same."""
    subject = Subject(observation.workspace)
    there = {node.name for node in observation.nodes}
    said = status(
        observation,
        {
            conditions.RESOURCE_READY: parts,
            subject.work: parts,
            conditions.WORKSPACE_READY: whole,
            conditions.WORKSPACE_SUCCEEDED: whole,
        },
        state=state,
        # Nodes that it counts are kept for it while its author mends it.
        worker_nodes=[name for name in subject.status.get("workerNodes") or () if name in there],
        details=details(
            observation, None, None if subject.tunes else observation.workload, catalog, settings
        ),
    )
    return Decision(
        finalizer=Finalizer.KEEP if subject.held else Finalizer.ADD,
        status=said,
        events=events(observation, said),
    )


def _workload(
    planned: Plan, crew: Crew, observation: Observation, settings: Settings, resource: Verdict
) -> Object | None:
    """The workload that is wanted, None while it cannot be known."""
    if planned.model is not None and planned.estimate is None:
        return None
    if crew.lacking or (crew.brought and not resource.good):
        # Which nodes will run it is not settled, and its Pods are bound to them by name.
        return None
    subject = Subject(observation.workspace)
    desired = desired_workload(planned, crew, subject, settings)
    return with_room(desired, crew, judgement.written_as(desired, observation))


def _state_before(subject: Subject, way: Course) -> str:
    """The state that it had; one that served once and failed since did not forget that it did."""
    served = any(each.served for each in way.known)
    return "Ready" if served else str(subject.status.get("state", ""))


def _gap(observation: Observation, planned: Plan, way: Course, workload: Object | None) -> str:
    """What users miss while an edit is rolled out, "" when none is."""
    if workload is None or observation.workload is None:
        return ""
    edited = judgement.replaces_pods(workload, observation.workload)
    served = any(each.served for each in way.known)
    going = way.trying or (served and judgement.rolls_out(observation.workload))
    out = going and not judgement.all_ready(observation.workload)
    return gap_told(workload, start_on_nodes(planned)) if edited or out else ""


def _stalled(observation: Observation, workload: Object | None) -> bool:
    """Whether the workload of the declared revision is there and makes no progress."""
    if workload is None:
        return False
    live = judgement.written_as(workload, observation)
    return judgement.is_written(workload, live) and stalled(live)
