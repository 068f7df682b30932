"""The kinds that this controller alone reads, as it reads them.

Workspaces are read untyped, so that one that does not fit its model can still be told so and be
deleted. Of a Pod only what decisions depend on is cached.
"""

from __future__ import annotations

from collections.abc import Mapping

from kaito.api import workspace as workspaces
from kaito.controllers.kinds import keeping
from kaito.runtime import Object, Resource

WORKSPACES: Resource[Object] = Resource(
    workspaces.GROUP, workspaces.VERSION, workspaces.PLURAL, workspaces.KIND
)
DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Resource[Object] = Resource("apps", "v1", "statefulsets", "StatefulSet")
JOBS: Resource[Object] = Resource("batch", "v1", "jobs", "Job")
CLAIMS: Resource[Object] = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICES: Resource[Object] = Resource("", "v1", "services", "Service")
DISRUPTION_BUDGETS: Resource[Object] = Resource(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"
)
NETWORK_POLICIES: Resource[Object] = Resource(
    "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"
)
REVISIONS: Resource[Object] = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")

# What a Workspace is made into besides nodes, the first to go first.
CHILDREN: Mapping[str, Resource[Object]] = {
    each.kind: each
    for each in (
        DEPLOYMENTS,
        STATEFUL_SETS,
        JOBS,
        SERVICES,
        DISRUPTION_BUDGETS,
        NETWORK_POLICIES,
        CLAIMS,
    )
}

# The spec of a Pod is ours; what happens to it is in its status, save what it cannot mount.
POD_PARTS = keeping(
    spec=frozenset(["nodeName", "volumes"]),
    status=frozenset(
        ["phase", "reason", "message", "conditions", "containerStatuses", "initContainerStatuses"]
    ),
)
