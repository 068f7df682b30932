"""ConfigMaps with settings: of the model server for inference, of the trainer for tuning. Pure.

What is wrong is said with the ConfigMap's name and key, and never with a value that is in it:
whoever can reach the webhook can ask it about any ConfigMap. The formats are upstream's: a YAML
text under one key (kaito.md 2.2).
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import yaml

from kaito.api import tuning
from kaito.api.rules import Problem
from kaito.api.words import listed, one_line, shown
from kaito.api.workspace import Workspace
from kaito.catalog.arguments import arguments
from kaito.catalog.precision import CacheType
from kaito.catalog.trainer_settings import trainer_settings
from kaito.controllers.workspace.runtimes import OWN_RUNTIME, runtime_of
from kaito.controllers.workspace.told import Told
from kaito.runtime import Object

INFERENCE_KEY = "inference_config.yaml"
TRAINING_KEY = "training_config.yaml"
KEYS = (INFERENCE_KEY, TRAINING_KEY)
# Of the first: what upstream's server reads there (kaito.md 5.1).
INFERENCE_SECTIONS = ("kv_cache_cpu_memory_utilization", "max_probe_steps", "vllm")
CONTEXT = "max-model-len"
UTILIZATION = "gpu-memory-utilization"
CACHE = "kv-cache-dtype"
TENSOR, PIPELINE, DATA = SPLIT = (
    "tensor-parallel-size",
    "pipeline-parallel-size",
    "data-parallel-size",
)
# What a ConfigMap must not say, and why: the engine would not be found, or a secret be read.
NOT_THERE = {
    **dict.fromkeys(
        ("port", "uds", "grpc", "headless", "ssl-certfile", "ssl-keyfile"),
        "probes and clients come over HTTP to the port that KAITO says",
    ),
    "api-key": "a ConfigMap keeps no secrets: annotate with kaito.sh/api-key-secret instead",
    "hf-token": "a ConfigMap keeps no secrets: name a Secret as modelAccessSecret instead",
}
NARROW = "fp8"  # how all names of caches with one byte a value begin
# Below which directories for results are, and of what their names are made: a mount path must not
# have a colon, and a longer one is none.
OUTPUT_ROOT = "/mnt"
OUTPUT = re.compile(r"/mnt(/[A-Za-z0-9._-]{1,63}){1,8}")
# What others have there.
OTHERS = (tuning.DATA, tuning.CONFIG, "/mnt/registry", "/mnt/adapter")
TOKENS_LENGTH = 12  # digits
TOKENS = re.compile(rf"[0-9]{{1,{TOKENS_LENGTH}}}")
TEXT_LENGTH = 64 * 1024  # characters; a longer one is no configuration
SLIPS = 20  # of a section that are told
HASH_LENGTH = 16
DEPTH = 20  # levels of maps and lists
# libyaml's parser where PyYAML was built with it; the other takes seconds for such a text.
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")

Say = Callable[[str], Problem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A ConfigMap that is named and not there."""

    name: str


Config: TypeAlias = Mapping[str, Any] | Missing
"""The ConfigMap that a Workspace names, as far as it is known. Any: it is checked here."""


def config_name(workspace: Object) -> str:
    """The ConfigMap that a Workspace names, "" for none."""
    for part in ("inference", "tuning"):
        named = workspace.get(part)
        name = named.get("config") if isinstance(named, Mapping) else None
        if isinstance(name, str) and name:
            return name
    return ""


def config_hash(config: Config | None) -> str:
    """Tells the settings of one ConfigMap from those of another, "" for none. Comments, spaces and
    what else is written on it, such as a tool's labels, make no difference; the order does."""
    if config is None or isinstance(config, Missing):
        return ""
    data = config.get("data") or {}
    text = json.dumps({key: _said(data[key]) for key in KEYS if key in data}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _said(text: object) -> object:
    """What a YAML text says, alike for texts that say the same; the text itself where it is none.

    Taken from the events of its parser, in which aliases are not followed: what a few of them hold
    may be without end.
    """
    if not isinstance(text, str) or len(text) > TEXT_LENGTH:
        return text
    try:
        events = [*yaml.parse(text, Loader=LOADER)]
    except yaml.YAMLError:
        return text
    parts = ("anchor", "tag", "implicit", "value")
    return [
        [type(each).__name__, *(getattr(each, part, None) for part in parts)] for each in events
    ]


def reads_config(workspace: Workspace) -> bool:
    """Whether what a Workspace runs reads the ConfigMap that it names: trainers and vLLM do."""
    if workspace.tuning is not None:
        return True
    served = workspace.inference is not None and workspace.inference.preset is not None
    return served and runtime_of(workspace) == OWN_RUNTIME


def told_to(workspace: Workspace, config: Config | None) -> Told:
    """What the engine of a Workspace is told of memory by its ConfigMap, or does unasked."""
    if reads_config(workspace):
        return told_by(config)
    return Told(staged=runtime_of(workspace) != OWN_RUNTIME)


def told_by(config: Config | None) -> Told:
    """What a ConfigMap for inference tells the engine of memory; what cannot be understood is
    nothing."""
    if config is None or isinstance(config, Missing):
        return Told()
    found = _parsed(config, INFERENCE_KEY, _sayer("inference.config", config, INFERENCE_KEY))
    # The last of two holds.
    given = {} if isinstance(found, Problem) else dict(_spelled(found.get("vllm")))
    return Told(
        context=_tokens(given.get(CONTEXT)) or None,
        utilization=_share(given.get(UTILIZATION)),
        cached=_cache_type(given.get(CACHE)),
        tensor=_tokens(given.get(TENSOR)) or None,
        pipeline=_tokens(given.get(PIPELINE)) or None,
        data=_tokens(given.get(DATA)) or None,
    )


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
    yield from _unknown(found, INFERENCE_SECTIONS, say)
    flags = found.get("vllm")
    if flags is not None and not isinstance(flags, Mapping):
        yield say("vllm must be a map of flags and values")
    seen: set[str] = set()
    for flag, value in _spelled(flags):
        if flag in seen:
            yield say(f"vllm.{shown(flag)} is given twice, for '_' and '-' mean the same: keep one")
        elif isinstance(value, Mapping | list):
            yield say(f"vllm.{shown(flag)} must be one value, as on a command line")
        elif flag == CONTEXT and value is not None:
            yield from _context(_tokens(value), context, say)
        elif flag == UTILIZATION and _share(value) is None:
            yield say(f"vllm.{flag} must be a number above 0 and at most 1")
        elif flag in SPLIT and not _tokens(value):
            yield say(f"vllm.{flag} must be a whole number of GPUs or of groups, at least 1")
        seen.add(flag)


def inference_slips(config: Mapping[str, Any]) -> Iterator[str]:
    """What the release of the engine that KAITO starts would not start with, a sentence each.

    Told and not refused, for an administrator may run the image of another release.
    """
    say = _sayer("inference.config", config, INFERENCE_KEY)
    found = _parsed(config, INFERENCE_KEY, say)
    known = arguments()
    for flag, value in () if isinstance(found, Problem) else _spelled(found.get("vllm")):
        argument, near = known.find(flag), known.nearest(flag)
        if argument is None:
            nearest = f"the nearest is {near}, and " if near else ""
            yield say(
                f"vllm.{shown(flag)} is no flag of vLLM {known.version}: {nearest}the engine does "
                "not start with a flag that it does not have"
            ).message
        elif flag in NOT_THERE:
            yield say(f"vllm.{flag} has no place there: {NOT_THERE[flag]}").message
        elif not isinstance(value, Mapping | list) and not argument.takes(value):
            wanted = f"vllm.{shown(flag)} must be {argument.wanted}"
            yield say(f"{wanted}: vLLM {known.version} does not start with another value").message


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
    sections = sorted(trainer_settings())
    yield from _unknown(training, sections, say)
    for name in sections:
        if not isinstance(training.get(name) or {}, Mapping):
            yield say(f"{name} must be a map of settings and values")
        yield from islice(_unsettable(name, _section(training, name), say), SLIPS)
    yield from _quantization(_section(training, "QuantizationConfig"), method, say)
    yield from _output(_section(training, "TrainingArguments"), say)


def training_sections(config: Config | None) -> Mapping[str, Any]:
    """What a ConfigMap for tuning says by sections; nothing where it cannot be understood."""
    if config is None or isinstance(config, Missing):
        return {}
    found = _parsed(config, TRAINING_KEY, _sayer("tuning.config", config, TRAINING_KEY))
    return {} if isinstance(found, Problem) else _section(found, "training_config")


def results_of(config: Config | None) -> str:
    """Where results are put, by the ConfigMap that a tuning names or without one. Presumes that
    there are no `training_problems`."""
    directory = _section(training_sections(config), "TrainingArguments").get("output_dir")
    return posixpath.normpath(directory) if isinstance(directory, str) else tuning.RESULTS


def _unknown(found: Mapping[Any, Any], known: Sequence[str], say: Say) -> Iterator[Problem]:
    for name in found:
        if name not in known:
            yield say(f"{shown(str(name))} is no section; sections are {listed(known)}")


def _unsettable(name: str, section: Mapping[Any, Any], say: Say) -> Iterator[Problem]:
    known = trainer_settings()[name]
    for setting in map(str, section):
        if why := known.refusal(setting):
            yield say(f"{name}.{setting} cannot be said here, for {why}: take it out")
        elif setting not in known.settings:
            near = known.nearest(setting)
            nearest = f"; the nearest is {near}" if near else ""
            yield say(f"{name}.{shown(setting)} is no setting{nearest}")


def _spelled(flags: object) -> Iterator[tuple[str, Any]]:
    """Flags as a command line has them, in which '_' and '-' mean the same."""
    for flag, value in flags.items() if isinstance(flags, Mapping) else ():
        yield str(flag).replace("_", "-"), value


def _context(tokens: int | None, most: int | None, say: Say) -> Iterator[Problem]:
    if not tokens:
        yield say(f"vllm.{CONTEXT} must be a whole number of tokens, at least 1")
    elif most is not None and tokens > most:
        yield say(f"vllm.{CONTEXT} must be at most {most}, which is all that the model takes")


def _quantization(section: Mapping[str, Any], method: str, say: Say) -> Iterator[Problem]:
    bits = {name: section.get(name, False) for name in ("load_in_4bit", "load_in_8bit")}
    for name, value in bits.items():
        if not isinstance(value, bool):
            yield say(f"QuantizationConfig.{name} must be true or false")
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
    found = posixpath.normpath(directory) if isinstance(directory, str) else ""
    if not found.startswith(f"{OUTPUT_ROOT}/"):
        yield say(f"TrainingArguments.output_dir must be a directory below {OUTPUT_ROOT}")
    elif not OUTPUT.fullmatch(found):
        yield say(
            "TrainingArguments.output_dir must be a directory whose name has letters, digits, '-', "
            "'_' and '.' alone"
        )
    elif any(_hold(found, each) for each in OTHERS):
        yield say(
            f"TrainingArguments.output_dir must be another directory than {listed(OTHERS)}, which "
            "hold something else, and not one inside or around them"
        )


def _hold(one: str, other: str) -> bool:
    """Whether one of two directories is the other or is inside it."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _section(training: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = training.get(name)
    return found if isinstance(found, Mapping) else {}


def _parsed(config: Mapping[str, Any], key: str, say: Say) -> Mapping[Any, Any] | Problem:
    text = (config.get("data") or {}).get(key)
    if not isinstance(text, str):
        return say(f"the key {key} is missing")
    if len(text) > TEXT_LENGTH:
        return say(f"it is longer than {TEXT_LENGTH} characters")
    try:
        _bounded(text)
        found = yaml.load(text, LOADER)  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        return say(f"it cannot be read as YAML: {_worded(error)}")
    except _Unreadable as why:
        return say(f"it cannot be read: {why}")
    except (ValueError, OverflowError):  # YAML's own shapes of numbers and dates, which are none
        return say("it holds a number or a date that is none: put it in quotes")
    if found is None:
        return say("it is empty: write settings there, or name no ConfigMap")
    return found if isinstance(found, Mapping) else say("it must be a map")


class _Unreadable(Exception):
    """Why a text is not looked at; the message ends a sentence."""


def _bounded(text: str) -> None:
    """_Unreadable for a text that is small and whose value is not, that nests without end, or that
    says by tags of what type its values are."""
    depth = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise _Unreadable("a * repeats another part: write it out")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            raise _Unreadable("a ! gives a value a type: write the value alone")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH:
            raise _Unreadable(f"it nests deeper than {DEPTH} levels")


def _worded(error: yaml.YAMLError) -> str:
    """What is wrong with a text and where, without a word of what is in it."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is no YAML"
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return one_line(where + _QUOTED.sub(_without_words, str(problem)), 200)


def _without_words(quoted: re.Match[str]) -> str:
    """What YAML expected, such as a bracket, is its own; all else in quotes may be of the text."""
    expected = quoted.string[: quoted.start()].endswith(("expected ", " or "))
    return quoted[0] if expected and len(quoted[0]) == len("','") else "..."


def _sayer(path: str, config: Mapping[str, Any], key: str) -> Say:
    name = config.get("metadata", {}).get("name", "")

    def say(what: str) -> Problem:
        return Problem(path=path, message=f"ConfigMap {name} ({path}), {key}: {what}.")

    return say


def _tokens(value: Any) -> int | None:
    """The whole number that is written there; None for what is none."""
    if isinstance(value, str):
        return int(value) if TOKENS.fullmatch(value) else None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 10**TOKENS_LENGTH else None


def _share(value: Any) -> float | None:
    """The share that is written there; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        share = float(value)
    except (ValueError, OverflowError):
        return None
    return share if 0 < share <= 1 else None


def _cache_type(value: Any) -> CacheType | None:
    """How the cache is kept; None for what the estimator has no figures of."""
    if not isinstance(value, str):
        return None
    return "fp8" if value.startswith(NARROW) else "auto"
