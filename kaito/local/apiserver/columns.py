"""The columns of built-in kinds, as kubectl prints them: definitions from data, cells from here."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from kaito.local.apiserver.cells import (
    access,
    autoscaling,
    cluster,
    network,
    pods,
    storage,
    workloads,
)
from kaito.local.apiserver.tables import Column, Columns

Object = dict[str, Any]
Cells = Callable[[Object, float], list[Any]]
CELLS: dict[tuple[str, str], Cells] = {
    ("", "configmaps"): cluster.config_map,
    ("", "endpoints"): network.endpoints,
    ("", "events"): cluster.event,
    ("", "namespaces"): cluster.namespace,
    ("", "nodes"): cluster.node,
    ("", "persistentvolumeclaims"): storage.claim,
    ("", "persistentvolumes"): storage.volume,
    ("", "pods"): pods.pod,
    ("", "podtemplates"): pods.template,
    ("", "replicationcontrollers"): workloads.replica_set,
    ("", "resourcequotas"): cluster.quota,
    ("", "secrets"): cluster.secret,
    ("", "serviceaccounts"): cluster.service_account,
    ("", "services"): network.service,
    ("apps", "controllerrevisions"): workloads.revision,
    ("apps", "daemonsets"): workloads.daemon_set,
    ("apps", "deployments"): workloads.deployment,
    ("apps", "replicasets"): workloads.replica_set,
    ("apps", "statefulsets"): workloads.stateful_set,
    ("autoscaling", "horizontalpodautoscalers"): autoscaling.autoscaler,
    ("batch", "cronjobs"): workloads.cron_job,
    ("batch", "jobs"): workloads.job,
    ("coordination.k8s.io", "leases"): cluster.lease,
    ("networking.k8s.io", "ingresses"): network.ingress,
    ("networking.k8s.io", "networkpolicies"): network.network_policy,
    ("policy", "poddisruptionbudgets"): workloads.budget,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): access.binding,
    ("rbac.authorization.k8s.io", "rolebindings"): access.binding,
    ("scheduling.k8s.io", "priorityclasses"): cluster.priority_class,
    ("storage.k8s.io", "storageclasses"): storage.storage_class,
    ("", "componentstatuses"): cluster.component,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): access.admission_policy,
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): access.admission_binding,
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): access.admission_policy,
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): access.admission_binding,
    ("certificates.k8s.io", "certificatesigningrequests"): access.signing_request,
    ("discovery.k8s.io", "endpointslices"): network.endpoint_slice,
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): access.flow_schema,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): access.priority_level,
    ("networking.k8s.io", "ingressclasses"): network.ingress_class,
    ("networking.k8s.io", "ipaddresses"): network.address,
    ("networking.k8s.io", "servicecidrs"): network.address_range,
    ("node.k8s.io", "runtimeclasses"): cluster.runtime_class,
    ("resource.k8s.io", "deviceclasses"): cluster.aged,
    ("resource.k8s.io", "resourceclaims"): cluster.device_claim,
    ("resource.k8s.io", "resourceclaimtemplates"): cluster.aged,
    ("resource.k8s.io", "resourceslices"): cluster.device_slice,
    ("storage.k8s.io", "csidrivers"): storage.driver,
    ("storage.k8s.io", "csinodes"): storage.storage_node,
    ("storage.k8s.io", "volumeattachments"): storage.attachment,
    ("storage.k8s.io", "volumeattributesclasses"): storage.attributes_class,
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): access.webhooks,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): access.webhooks,
}


def _load() -> dict[str, list[Object]]:
    text = resources.files("kaito.local.apiserver").joinpath("data/columns.json").read_bytes()
    found: dict[str, list[Object]] = json.loads(text)
    return found


def _columns(entries: list[Object], made: Cells) -> Columns:
    return Columns(tuple(Column(**e) for e in entries), made)


_DATA = _load()
SCALE = _columns(_DATA["scale"], workloads.scale)
COLUMNS: dict[tuple[str, str], Columns] = {
    (group, plural): _columns(_DATA[f"{group}/{plural}" if group else plural], made)
    for (group, plural), made in CELLS.items()
}
COLUMNS["events.k8s.io", "events"] = COLUMNS["", "events"]
