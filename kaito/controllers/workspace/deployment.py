"""The Deployment that serves a Workspace: the engine with a preset, or the user's own template.

Equal plans give equal Deployments, so that a restart of this daemon restarts no model. The hash
of what is wanted is an annotation: it tells whether the Deployment seen is the one wanted, and that
of the template whether its Pods are.
"""

from __future__ import annotations

import hashlib
import json

from kaito.api import labels
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.deadline import progress_seconds
from kaito.controllers.workspace.engine import engine, tolerations
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import ANNOTATION, written
from kaito.controllers.workspace.template import placed
from kaito.runtime import Object

HASH = "kaito.sh/spec-hash"
TEMPLATE_HASH = "kaito.sh/template-hash"
HOSTNAME = "kubernetes.io/hostname"


def desired_deployment(plan: Plan, crew: Crew, subject: Subject, settings: Settings) -> Object:
    """The Deployment. The plan must know the GPUs unless it has a template."""
    terms = node_terms(plan, crew, subject)
    inference = plan.workspace.inference
    if inference is not None and inference.template is not None:
        pod = placed(
            inference.template,
            labels=subject.identity,
            terms=terms,
            tolerations=tolerations(plan),
        )
    else:
        pod = engine(plan, subject, settings, terms)
    spec = {
        "replicas": plan.nodes,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": progress_seconds(plan),
        "selector": {"matchLabels": {labels.WORKSPACE: subject.name}},
        # A Pod takes a whole node, so the new one fits only where the old one has gone.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        },
        "template": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": workload_metadata(plan, subject, spec),
        "spec": spec,
    }


def workload_metadata(plan: Plan, subject: Subject, spec: Object) -> Object:
    """The metadata of a workload with this spec."""
    # What was read of a model that no catalogue knows need not be read again.
    note = {ANNOTATION: written(plan.model)} if plan.model and plan.stranger else {}
    hashes = {HASH: _hash(spec), TEMPLATE_HASH: _hash(spec["template"])}
    return {**subject.child(), "annotations": {**hashes, **note}}


def node_terms(plan: Plan, crew: Crew, subject: Subject) -> list[Object]:
    """Where its Pods may run, as alternatives: on nodes made for it, on nodes counted for it."""
    wanted = [_in(key, [value]) for key, value in plan.selector.items()]
    terms: list[Object] = []
    if crew.brought:
        names = [node.labels.get(HOSTNAME, node.name) for node in crew.brought]
        terms.append({"matchExpressions": [*wanted, _in(HOSTNAME, names)]})
    if len(crew.brought) < plan.nodes:
        own = [_in(key, [value]) for key, value in subject.identity.items()]
        terms.append({"matchExpressions": [*wanted, *own]})
    return terms


def _in(key: str, values: list[str]) -> Object:
    return {"key": key, "operator": "In", "values": values}


def _hash(spec: Object) -> str:
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
