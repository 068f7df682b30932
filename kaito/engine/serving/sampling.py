"""How each request of a batch gets its next token as it wishes.

Continuous batching of transformers has one way to choose tokens for all requests, and of what a
request may say it takes temperature, top_k and top_p alone. This is its extension point, a logits
processor of its own kind, which lets every request of a batch have what `generate` has: the
processors that `generate` would use are applied to that request's row. The batch then takes the
highest score of each row, so a row that is sampled gets scores whose highest is a sample
(probabilities divided by exponential noise, as torch.multinomial does it), and a greedy row stays
as it is.

It keeps Python objects between the scheduler and the forward pass, so it is for batches that are
neither pipelined nor captured as CUDA graphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessorList,
)

from kaito.engine.serving.questions import GREEDY, Wish


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What the batch must know of one request. Shared by its copies, as when it is put aside."""

    adapter: str
    """The adapter that it asks, "" for the model itself."""
    sampled: bool
    kind: tuple[float | None, ...]
    """Rows of one kind are processed together."""
    processors: LogitsProcessorList
    alone: bool
    """Whether the processors look at the tokens so far, which differ from row to row."""
    wish: Wish
    generator: torch.Generator | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> Row:
        return self


class Sampler(ContinuousBatchingLogitsProcessorList):
    """Applies each row's own processors. Used by the one thread that generates.

    In the place of the list that transformers makes of its own processors, which carries their
    numbers in tensors that are filled for each token.
    """

    def __init__(self) -> None:
        super().__init__(LogitsProcessorList())
        self.supported_keys = {"row": Row}
        self._states: list[Any] = []

    def prepare_tensor_args(self, requests_in_batch: list[Any], arg_storage: torch.Tensor) -> Any:
        """Remember whose the rows of the next scores are, and whether any must be changed."""
        self._states = [each.state for each in requests_in_batch if each.has_new_token]
        rows = (each.logit_processor_kwargs["row"] for each in self._states)
        self.do_processing = any(each.sampled or each.alone for each in rows)
        return arg_storage

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, logits_processor_args: torch.Tensor
    ) -> torch.Tensor:
        groups: dict[tuple[object, ...], list[int]] = {}
        for place, state in enumerate(self._states):
            row: Row = state.logit_processor_kwargs["row"]
            if row.alone or row.generator is not None:
                scores[place] = _chosen(row, _alone(row, state, scores[place : place + 1]))[0]
            elif row.sampled:
                groups.setdefault(row.kind, []).append(place)
        for places in groups.values():
            row = self._states[places[0]].logit_processor_kwargs["row"]
            if len(places) == len(scores):
                return _chosen(row, row.processors(None, scores))
            scores[places] = _chosen(row, row.processors(None, scores[places]))
        return scores


def row(model: Any, config: GenerationConfig, wish: Wish, adapter: str, prompt: int) -> Row:
    """How a request with a prompt of so many tokens is answered. `config` is the model's own, and
    is changed to what the request wishes."""
    for name in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty"):
        if (value := getattr(wish, name)) is not None:
            setattr(config, name, value)
    if wish.temperature is not None:
        config.do_sample = wish.temperature >= GREEDY
    elif any(each is not None for each in (wish.top_p, wish.top_k, wish.min_p)):
        # Who narrows the choice wants one.
        config.do_sample = True
    if not config.do_sample:
        config.temperature = config.top_p = config.top_k = config.min_p = None
    if wish.min_tokens:
        config.min_new_tokens = wish.min_tokens
    if wish.logit_bias:
        config.sequence_bias = {(token,): bias for token, bias in wish.logit_bias.items()}
    processors = model._get_logits_processor(
        config, input_ids_seq_length=prompt, device=model.device
    )
    generator = None
    if wish.seed is not None and config.do_sample:
        generator = torch.Generator(model.device).manual_seed(wish.seed)
    return Row(
        adapter=adapter,
        sampled=bool(config.do_sample),
        kind=(config.temperature, config.top_p, config.top_k, config.min_p),
        processors=processors,
        alone=bool(
            (config.repetition_penalty or 1) != 1
            or config.no_repeat_ngram_size
            or config.sequence_bias
            or config.min_new_tokens
            or wish.frequency_penalty
            or wish.presence_penalty
        ),
        wish=wish,
        generator=generator,
    )


def _alone(row: Row, state: Any, scores: torch.Tensor) -> torch.Tensor:
    tokens = state.initial_tokens + state.generated_tokens
    ids = torch.tensor([tokens], device=scores.device)
    if row.wish.frequency_penalty or row.wish.presence_penalty:
        start = state._true_initial_tokens or len(state.initial_tokens)
        scores = _penalised(row.wish, tokens[start:], scores)
    return row.processors(ids, scores)


def _penalised(wish: Wish, answer: list[int], scores: torch.Tensor) -> torch.Tensor:
    """OpenAI's two penalties, for tokens of the answer so far."""
    counts = torch.bincount(
        torch.tensor(answer, dtype=torch.int64, device=scores.device), minlength=scores.shape[-1]
    )
    return scores - wish.frequency_penalty * counts - wish.presence_penalty * (counts > 0)


def _chosen(row: Row, scores: torch.Tensor) -> torch.Tensor:
    """Scores whose highest is the token to take."""
    if not row.sampled:
        return scores
    noise = torch.empty_like(scores).exponential_(generator=row.generator)
    return scores.softmax(dim=-1) / noise
