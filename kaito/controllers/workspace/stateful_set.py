"""The StatefulSet that serves a preset from several nodes: as many Pods as nodes, started together.

The leader waits for the workers and they for it, so none can wait for another to be ready first.
"""

from __future__ import annotations

from kaito.api import labels
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.deployment import node_terms, workload_metadata
from kaito.controllers.workspace.engine import engine
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object


def desired_stateful_set(plan: Plan, crew: Crew, subject: Subject, settings: Settings) -> Object:
    """The StatefulSet. The plan must know the GPUs."""
    spec = {
        "replicas": plan.nodes,
        "revisionHistoryLimit": 2,
        "serviceName": subject.headless.name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {labels.WORKSPACE: subject.name}},
        # One after the other they would wait for each other: see restart.
        "updateStrategy": {"type": "OnDelete"},
        "template": engine(plan, subject, settings, node_terms(plan, crew, subject)),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": workload_metadata(plan, subject, spec),
        "spec": spec,
    }
