"""Can a model be tuned on a node, and what would have to change so that it can?

Every GPU of one node trains the whole model on examples of its own (data parallel): several nodes
or a model in pieces are not for this trainer. The account of each GPU is footprint.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kaito.catalog.capability import TRANSFORMERS, objection
from kaito.catalog.catalog import Catalog
from kaito.catalog.estimate import Misfit
from kaito.catalog.footprint import Footprint, footprint
from kaito.catalog.memory import largest
from kaito.catalog.model import DISK_OVERHEAD_GIB, Model
from kaito.catalog.projection import LAYOUTS, adapter_parameters, projections
from kaito.catalog.replacement import replacements
from kaito.catalog.sku import Gpus, Sku
from kaito.catalog.training import Training

DATA_GIB = 20  # what training data may be, unless the manager is told otherwise
# How often the trainer writes training data on its way to tokens: at most, measured on short texts.
WRITTEN = 10
LARGEST_DISK_GIB = 2048  # that AKS gives a node; more data than that is a volume's
SHORTEST = 16  # tokens; nothing is learned from less


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A training that runs on one node."""

    gpus: Gpus
    training: Training
    footprint: Footprint | None
    """What it takes of each GPU; None where that cannot be told."""
    parameters: int
    """How many numbers are trained."""
    disk_gib: int
    """The disk that its node needs."""

    @property
    def processes(self) -> int:
        """One for each GPU."""
        return self.gpus.count


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningOffer:
    """A training that runs on a node of a size."""

    model: Model
    sku: Sku
    tuning: Tuning

    @property
    def usd_per_hour(self) -> float | None:
        """List price of the node; None where no price is known."""
        return self.sku.price.usd_per_hour if self.sku.price else None


def untunable(model: Model) -> str | None:
    """Why a model cannot be tuned, a sentence without its full stop; None where it can."""
    if model.architecture not in LAYOUTS:
        if model.architecture is None:
            return f"nobody knows the architecture of {model.name}"
        return f"{model.name} is a {model.architecture}, whose layers the trainer does not know"
    if model.quantization is not None:
        return (
            f"the weights of {model.name} are quantised already ({model.quantization}), and an "
            "adapter is trained on those as they were made: name the model that it was quantised "
            "from, with method qlora for as little memory"
        )
    return None


def tunable(catalog: Catalog) -> list[Model]:
    """The models of a catalogue that can be tuned, by name; presets of earlier releases last."""
    known = {model.name: model for model in catalog.models.values()}.values()
    able = [model for model in known if untunable(model) is None]
    return sorted(able, key=lambda model: (model.historical, model.name.lower()))


def tuning(
    model: Model, gpus: Gpus, training: Training, *, data_gib: float = DATA_GIB
) -> Tuning | Misfit:
    """How a model is tuned on one node with these GPUs, or what is missing and what to change.

    `data_gib` is the most that the training data may be. What cannot be told is not held against
    it. The model must be one that can be tuned.
    """
    found = attempted(model, gpus, training, data_gib=data_gib)
    training, account = found.training, found.footprint
    if projections(model) is not None and not found.parameters:
        names = ", ".join(LAYOUTS[model.architecture or ""].sides)
        return Misfit(
            message=f"none of the projections that the adapter is for is in {model.name}, which "
            f"has {names}"
        )
    lacking = objection(
        TRANSFORMERS, gpus, quantization="bitsandbytes" if training.bits != 16 else None
    )
    if lacking is not None:
        return Misfit(message=lacking.removesuffix("."))
    if account is not None and not account.fits:
        changes = [*_changes(model, gpus, training)]
        way_out = f": {' or '.join(changes)}" if changes else ""
        return Misfit(
            message=f"{training.method} of {model.name} with {training.batch} x "
            f"{training.length:,} tokens takes {account.needed:.1f} GiB of each GPU, and {gpus} "
            f"leaves {account.usable:.1f}{way_out}"
        )
    return found


def attempted(
    model: Model, gpus: Gpus, training: Training, *, data_gib: float = DATA_GIB
) -> Tuning:
    """The same, whether or not it can be."""
    training = replace(training, length=min(training.length, model.context or training.length))
    return Tuning(
        gpus=gpus,
        training=training,
        footprint=footprint(model, gpus, training),
        parameters=adapter_parameters(model, training.targets, training.rank),
        disk_gib=min(
            LARGEST_DISK_GIB,
            int((model.weights_gib or 0) + DISK_OVERHEAD_GIB + (1 + WRITTEN) * data_gib),
        ),
    )


def tuning_sizes(
    model: Model, catalog: Catalog, training: Training, *, cloud: str, data_gib: float = DATA_GIB
) -> Iterator[TuningOffer]:
    """The sizes of a cloud on which it surely runs, the cheapest first."""
    for sku in replacements(catalog, cloud=cloud, suits=lambda _: True):
        found = tuning(model, sku.gpus, training, data_gib=data_gib)
        if isinstance(found, Tuning) and found.footprint is not None:
            yield TuningOffer(model=model, sku=sku, tuning=found)


def _changes(model: Model, gpus: Gpus, training: Training) -> Iterator[str]:
    """What each for itself would make it fit, the mildest first."""

    def fits(other: Training) -> bool:
        found = footprint(model, gpus, other)
        return found is not None and found.fits

    batch = largest(
        training.batch - 1, lambda size: not size or fits(replace(training, batch=size))
    )
    if batch:
        yield f"set per_device_train_batch_size to {batch}"
    if not training.checkpointing and fits(replace(training, checkpointing=True)):
        yield "set gradient_checkpointing to true"
    length = largest(
        training.length - 1, lambda tokens: not tokens or fits(replace(training, length=tokens))
    )
    if length >= SHORTEST:
        yield f"set max_length to {length:,}"
    if training.bits == 16 and fits(replace(training, method="qlora", bits=4)):
        yield "take method qlora"
