"""What the ConfigMap of a tuning, or the template in its place, says of memory and time. Pure.

What is wrong with a ConfigMap is parameters.py's to say; what cannot be understood here takes the
trainer's default. Nothing here puts a value of a ConfigMap into a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaito.api.workspace import Tuning, Workspace
from kaito.catalog.catalog import Catalog
from kaito.catalog.model import Model
from kaito.catalog.training import Bits, Method, Training
from kaito.catalog.tuning import untunable
from kaito.controllers.workspace.parameters import Config, training_sections
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.tuned import Trial

LONGEST = 2**31  # of a number that means something
DIGITS = 12
MOST_TARGETS = 256


def trial_of(
    workspace: Workspace,
    model: Model | None,
    config: Config | None,
    catalog: Catalog,
    settings: Settings,
) -> Trial | None:
    """The training that a Workspace asks for; None for one that serves, and for a model that nobody
    knows or that cannot be tuned."""
    if workspace.tuning is None or model is None or untunable(model) is not None:
        return None
    return Trial(
        model=model,
        training=training_of(workspace.tuning, config),
        catalog=catalog,
        settings=settings,
    )


def training_of(tuning: Tuning, config: Config | None) -> Training:
    """The training that is asked for; `config` is the ConfigMap that it names, None for none."""
    method: Method = "qlora" if tuning.method.lower() == "qlora" else "lora"
    sections = training_sections(config)
    usual = Training(method=method)
    arguments = _section(sections, "TrainingArguments")
    adapter = _section(sections, "LoraConfig")
    quantization = _section(sections, "QuantizationConfig")
    bits: Bits = 16 if method == "lora" else 8 if quantization.get("load_in_8bit") is True else 4
    model = _section(sections, "ModelConfig")
    length = arguments.get("max_length", arguments.get("max_seq_length"))
    checkpointing = arguments.get("gradient_checkpointing")
    optimizer = arguments.get("optim")
    return Training(
        method=method,
        bits=bits,
        wide=model.get("torch_dtype", model.get("dtype")) == "float32",
        double=quantization.get("bnb_4bit_use_double_quant") is not False,
        rank=_number(adapter.get("r")) or usual.rank,
        dropout=adapter.get("lora_dropout", 0) not in (0, None),
        targets=_targets(adapter.get("target_modules")) or usual.targets,
        batch=_number(arguments.get("per_device_train_batch_size")) or usual.batch,
        length=_number(length) or usual.length,
        checkpointing=checkpointing if isinstance(checkpointing, bool) else usual.checkpointing,
        whole_logits=arguments.get("label_smoothing_factor", 0) not in (0, None),
        optimizer=optimizer if isinstance(optimizer, str) else usual.optimizer,
    )


def _section(sections: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = sections.get(name)
    return found if isinstance(found, Mapping) else {}


# Any: values of a ConfigMap, of which the trainer reads texts that are numbers, too.
def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < DIGITS:
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 < value < LONGEST else None


def _targets(value: Any) -> tuple[str, ...]:
    # One text is a pattern of paths, or the word for all: both may come to every projection.
    if not isinstance(value, list) or len(value) > MOST_TARGETS:
        return ()
    return tuple(name for name in value if isinstance(name, str))
