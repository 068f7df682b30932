"""The Machine that asks for one node of a Workspace, as karpenter v1alpha5 wants it."""

from __future__ import annotations

from kaito.api import labels
from kaito.api import machine as api
from kaito.api.machine import Machine
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.selector import NODE_IS
from kaito.runtime import Object

GPU_TAINT = {"key": "sku", "value": "gpu", "effect": "NoSchedule"}
# Labels that only the cloud can give a node: a selector on them is a wish about the node itself.
ASKED_OF_CLOUD = (labels.ZONE, labels.CAPACITY_TYPE)
# Annotations of a Workspace that say what its nodes are to be made of.
PASSED_ON = (
    labels.NODE_IMAGE_FAMILY,
    labels.SPOT_MAX_PRICE,
    labels.GPU_DRIVER,
    labels.OS_DISK_TYPE,
)


def desired_machine(plan: Plan, subject: Subject, name: str, existing: Machine | None) -> Object:
    """The Machine of this name. One that exists keeps the disk that it was made with."""
    requirements = {
        labels.INSTANCE_TYPE: plan.instance_type,
        labels.PROVISIONER_NAME: labels.DEFAULT_PROVISIONER,
        labels.MACHINE_TYPE: "gpu" if takes_gpus(plan) else "cpu",
        **NODE_IS,
        **{key: plan.selector[key] for key in ASKED_OF_CLOUD if key in plan.selector},
    }
    metadata: Object = {
        "name": name,
        "labels": {
            **plan.selector,
            labels.PROVISIONER_NAME: labels.DEFAULT_PROVISIONER,
            **subject.identity,
        },
    }
    said = plan.workspace.metadata.annotations
    passed_on = {key: said[key].lower() for key in PASSED_ON if said.get(key)}
    metadata["annotations"] = {labels.WORKSPACE_UID: subject.uid, **passed_on}
    return {
        "apiVersion": api.API_VERSION,
        "kind": api.KIND,
        "metadata": metadata,
        "spec": {
            "machineTemplateRef": {"name": name},
            "requirements": [
                {"key": key, "operator": "In", "values": [value]}
                for key, value in requirements.items()
            ],
            "taints": [GPU_TAINT],
            "resources": {"requests": {"storage": _storage(plan, existing)}},
        },
    }


def takes_gpus(plan: Plan) -> bool:
    """Whether its nodes have GPUs: all sizes that we know have, and Azure's N series."""
    return plan.sku is not None or plan.instance_type.lower().startswith("standard_n")


def asks_for_spot(plan: Plan) -> bool:
    """Whether its nodes may be taken away again for somebody who pays more."""
    priced = bool(plan.workspace.metadata.annotations.get(labels.SPOT_MAX_PRICE))
    return priced or plan.selector.get(labels.CAPACITY_TYPE) == "spot"


def _storage(plan: Plan, existing: Machine | None) -> str:
    # A disk cannot grow, and a new estimate must not replace a node that runs.
    made_with = existing.spec.resources.requests if existing and existing.spec.resources else {}
    return str(made_with.get("storage") or (f"{plan.disk_gib}Gi" if plan.disk_gib else "0"))
