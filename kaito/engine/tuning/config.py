"""training_config.yaml: upstream's sections, checked, with everything that nobody said. Pure.

No value is ever named in an error, for a ConfigMap may hold what is nobody's business. The defaults
are those of the templates that the manager gives (kaito/catalog/data/*_params_template.yaml); a
test shows that both say the same.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.keys import OLDER, SECTIONS, WITHOUT_EFFECT, refusal

NAME = "training_config.yaml"
LONGEST = 64 * 1024  # characters; a longer one is no configuration
DEPTH = 20  # levels of maps and lists
OUTPUT_ROOT = "/mnt"  # where a Pod's volumes are
SHOWN = 60  # characters of a name
SEED = 42  # upstream's and transformers'

DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "DataCollator": {},
        "DatasetConfig": {"shuffle_dataset": True, "shuffle_seed": SEED, "train_test_split": 1.0},
        "LoraConfig": {
            "lora_alpha": 8,
            "lora_dropout": 0.0,
            "r": 8,
            # All but the output head, which neither engine adapts.
            "target_modules": "all-linear",
        },
        "ModelConfig": {"torch_dtype": "auto"},
        "QuantizationConfig": {},
        "TrainingArguments": {
            "ddp_find_unused_parameters": False,
            "gradient_checkpointing": True,
            # Ten times that of training whole models, as LoRA's authors found.
            "learning_rate": 2e-4,
            "logging_first_step": True,
            "logging_steps": 10,
            "max_length": 1024,
            "num_train_epochs": 3.0,
            "optim": "adamw_torch",
            "per_device_train_batch_size": 1,
            "seed": SEED,
        },
    }
)
# What qlora says beside: the data type and the two rounds of its authors.
FOUR_BITS = MappingProxyType(
    {
        "bnb_4bit_compute_dtype": "auto",
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How to train: settings by their libraries' names."""

    collator: Mapping[str, Any]
    dataset: Mapping[str, Any]
    lora: Mapping[str, Any]
    model: Mapping[str, Any]
    quantization: Mapping[str, Any]
    """Empty for method lora."""
    training: Mapping[str, Any]
    notices: tuple[str, ...] = ()
    """Sentences about what was said and does nothing, or not what one may think."""

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """All of it by sections, for a card and for telling two configurations apart."""
        return {
            "ModelConfig": self.model,
            "QuantizationConfig": self.quantization,
            "LoraConfig": self.lora,
            "TrainingArguments": self.training,
            "DatasetConfig": self.dataset,
            "DataCollator": self.collator,
        }

    @property
    def digest(self) -> str:
        """Tells one configuration from another."""
        text = json.dumps(self.settings, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read(text: str, *, method: str, output: str, own_code: bool = False) -> Config:
    """The settings that a text says; "" says none.

    `output` is the directory of the results; `own_code` whether an administrator allows that a
    model brings its own code. Ended with CONFIG_INVALID names what is wrong.
    """
    said = dict(_sections(text))
    training = said["TrainingArguments"]
    _output(training.pop("output_dir", None), output)
    if said["ModelConfig"].get("trust_remote_code") and not own_code:
        raise _wrong(
            "ModelConfig.trust_remote_code runs a model's own code, which an administrator has "
            "to allow: take it out"
        )
    if training.get("bf16") and training.get("fp16"):
        raise _wrong("TrainingArguments has bf16 and fp16: keep one")
    _columns(said["DatasetConfig"])
    quantization = _quantization(said["QuantizationConfig"], method)
    full = {name: {**DEFAULTS[name], **section} for name, section in said.items()}
    return Config(
        collator=full["DataCollator"],
        dataset=full["DatasetConfig"],
        lora=full["LoraConfig"],
        model=full["ModelConfig"],
        quantization=quantization,
        training=full["TrainingArguments"],
        notices=tuple(_notices(full)),
    )


def _sections(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = _parsed(text)
    whole = found.pop("training_config", {}) or {}
    if found:
        raise _wrong(f"{_shown(next(iter(found)))} is no part of it: all stands in training_config")
    if not isinstance(whole, Mapping):
        raise _wrong("training_config must be a map of sections")
    for name in whole:
        if name not in SECTIONS:
            raise _wrong(
                f"{_shown(name)} is no section{_near(name, SECTIONS)}; sections are "
                f"{', '.join(SECTIONS)}"
            )
    for name in SECTIONS:
        section = whole.get(name) or {}
        if not isinstance(section, Mapping):
            raise _wrong(f"{name} must be a map of settings and values")
        yield name, dict(_settings(name, section))


def _settings(section: str, said: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    known = SECTIONS[section]
    for key, value in said.items():
        name = OLDER.get(key, key) if section == "TrainingArguments" else key
        if name != key and name in said:
            raise _wrong(f"{section} has {key} and {name}, which are the same: keep {name}")
        if section == "TrainingArguments" and name == "report_to" and value in ("none", [], None):
            continue
        if section == "TrainingArguments" and name == "report_to":
            raise _wrong(
                f"{section}.report_to sends the training's figures elsewhere, and the trainer "
                "sends nothing anywhere: take it out, and read /metrics or the Workspace's status"
            )
        if why := refusal(section, str(name)):
            raise _wrong(f"{section}.{name} cannot be said here, for {why}: take it out")
        kind = known.get(name)
        if kind is None:
            raise _wrong(f"{section}.{_shown(name)} is no setting{_near(name, known)}")
        if value is None:
            continue
        try:
            yield name, kind.read(value)
        except (ValueError, OverflowError):
            raise _wrong(f"{section}.{key} must be {kind.wanted}") from None


def _parsed(text: str) -> dict[Any, Any]:
    if len(text) > LONGEST:
        raise _wrong(f"it is longer than {LONGEST} characters")
    try:
        _bounded(text)
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _wrong(f"it is no YAML{where}") from None
    except (ValueError, OverflowError, RecursionError):
        raise _wrong("it holds a number or a date that is none: put it in quotes") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _wrong("it must be a map that has training_config")
    return found


def _bounded(text: str) -> None:
    """Ended for a text that is small and whose value is not, or that makes objects."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _wrong("a * repeats another part: write it out")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            raise _wrong("a ! gives a value a type: write the value alone")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise _wrong(f"it nests deeper than {DEPTH} levels")


def _output(said: str | None, output: str) -> None:
    if said is None:
        return
    place = posixpath.normpath(said)
    roots = (OUTPUT_ROOT, posixpath.normpath(output))
    if not (place == roots[1] or any(place.startswith(root + "/") for root in roots)):
        raise _wrong(f"TrainingArguments.output_dir must be a directory below {OUTPUT_ROOT}")


def _columns(dataset: Mapping[str, Any]) -> None:
    named = [name for name in ("context_column", "response_column") if name in dataset]
    if "messages_column" in dataset and named:
        raise _wrong(
            f"DatasetConfig has messages_column and {named[0]}: chats are in one column, questions "
            "and answers in two; keep what the data has"
        )
    if named == ["context_column"]:
        raise _wrong("DatasetConfig.context_column needs response_column, where the answers are")


def _quantization(said: dict[str, Any], method: str) -> dict[str, Any]:
    four, eight = (said.get(f"load_in_{bits}bit") for bits in (4, 8))
    if four and eight:
        raise _wrong("QuantizationConfig has load_in_4bit and load_in_8bit: keep one")
    if method == "lora":
        if four or eight:
            raise _wrong("QuantizationConfig loads fewer bits, which is method qlora: this is lora")
        return {}
    if eight:
        return {**said, "load_in_4bit": False}
    if four is False:
        raise _wrong("QuantizationConfig needs load_in_4bit or load_in_8bit for method qlora")
    return {**FOUR_BITS, **said, "load_in_4bit": True}


def _notices(full: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    lora, training = full["LoraConfig"], full["TrainingArguments"]
    for section, names in WITHOUT_EFFECT.items():
        for name, why in names.items():
            if full[section].get(name):
                yield f"{section}.{name} has no effect: {why}."
    if lora.get("use_dora") or lora.get("bias", "none") != "none":
        yield (
            "vLLM serves no adapters with DoRA or biases: serve this one with the annotation "
            "kaito.sh/runtime: transformers."
        )
    if (
        full["DatasetConfig"]["train_test_split"] == 1
        and training.get("eval_strategy", "no") != "no"
    ):
        yield (
            "TrainingArguments.eval_strategy has no effect, as DatasetConfig.train_test_split 1 "
            "keeps no records to evaluate with."
        )


def _near(name: object, known: Mapping[str, object]) -> str:
    found = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; the nearest is {found[0]}" if found else ""


def _shown(name: object) -> str:
    text = "".join(each if each.isprintable() else "?" for each in str(name))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _wrong(what: str) -> Ended:
    return Ended(Ending.CONFIG_INVALID, f"{NAME}: {what}.")
