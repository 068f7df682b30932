"""Where the engine finds a model's weights: on Hugging Face, in an artifact of a registry, or on
the node's own disk. Pure.

What is downloaded lies in one volume, on the node's NVMe disks where there are any and an
administrator has named a storage class for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kaito.api import labels
from kaito.controllers.workspace import pulling
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.presets import preset_of
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object, format_quantity, parse_quantity

DIRECTORY = "/workspace/weights"
HOST_DIRECTORY = "/opt/kaito/models"
VOLUME, HOST_VOLUME = "model-weights-volume", "model-weights-hostpath"
PULLER = "model-weights-downloader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where they come from, and where they are once the engine starts."""

    origin: Literal["hub", "artifact", "host"]
    model: str
    """What the engine is told to load: a name on Hugging Face, or a directory."""


def gib(amount: int) -> str:
    """So many GiB as the API server writes them."""
    return format_quantity(parse_quantity(f"{amount}Gi"), binary=True)


def weights(plan: Plan) -> Weights:
    """Where a preset's weights come from."""
    preset = preset_of(plan.workspace)
    assert plan.model is not None
    assert preset is not None
    if plan.workspace.metadata.annotations.get(labels.USE_LOCAL_WEIGHTS, "").lower() == "true":
        name = plan.model.name.lower().replace("/", "-")
        return Weights(origin="host", model=f"{HOST_DIRECTORY}/{name}")
    if preset.access_mode == "private":
        return Weights(origin="artifact", model=DIRECTORY)
    return Weights(origin="hub", model=plan.model.name)


def volume(plan: Plan, settings: Settings) -> Object:
    """The volume that the weights are in."""
    found = weights(plan)
    if found.origin == "host":
        return {"name": HOST_VOLUME, "hostPath": {"path": found.model, "type": "Directory"}}
    if plan.sku is None or not settings.nvme_class or plan.sku.nvme_gib < plan.disk_gib:
        return {"name": VOLUME, "emptyDir": {}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": settings.nvme_class,
        "resources": {"requests": {"storage": gib(plan.disk_gib)}},
    }
    return {"name": VOLUME, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}


def mount(plan: Plan) -> Object:
    """Where the engine has that volume."""
    found = weights(plan)
    if found.origin == "host":
        return {"name": HOST_VOLUME, "mountPath": found.model, "readOnly": True}
    return {"name": VOLUME, "mountPath": DIRECTORY}


def pull(plan: Plan, settings: Settings) -> pulling.Pull | None:
    """What brings them before the engine starts; None where the engine does that itself."""
    preset = preset_of(plan.workspace)
    options = preset.preset_options if preset else None
    if weights(plan).origin != "artifact" or options is None:
        return None
    secrets = pulling.credentials(f"{PULLER}-auth", options.image_pull_secrets)
    target: Object = {"name": VOLUME, "mountPath": DIRECTORY}
    return pulling.pull(PULLER, options.image, target, secrets, settings)
