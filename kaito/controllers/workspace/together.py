"""What keeps several nodes from serving one model together. Pure.

A model on one node is tried even where its engine will not start, with a warning, as upstream
does. Many nodes of which nothing can ever come cost too much for that: they are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaito.api import conditions, labels
from kaito.api.workspace import Workspace
from kaito.catalog.capability import ENGINES, objection
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import Estimate
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus
from kaito.controllers.workspace.presets import preset_of
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.runtimes import OWN_RUNTIME, runtime_of
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.sizes import sizes_that_do
from kaito.controllers.workspace.told import Told

# With their revision's label, the name of a StatefulSet and a hash of ten characters make a value
# of a label, which has 63.
NAME_LENGTH = 52


def together_objections(
    workspace: Workspace,
    model: Model,
    gpus: Gpus,
    split: Estimate,
    *,
    told: Told,
    catalog: Catalog,
    settings: Settings,
) -> Iterator[Refusal]:
    """Why a model that is split over several nodes with these GPUs cannot be served; nothing for
    one that takes a single node."""
    if split.nodes == 1:
        return
    asked, preset = workspace.resource.instance_type, preset_of(workspace)
    needs = (
        f"inference.preset.name {preset.name if preset else model.name} needs {split.nodes} "
        f"nodes {f'of {asked}' if asked else 'like those'} ({gpus} each)"
    )

    def instead() -> str:
        return sizes_that_do(workspace, model, catalog, settings, told)

    runtime = runtime_of(workspace)
    if runtime != OWN_RUNTIME:
        yield Refusal(
            path="inference.preset.name",
            reason=conditions.MODEL_DOES_NOT_FIT,
            message=f"{needs}, and the runtime {runtime} (annotation {labels.RUNTIME}, or an "
            f"adapter's strength other than 1.0) serves a model from one{instead()}.",
        )
    name = workspace.metadata.name
    if len(name) > NAME_LENGTH:
        yield Refusal(
            path="metadata.name",
            reason=conditions.INVALID_SPEC,
            message=f"{needs}, and metadata.name has {len(name)} characters: with several nodes "
            f"at most {NAME_LENGTH} are possible, because labels of the Pods of its "
            "StatefulSet are made of it.",
        )
    lacking = objection(
        ENGINES[runtime], gpus, quantization=model.quantization, architecture=model.architecture
    )
    if lacking is not None and labels.BYPASS_RESOURCE_CHECKS not in workspace.metadata.annotations:
        yield Refusal(
            path="resource.instanceType" if asked else "resource.labelSelector",
            reason=conditions.INSTANCE_TYPE_UNSUITED,
            message=f"{needs}, on which the engine does not start: "
            f"{lacking.removesuffix('.')}{instead()}.",
        )
