"""ConfigMaps with settings: of the model server for inference, of the trainer for tuning. Pure.

What is wrong is said with the ConfigMap's name and key. The formats are upstream's: a YAML text
under one key (kaito.md 2.2).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from kaito.api.rules import Problem

INFERENCE_KEY = "inference_config.yaml"
TRAINING_KEY = "training_config.yaml"
SECTIONS = frozenset(
    [
        "ModelConfig",
        "QuantizationConfig",
        "LoraConfig",
        "TrainingArguments",
        "DatasetConfig",
        "DataCollator",
    ]
)
OUTPUT_ROOT = "/mnt"  # where volumes for results are
TEXT_LENGTH = 256 * 1024  # characters; a longer one is no configuration

Say = Callable[[str], Problem]


def inference_problems(
    config: Mapping[str, Any], *, context: int | None = None
) -> Iterator[Problem]:
    """What is wrong with a ConfigMap that inference.config names.

    `context` is the most tokens that the model takes, None when it is not known.
    """
    say = _sayer("inference.config", config, INFERENCE_KEY)
    found = _parsed(config, INFERENCE_KEY, say)
    if isinstance(found, Problem):
        yield found
        return
    flags = found.get("vllm")
    if flags is None:
        return
    if not isinstance(flags, Mapping):
        yield say("vllm must be a map of flags and values")
        return
    for flag, value in flags.items():
        if isinstance(value, Mapping | list):
            yield say(f"vllm.{flag} must be one value, as on a command line")
    length = flags.get("max-model-len")
    if length is None:
        return
    if not _whole(length) or int(length) < 1:
        yield say(f"vllm.max-model-len is {length!r}: write a whole number of tokens")
    elif context is not None and int(length) > context:
        yield say(f"vllm.max-model-len is {length}, and the model takes at most {context} tokens")


def training_problems(config: Mapping[str, Any], *, method: str) -> Iterator[Problem]:
    """What is wrong with a ConfigMap that tuning.config names, for this method."""
    say = _sayer("tuning.config", config, TRAINING_KEY)
    found = _parsed(config, TRAINING_KEY, say)
    if isinstance(found, Problem):
        yield found
        return
    training = found.get("training_config")
    if not isinstance(training, Mapping):
        yield say("training_config is missing: all settings stand under it")
        return
    for name in training:
        if name not in SECTIONS:
            yield say(f"{name!r} is no section; sections are {', '.join(sorted(SECTIONS))}")
        elif not isinstance(training[name] or {}, Mapping):
            yield say(f"{name} must be a map of settings and values")
    yield from _quantization(_section(training, "QuantizationConfig"), method, say)
    yield from _output(_section(training, "TrainingArguments"), say)


def _quantization(section: Mapping[str, Any], method: str, say: Say) -> Iterator[Problem]:
    bits = {name: section.get(name, False) for name in ("load_in_4bit", "load_in_8bit")}
    for name, value in bits.items():
        if not isinstance(value, bool):
            yield say(f"QuantizationConfig.{name} is {value!r}: write true or false")
    chosen = [name for name, value in bits.items() if value is True]
    if len(chosen) == 2:
        yield say("QuantizationConfig has load_in_4bit and load_in_8bit: keep one")
    if method.lower() == "lora" and chosen:
        yield say(f"QuantizationConfig.{chosen[0]} is for method qlora, and this is lora")
    if method.lower() == "qlora" and not chosen:
        yield say("QuantizationConfig needs load_in_4bit or load_in_8bit for method qlora")


def _output(section: Mapping[str, Any], say: Say) -> Iterator[Problem]:
    directory = section.get("output_dir")
    if directory is None:
        return
    inside = isinstance(directory, str) and posixpath.normpath(directory).startswith(
        OUTPUT_ROOT + "/"
    )
    if not inside:
        yield say(
            f"TrainingArguments.output_dir is {directory!r}: write a directory below {OUTPUT_ROOT}"
        )


def _section(training: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = training.get(name)
    return found if isinstance(found, Mapping) else {}


def _parsed(config: Mapping[str, Any], key: str, say: Say) -> Mapping[str, Any] | Problem:
    text = (config.get("data") or {}).get(key)
    if not isinstance(text, str):
        return say(f"the key {key} is missing")
    if len(text) > TEXT_LENGTH:
        return say(f"it is longer than {TEXT_LENGTH} characters")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return say(f"it is no YAML: {' '.join(str(error).split())[:200]}")
    if found is None:
        return {}
    return found if isinstance(found, Mapping) else say("it must be a map")


def _sayer(path: str, config: Mapping[str, Any], key: str) -> Say:
    name = config.get("metadata", {}).get("name", "")

    def say(what: str) -> Problem:
        return Problem(path=path, message=f"ConfigMap {name} ({path}), {key}: {what}.")

    return say


def _whole(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (
        isinstance(value, str) and value.isascii() and value.isdigit()
    )
