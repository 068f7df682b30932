"""What the launcher is told: its own arguments on the command line, and the ConfigMap. Pure.

Both are upstream KAITO's formats (kaito.md 5.1). Everything else on the command line is vLLM's.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

ADAPTERS = "/mnt/adapter"
SECTIONS = ("kv_cache_cpu_memory_utilization", "max_probe_steps", "vllm")


class Unusable(Exception):
    """The engine cannot be started as it was told; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One command line."""

    words: tuple[str, ...]
    """Of vLLM."""
    adapters: str = ADAPTERS
    """The directory that adapters are mounted below."""
    config: str = ""
    """The file that the ConfigMap is mounted as, "" for none."""
    offload: float | None = None
    """The share of the container's memory that may hold parts of the KV cache; None: not said."""
    limited: bool = True
    """Whether requests are refused when too many wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a ConfigMap says."""

    vllm: Mapping[str, object] = field(default_factory=dict)
    """Arguments by name, spelt with '-'; the values are YAML's."""
    offload: float | None = None


def asked(words: Sequence[str]) -> Asked:
    """The command line in two parts. Unusable when one of ours has a value that it cannot have."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--kaito-adapters-dir", default=ADAPTERS)
    parser.add_argument("--kaito-config-file", default="")
    parser.add_argument("--kaito-kv-cache-cpu-memory-utilization", default=None)
    parser.add_argument("--kaito-disable-rate-limit", action="store_true")
    # vLLM finds the longest context itself; upstream still writes it.
    parser.add_argument("--kaito-max-probe-steps")
    try:
        ours, rest = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise Unusable(f"The command line cannot be read: {error}.") from None
    share = ours.kaito_kv_cache_cpu_memory_utilization
    return Asked(
        words=tuple(rest),
        adapters=ours.kaito_adapters_dir,
        config=ours.kaito_config_file,
        offload=None if share is None else _share(share),
        limited=not ours.kaito_disable_rate_limit,
    )


def config(text: str) -> Config:
    """What the text under inference_config.yaml says. Unusable when it cannot be read; the sentence
    names no value, for a ConfigMap may hold what is nobody's business."""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise Unusable(f"inference_config.yaml is no YAML{where}.") from None
    if found is None:
        return Config()
    if not isinstance(found, dict):
        raise Unusable("inference_config.yaml must be a map.")
    if unknown := [str(name) for name in found if name not in SECTIONS]:
        raise Unusable(
            f"inference_config.yaml has {unknown[0]}, which is no section; sections are "
            f"{', '.join(SECTIONS)}."
        )
    flags = found.get("vllm") or {}
    if not isinstance(flags, dict):
        raise Unusable("inference_config.yaml: vllm must be a map of arguments and values.")
    share = found.get("kv_cache_cpu_memory_utilization")
    return Config(
        vllm={str(name).replace("_", "-"): value for name, value in flags.items()},
        offload=None if share is None else _share(share),
    )


def _share(said: object) -> float:
    try:
        share = float(str(said))
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:  # nan is in no order
        raise Unusable("kv_cache_cpu_memory_utilization must be a number from 0 to below 1.")
    return share
