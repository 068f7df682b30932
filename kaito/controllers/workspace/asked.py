"""The model and the GPUs that a Workspace asks for: how one lies on the other, and what would do
instead. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from pydantic import ValidationError

from kaito.api.workspace import Workspace
from kaito.catalog.capability import ENGINES
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import DEFAULT_CONTEXT, Estimate, Misfit
from kaito.catalog.model import Model
from kaito.catalog.offer import Offer, models_on
from kaito.catalog.replacement import ARCHITECTURE
from kaito.catalog.sku import Gpus, Sku
from kaito.catalog.throughput import Speed
from kaito.catalog.tuning import Tuning, TuningOffer
from kaito.controllers.workspace.crew import candidates, gpus_of, made_nodes, muster
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.parameters import told_to
from kaito.controllers.workspace.plan import Plan, plan
from kaito.controllers.workspace.presets import model_of, preset_of
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.sizes import gpus_advice, size_of, sizes_instead
from kaito.controllers.workspace.told import (
    Told,
    estimated,
    hindrance,
    nodes_for,
    on_nodes,
    sound,
    split_problems,
)
from kaito.controllers.workspace.training import trial_of
from kaito.controllers.workspace.tuned import Trial
from kaito.controllers.workspace.ways import way_of

NEAREST = 5  # sizes that are named instead
SMALLER = 3  # models that are named instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Nodes that are there and would be taken."""

    names: tuple[str, ...]
    """Those taken, the one whose GPUs count first."""
    others: int
    """How many more would do."""
    size: str
    """What the first says of its size; "" for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for, as far as it is understood."""

    workspace: Workspace
    model: Model | None
    """None for templates and names that are not known."""
    sku: Sku | None
    """None for nodes that are there and sizes that are not known."""
    own: Own | None = None
    """None where no node that is there would be taken."""
    gpus: Gpus | None
    """Of a node of that size, or of the node that is there; None where nobody knows."""
    told: Told
    trial: Trial | None = None
    """The training; None for a model that is served, and for one that cannot be tuned."""
    catalog: Catalog
    settings: Settings

    @property
    def tuned(self) -> Tuning | None:
        """What training takes of those GPUs, whether or not they have it; None where nothing is
        trained and where nobody knows the GPUs."""
        if self.trial is None or self.gpus is None:
            return None
        return self.trial.attempted_on(self.gpus)

    @property
    def speed(self) -> Speed | None:
        """How fast it trains there; None where that cannot be told."""
        if self.trial is None or self.gpus is None:
            return None
        return self.trial.speed_on(self.gpus)

    @property
    def estimate(self) -> Estimate | None:
        """How the model lies on those GPUs, where that can be told; of tuning it cannot."""
        if self.model is None or self.gpus is None or self.workspace.tuning is not None:
            return None
        count = self.workspace.resource.count
        nodes = nodes_for(self.model, self.gpus, self.told, count)
        if any(split_problems(self.model, self.gpus, self.told, nodes)):
            return None
        if not self.gpus.memory_gib:
            return on_nodes(self.model, self.gpus, count, self.told)
        found = estimated(self.model, self.gpus, self.told)
        return found if isinstance(found, Estimate) else None

    @property
    def hindrance(self) -> str | None:
        """Why the engine does not start there, or the training, a sentence without its full stop;
        None where nothing is known to keep it."""
        if self.trial is not None and self.gpus is not None:
            tried = self.trial.on(self.gpus)
            return tried.message if isinstance(tried, Misfit) else None
        found = self.estimate
        if found is None or self.model is None or self.gpus is None:
            return None
        engine = ENGINES[runtime_of(self.workspace)]
        return hindrance(engine, self.model, self.gpus, found, self.told)

    def warnings(self) -> Iterator[str]:
        """What should be known of GPUs that only nodes tell of, a sentence each."""
        if self.own is None or self.sku is not None or self.model is None or self.gpus is None:
            return
        if self.workspace.tuning is not None:
            return
        where = f"Node {self.own.names[0]}"
        found = gpus_advice(
            self.workspace, self.model, self.gpus, where, self.catalog, self.settings, self.told
        )
        yield from (each.message for each in found)

    def sizes(self) -> tuple[Offer | TuningOffer, ...]:
        """Sizes that run the model on one node, or train it, the cheapest first, where what is
        asked for does not."""
        unknown = self.gpus is None and not self.workspace.resource.instance_type
        if self.model is None or unknown or self._runs:
            return ()
        if self.workspace.tuning is not None:
            return tuple(islice(self.trial.sizes(), NEAREST)) if self.trial else ()
        found = sizes_instead(self.workspace, self.model, self.catalog, self.settings, self.told)
        return tuple(islice(found, NEAREST))

    def models(self) -> tuple[Offer, ...]:
        """Models that run on one node of the size, the largest first, where the one asked for does
        not."""
        sku, preset = self.sku, preset_of(self.workspace)
        if sku is None or sku.architecture != ARCHITECTURE or preset is None or self._runs:
            return ()
        if self.workspace.tuning is not None:
            return ()
        engine, context = ENGINES[runtime_of(self.workspace)], self.told.context or DEFAULT_CONTEXT
        found = models_on(sku, self.catalog, engine=engine, context=context)
        return tuple(islice((each for each in found if each.model.access == "open"), SMALLER))

    @property
    def _runs(self) -> bool:
        """Whether nothing is known against the model on those GPUs."""
        if self.model is None or self.gpus is None:
            return False
        bootable = self.sku is None or self.sku.architecture == ARCHITECTURE
        if self.trial is not None:
            return bootable and self.hindrance is None
        if not self.gpus.memory_gib:
            return self.hindrance is None
        together = self.estimate
        if together is not None and together.nodes > 1:
            return self.hindrance is None and not together.problems
        engine = ENGINES[runtime_of(self.workspace)]
        return bootable and sound(engine, self.model, self.gpus, self.told)


def asked(observation: Observation, catalog: Catalog, settings: Settings) -> Asked | None:
    """What a Workspace asks for; None where it cannot be read."""
    try:
        read = Workspace.as_written(observation.workspace)
    except ValidationError:
        return None
    sku = size_of(read, catalog, settings)
    found = Asked(
        workspace=read,
        model=model_of(read, catalog),
        sku=sku,
        gpus=sku.gpus if sku else None,
        told=told_to(read, observation.config),
        trial=trial_of(read, model_of(read, catalog), observation.config, catalog, settings),
        catalog=catalog,
        settings=settings,
    )
    base = plan(
        observation.workspace, catalog=catalog, settings=settings, config=observation.config
    )
    if not isinstance(base, Plan):
        return found
    there = candidates(base, observation)
    told = (gpus_of(node) for node in (*made_nodes(observation), *there))
    found = replace(found, gpus=found.gpus or next(filter(None, told), None))
    brought = {node.name for node in muster(base, observation, way_of(settings)).brought}
    taken = [node for node in there if node.name in brought]
    if not taken:
        return found
    own = Own(
        names=tuple(node.name for node in taken),
        others=len(there) - len(taken),
        size=taken[0].instance_type,
    )
    return replace(found, own=own)
