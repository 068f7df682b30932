"""What the built-in kinds do beyond the general rules."""

from __future__ import annotations

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours import (
    batch,
    cluster,
    configs,
    definitions,
    pods,
    policies,
    services,
    workloads,
)

RBAC, NET, STORAGE = "rbac.authorization.k8s.io", "networking.k8s.io", "storage.k8s.io"
HOOKS = "admissionregistration.k8s.io"
BEHAVIOURS: dict[tuple[str, str], Behaviour] = {
    ("", "configmaps"): configs.CONFIG_MAPS,
    ("", "events"): cluster.EVENTS,
    ("", "namespaces"): cluster.NAMESPACES,
    ("", "nodes"): cluster.NODES,
    ("", "persistentvolumeclaims"): policies.CLAIMS,
    ("", "persistentvolumes"): policies.VOLUMES,
    ("", "pods"): pods.PODS,
    ("", "podtemplates"): pods.POD_TEMPLATES,
    ("", "replicationcontrollers"): workloads.REPLICATION_CONTROLLERS,
    ("", "resourcequotas"): policies.QUOTAS,
    ("", "secrets"): configs.SECRETS,
    ("", "serviceaccounts"): cluster.SERVICE_ACCOUNTS,
    ("", "services"): services.SERVICES,
    ("apiextensions.k8s.io", "customresourcedefinitions"): definitions.DEFINITIONS,
    ("apps", "controllerrevisions"): workloads.REVISIONS,
    ("apps", "daemonsets"): workloads.DAEMON_SETS,
    ("apps", "deployments"): workloads.DEPLOYMENTS,
    ("apps", "replicasets"): workloads.REPLICA_SETS,
    ("apps", "statefulsets"): workloads.STATEFUL_SETS,
    ("autoscaling", "horizontalpodautoscalers"): policies.AUTOSCALERS,
    ("batch", "cronjobs"): batch.CRON_JOBS,
    ("batch", "jobs"): batch.JOBS,
    ("coordination.k8s.io", "leases"): cluster.LEASES,
    ("events.k8s.io", "events"): cluster.EVENTS,
    (HOOKS, "mutatingwebhookconfigurations"): policies.WEBHOOKS,
    (HOOKS, "validatingwebhookconfigurations"): policies.WEBHOOKS,
    (NET, "ingresses"): policies.STATUS,
    (NET, "networkpolicies"): policies.NETWORK_POLICIES,
    ("policy", "poddisruptionbudgets"): policies.BUDGETS,
    (RBAC, "clusterrolebindings"): policies.BINDINGS,
    (RBAC, "clusterroles"): policies.ROLES,
    (RBAC, "rolebindings"): policies.BINDINGS,
    (RBAC, "roles"): policies.ROLES,
    ("scheduling.k8s.io", "priorityclasses"): policies.PRIORITY_CLASSES,
    (STORAGE, "storageclasses"): policies.STORAGE_CLASSES,
}
