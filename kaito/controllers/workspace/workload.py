"""What a Workspace becomes besides its nodes: what runs its Pods, and what stands around them."""

from __future__ import annotations

from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.deployment import desired_deployment
from kaito.controllers.workspace.group import disruption_budget, several
from kaito.controllers.workspace.network import network_policy
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.service import desired_service, headless_service
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.stateful_set import desired_stateful_set
from kaito.runtime import Object


def desired_workload(plan: Plan, crew: Crew, subject: Subject, settings: Settings) -> Object:
    """A StatefulSet where several nodes serve a model together, else a Deployment. The plan must
    know the GPUs unless it has a template."""
    made = desired_stateful_set if several(plan) else desired_deployment
    return made(plan, crew, subject, settings)


def companions(plan: Plan, subject: Subject) -> list[Object]:
    """What must be there before the Pods: their addresses, and what guards them."""
    found = [desired_service(plan, subject, leads=several(plan))]
    if several(plan):
        found += [headless_service(subject), disruption_budget(subject)]
    policy = network_policy(plan, subject)
    return found if policy is None else [*found, policy]
