"""What vLLM is told: the manager's words, the user's ConfigMap, and what nobody said. Pure.

The ConfigMap wins over the manager, as upstream has it. Ours are a port that probes and clients
know, the middleware that stands in front, and time to finish what is under way.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kaito.engine.vllm.adapters import Adapter, max_rank
from kaito.engine.vllm.asked import Asked, Config, Unusable
from kaito.engine.vllm.memory import offload_gib

PORT = 5000
FRONT = "kaito.engine.vllm.front.Front"
# Within the 30 seconds that Kubernetes gives a Pod to end, with a margin for the end itself.
DRAIN_SECONDS = 25
# vLLM writes the arguments that it was given to its log.
SECRETS = {"api-key": "VLLM_API_KEY", "hf-token": "HF_TOKEN"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was found out about where the engine runs."""

    memory_share: float
    """The share of each GPU's memory that is free to be used."""
    memory_bytes: int
    """Of the container, 0 where nobody tells."""


def told(
    asked: Asked,
    config: Config,
    adapters: Sequence[Adapter],
    machine: Machine,
    options: Collection[str],
) -> list[str]:
    """vLLM's command line. `options` are all that its parser knows, with the dashes in front.

    Unusable for what the ConfigMap must not say or vLLM does not know; no value is named.
    """
    _check(config.vllm, options)
    said = {*_names(asked.words), *config.vllm}
    return [
        *asked.words,
        *_unsaid(asked, config, adapters, machine, said),
        *(word for name, value in config.vllm.items() for word in _word(name, value, options)),
        f"--middleware={FRONT}",
        f"--port={PORT}",
    ]


def _unsaid(
    asked: Asked, config: Config, adapters: Sequence[Adapter], machine: Machine, said: set[str]
) -> Iterator[str]:
    if not said & {"gpu-memory-utilization", "kv-cache-memory-bytes"}:
        if machine.memory_share <= 0:
            raise Unusable("The GPUs have no memory free: another process has it.")
        yield f"--gpu-memory-utilization={machine.memory_share:g}"
    if "max-model-len" not in said:
        yield "--max-model-len=auto"
    if "shutdown-timeout" not in said:
        yield f"--shutdown-timeout={DRAIN_SECONDS}"
    if "disable-access-log-for-endpoints" not in said:
        yield "--disable-access-log-for-endpoints=/health,/metrics"
    if adapters and "enable-lora" not in said:
        yield "--enable-lora"
    if adapters and "max-lora-rank" not in said:
        yield f"--max-lora-rank={max_rank(adapters)}"
    portion = asked.offload if config.offload is None else config.offload
    if portion and not said & {"kv-offloading-size", "kv-transfer-config"}:
        # Each copy of the model has a cache of its own.
        size = offload_gib(portion, machine.memory_bytes // _copies(asked, config))
        if size > 0:
            yield f"--kv-offloading-size={size:g}"


def _copies(asked: Asked, config: Config) -> int:
    name = "data-parallel-size"
    said = str(config.vllm.get(name) or dict(_pairs(asked.words)).get(name, ""))
    return max(1, int(said)) if said.isdecimal() else 1


def _check(flags: Mapping[str, object], options: Collection[str]) -> None:
    for name in flags:
        option = f"--{name.partition('.')[0]}"
        if name in SECRETS:
            raise Unusable(
                f"inference_config.yaml: vllm.{name} is a secret, and would be written to the "
                f"log: give the variable {SECRETS[name]} instead."
            )
        # vLLM's parser takes the beginning of a name, too.
        if not any(known.startswith(option) for known in options):
            raise Unusable(f"inference_config.yaml: vllm.{name} is no argument of this vLLM.")


def _word(name: str, value: object, options: Collection[str]) -> list[str]:
    """One setting as a command line has it."""
    flag = f"--no-{name}" in options
    if flag and str(value).lower() in ("true", "false"):
        value = str(value).lower() == "true"
    match value:
        case None | True:
            return [f"--{name}"]
        case False:
            return [f"--no-{name}"] if flag else []
        case dict():
            return [f"--{name}={json.dumps(value)}"]
        case list():
            return [f"--{name}", *map(str, value)]
    return [f"--{name}={value}"]


def _names(said: Sequence[str]) -> Iterator[str]:
    return (name for name, _ in _pairs(said))


def _pairs(said: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, after in pairwise([*said, ""]):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            yield name.replace("_", "-"), value if equals else after
