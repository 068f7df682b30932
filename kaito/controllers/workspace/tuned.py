"""Whether the model of a tuning can be trained, on which GPUs, and how fast. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from kaito.api import conditions, labels
from kaito.api.words import clause
from kaito.api.workspace import Workspace
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import Misfit
from kaito.catalog.memory import GIB
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus
from kaito.catalog.throughput import Speed, speed
from kaito.catalog.training import Training
from kaito.catalog.tuning import (
    Tuning,
    TuningOffer,
    attempted,
    tunable,
    tuning,
    tuning_sizes,
    untunable,
)
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.settings import Settings

EXAMPLES = 3  # sizes that a message lists
NEAREST = 5  # presets that a message lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A training of a model that can be tuned, wherever it may be tried."""

    model: Model
    training: Training
    catalog: Catalog
    settings: Settings

    def on(self, gpus: Gpus) -> Tuning | Misfit:
        """What it takes of a node with these GPUs; Misfit where they do not have it."""
        return tuning(self.model, gpus, self.training, data_gib=self._data_gib)

    def attempted_on(self, gpus: Gpus) -> Tuning:
        """What it takes of a node with these GPUs, whether or not they have it."""
        return attempted(self.model, gpus, self.training, data_gib=self._data_gib)

    def speed_on(self, gpus: Gpus) -> Speed | None:
        """How fast a node with these GPUs trains; None where that cannot be told."""
        training = self.attempted_on(gpus).training
        return speed(self.model, gpus, training, self.catalog.products.values())

    def sizes(self) -> Iterator[TuningOffer]:
        """The sizes on which it runs, the cheapest first."""
        return tuning_sizes(
            self.model,
            self.catalog,
            self.training,
            cloud=self.settings.cloud,
            data_gib=self._data_gib,
        )

    @property
    def _data_gib(self) -> float:
        return self.settings.data_limit / GIB


def untuned(workspace: Workspace, model: Model, catalog: Catalog) -> Iterator[Refusal]:
    """Why a model cannot be tuned wherever it is tried; nothing for a Workspace that serves."""
    refused = untunable(model)
    if workspace.tuning is None or refused is None:
        return
    yield Refusal(
        path="tuning.preset.name",
        reason=conditions.NOT_SUPPORTED,
        message=f"tuning.preset.name is {workspace.tuning.preset.name}, which cannot be tuned: "
        f"{refused}{clause('presets near its size that can be are', _near(model, catalog))}.",
    )


def _near(model: Model, catalog: Catalog) -> list[str]:
    """Presets that can be tuned and that are open to everybody, the nearest in size first."""
    able = [
        each
        for each in tunable(catalog)
        if each.aliases and each.access == "open" and not each.historical
    ]
    size = model.weights_gib or 0.0
    able.sort(key=lambda each: abs((each.weights_gib or 0.0) - size))
    return [each.aliases[0] for each in able[:NEAREST]]


def fit_tuning(workspace: Workspace, trial: Trial, gpus: Gpus) -> Tuning | Refusal:
    """How a training runs on one node with these GPUs; a Refusal when it cannot. Users are taken
    at their word where an annotation says that what does not fit is theirs to answer for."""
    found = trial.on(gpus)
    if isinstance(found, Tuning):
        return found
    if labels.BYPASS_RESOURCE_CHECKS in workspace.metadata.annotations:
        return trial.attempted_on(gpus)
    asked = workspace.resource.instance_type
    preset = workspace.tuning.preset.name if workspace.tuning else trial.model.name
    sizes = [each.sku.name for each in islice(trial.sizes(), EXAMPLES)]
    words = "sizes that do are" if len(sizes) > 1 else "the only size that does is"
    return Refusal(
        path="tuning.preset.name",
        reason=conditions.MODEL_DOES_NOT_FIT,
        message=f"tuning.preset.name {preset} does not fit "
        f"{f'on {asked}' if asked else 'on the nodes selected'}: {found.message}"
        f"{clause(words, sizes)}.",
    )
