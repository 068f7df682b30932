"""The longest context of a model, from its configuration: the length that vLLM derives.

As _get_and_verify_max_len of vllm/config/model.py has it (v0.25.1), read from the rules and not
from the model: what a model does with longer requests is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kaito.catalog.config import Config

LENGTHS = (
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length"),
    *("max_target_positions", "max_sequence_length", "max_seq_length", "seq_len"),
)
"""Where vLLM looks, of which the shortest holds."""

OVERRIDING = "model_max_length"  # holds even where another is shorter (Command R)
ASSUMED = 2048  # tokens, where there is no length anywhere
MISTRAL = 128_000  # of a params.json without one (vllm/transformers_utils/configs/mistral.py)
# Types of rotary embeddings whose factor is in the length already; Gemma 3 writes no such type and
# yet is one of them.
COUNTED = frozenset({"su", "longrope", "llama3"})
COUNTED_MODELS = "gemma3"


@dataclass(frozen=True, slots=True)
class Length:
    """A context, tokens."""

    tokens: int
    assumed: bool = False
    """Nothing tells it, and so vLLM takes what it takes then."""


def context_of(config: Config, *, default: int | None) -> Length:
    """What vLLM derives; `default` is what the class of the configuration has for a length.

    Raises Unreadable for lengths and factors that are none.
    """
    told = config.number(OVERRIDING) or min(
        (length for key in LENGTHS if (length := config.number(key)) is not None), default=default
    )
    tokens = float(told or ASSUMED)
    if COUNTED_MODELS not in (config.text("model_type") or ""):
        tokens = _scaled(config, tokens)
    return Length(max(1, int(tokens)), assumed=told is None)


def _scaled(config: Config, tokens: float) -> float:
    """A length times the factor by which rotary embeddings are stretched."""
    factor = 1.0
    for rope in _ropes(config):
        kind = rope.text("rope_type", "type")
        if kind in COUNTED:
            continue
        factor = rope.factor("factor") or factor
        if kind == "yarn":
            original = "original_max_position_embeddings"
            tokens = config.number(original) or rope.number(original) or tokens
    return tokens * factor


def _ropes(config: Config) -> Iterable[Config]:
    """One for the whole model, or one for each type of its layers."""
    told = config.section("rope_parameters", "rope_scaling")
    if {"rope_type", "type", "factor"} & told.fields.keys():
        return [told]
    if config.section("yarn").fields:  # Mistral's own
        yarn = config.section("yarn")
        return [Config(config.owner, {**yarn.fields, "rope_type": "yarn"})]
    nested = (key for key, value in told.fields.items() if isinstance(value, dict))
    return [told.section(key) for key in nested]
