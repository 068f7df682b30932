"""Whether the model of a tuning can be trained, and on which GPUs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from kaito.api import conditions, labels
from kaito.api.words import clause
from kaito.api.workspace import Workspace
from kaito.catalog.catalog import Catalog
from kaito.catalog.memory import GIB
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus
from kaito.catalog.training import Training
from kaito.catalog.tuning import Tuning, attempted, tunable, tuning, tuning_sizes, untunable
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.settings import Settings

EXAMPLES = 3  # sizes that a message lists


def untuned(workspace: Workspace, model: Model, catalog: Catalog) -> Iterator[Refusal]:
    """Why a model cannot be tuned wherever it is tried; nothing for a Workspace that serves."""
    refused = untunable(model)
    if workspace.tuning is None or refused is None:
        return
    able = [each.aliases[0] for each in tunable(catalog) if each.aliases and not each.historical]
    yield Refusal(
        path="tuning.preset.name",
        reason=conditions.NOT_SUPPORTED,
        message=f"tuning.preset.name is {workspace.tuning.preset.name}, which cannot be tuned: "
        f"{refused}{clause('presets that can be are', able)}.",
    )


def fit_tuning(
    workspace: Workspace,
    model: Model,
    gpus: Gpus,
    training: Training,
    *,
    catalog: Catalog,
    settings: Settings,
) -> Tuning | Refusal:
    """How a model is tuned on one node with these GPUs; a Refusal when it cannot be. Users are
    taken at their word where an annotation says that what does not fit is theirs to answer for.
    """
    assert workspace.tuning is not None
    for refusal in untuned(workspace, model, catalog):
        return refusal
    data_gib = settings.data_limit / GIB
    found = tuning(model, gpus, training, data_gib=data_gib)
    if isinstance(found, Tuning):
        return found
    if labels.BYPASS_RESOURCE_CHECKS in workspace.metadata.annotations:
        return attempted(model, gpus, training, data_gib=data_gib)
    asked = workspace.resource.instance_type
    offers = tuning_sizes(model, catalog, training, cloud=settings.cloud, data_gib=data_gib)
    sizes = [each.sku.name for each in islice(offers, EXAMPLES)]
    words = "sizes that do are" if len(sizes) > 1 else "the only size that does is"
    return Refusal(
        path="tuning.preset.name",
        reason=conditions.MODEL_DOES_NOT_FIT,
        message=f"tuning.preset.name {workspace.tuning.preset.name} does not fit "
        f"{f'on {asked}' if asked else 'on the nodes selected'}: {found.message}"
        f"{clause(words, sizes)}.",
    )
