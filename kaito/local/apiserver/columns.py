"""The columns of built-in kinds, as kubectl prints them: definitions from data, cells from here."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from kaito.local.apiserver import cells, podcells
from kaito.local.apiserver.tables import Column, Columns

Object = dict[str, Any]
Cells = Callable[[Object, float], list[Any]]
CELLS: dict[tuple[str, str], Cells] = {
    ("", "configmaps"): cells.config_map,
    ("", "endpoints"): cells.endpoints,
    ("", "events"): cells.event,
    ("", "namespaces"): cells.namespace,
    ("", "nodes"): cells.node,
    ("", "persistentvolumeclaims"): cells.claim,
    ("", "persistentvolumes"): cells.volume,
    ("", "pods"): podcells.pod,
    ("", "podtemplates"): podcells.template,
    ("", "replicationcontrollers"): cells.replica_set,
    ("", "resourcequotas"): cells.quota,
    ("", "secrets"): cells.secret,
    ("", "serviceaccounts"): cells.service_account,
    ("", "services"): cells.service,
    ("apps", "controllerrevisions"): cells.revision,
    ("apps", "daemonsets"): cells.daemon_set,
    ("apps", "deployments"): cells.deployment,
    ("apps", "replicasets"): cells.replica_set,
    ("apps", "statefulsets"): cells.stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): cells.autoscaler,
    ("batch", "cronjobs"): cells.cron_job,
    ("batch", "jobs"): cells.job,
    ("coordination.k8s.io", "leases"): cells.lease,
    ("networking.k8s.io", "ingresses"): cells.ingress,
    ("networking.k8s.io", "networkpolicies"): cells.network_policy,
    ("policy", "poddisruptionbudgets"): cells.budget,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): cells.binding,
    ("rbac.authorization.k8s.io", "rolebindings"): cells.binding,
    ("scheduling.k8s.io", "priorityclasses"): cells.priority_class,
    ("storage.k8s.io", "storageclasses"): cells.storage_class,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): cells.webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): cells.webhooks,
}


def _load() -> dict[str, list[Object]]:
    text = resources.files("kaito.local.apiserver").joinpath("data/columns.json").read_bytes()
    found: dict[str, list[Object]] = json.loads(text)
    return found


def _columns(entries: list[Object], made: Cells) -> Columns:
    return Columns(tuple(Column(**e) for e in entries), made)


_DATA = _load()
SCALE = _columns(_DATA["scale"], cells.scale)
COLUMNS: dict[tuple[str, str], Columns] = {
    (group, plural): _columns(_DATA[f"{group}/{plural}" if group else plural], made)
    for (group, plural), made in CELLS.items()
}
COLUMNS["events.k8s.io", "events"] = COLUMNS["", "events"]
