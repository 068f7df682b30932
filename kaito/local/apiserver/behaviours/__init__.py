"""What the built-in kinds do beyond the general rules."""

from __future__ import annotations

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours import (
    access,
    batch,
    claims,
    cluster,
    configs,
    definitions,
    endpoints,
    events,
    nodes,
    pod_templates,
    pods,
    policies,
    quotas,
    services,
    stateful_sets,
    volumes,
    webhooks,
    workloads,
)

RBAC, NET, STORAGE = "rbac.authorization.k8s.io", "networking.k8s.io", "storage.k8s.io"
HOOKS = "admissionregistration.k8s.io"
BEHAVIOURS: dict[tuple[str, str], Behaviour] = {
    ("", "configmaps"): configs.CONFIG_MAPS,
    ("", "endpoints"): endpoints.ENDPOINTS,
    ("", "events"): events.EVENTS,
    ("", "limitranges"): quotas.LIMIT_RANGES,
    ("", "namespaces"): cluster.NAMESPACES,
    ("", "nodes"): nodes.NODES,
    ("", "persistentvolumeclaims"): claims.CLAIMS,
    ("", "persistentvolumes"): volumes.VOLUMES,
    ("", "pods"): pods.PODS,
    ("", "podtemplates"): pod_templates.POD_TEMPLATES,
    ("", "replicationcontrollers"): workloads.REPLICATION_CONTROLLERS,
    ("", "resourcequotas"): quotas.QUOTAS,
    ("", "secrets"): configs.SECRETS,
    ("", "serviceaccounts"): cluster.SERVICE_ACCOUNTS,
    ("", "services"): services.SERVICES,
    ("apiextensions.k8s.io", "customresourcedefinitions"): definitions.DEFINITIONS,
    ("apps", "controllerrevisions"): workloads.REVISIONS,
    ("apps", "daemonsets"): workloads.DAEMON_SETS,
    ("apps", "deployments"): workloads.DEPLOYMENTS,
    ("apps", "replicasets"): workloads.REPLICA_SETS,
    ("apps", "statefulsets"): stateful_sets.STATEFUL_SETS,
    ("autoscaling", "horizontalpodautoscalers"): policies.AUTOSCALERS,
    ("batch", "cronjobs"): batch.CRON_JOBS,
    ("batch", "jobs"): batch.JOBS,
    ("coordination.k8s.io", "leases"): cluster.LEASES,
    ("events.k8s.io", "events"): events.NEW_EVENTS,
    ("discovery.k8s.io", "endpointslices"): endpoints.SLICES,
    (HOOKS, "mutatingwebhookconfigurations"): webhooks.WEBHOOKS,
    (HOOKS, "validatingwebhookconfigurations"): webhooks.WEBHOOKS,
    (NET, "ingresses"): policies.STATUS,
    (NET, "networkpolicies"): policies.NETWORK_POLICIES,
    ("policy", "poddisruptionbudgets"): policies.BUDGETS,
    (RBAC, "clusterrolebindings"): access.CLUSTER_ROLE_BINDINGS,
    (RBAC, "clusterroles"): access.CLUSTER_ROLES,
    (RBAC, "rolebindings"): access.ROLE_BINDINGS,
    (RBAC, "roles"): access.ROLES,
    ("scheduling.k8s.io", "priorityclasses"): policies.PRIORITY_CLASSES,
    (STORAGE, "storageclasses"): volumes.STORAGE_CLASSES,
}
HOLDERS = {
    ("", "podtemplates"): "template",
    ("", "replicationcontrollers"): "spec.template",
    ("apps", "daemonsets"): "spec.template",
    ("apps", "deployments"): "spec.template",
    ("apps", "replicasets"): "spec.template",
    ("apps", "statefulsets"): "spec.template",
    ("batch", "cronjobs"): "spec.jobTemplate.spec.template",
    ("batch", "jobs"): "spec.template",
}
for _key, _path in HOLDERS.items():
    BEHAVIOURS[_key] = pod_templates.holding(BEHAVIOURS[_key], _path)
