"""Adapters in a batch: requests of one adapter at a time.

A batch of transformers is one sequence of tokens, and PEFT applies an adapter to whole sequences,
so two adapters cannot be in one forward pass. Requests of an adapter are a lane; lanes take turns.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager
from transformers.generation.continuous_batching.scheduler import (
    SCHEDULER_MAPPING,
    FIFOScheduler,
)

from kaito.engine.serving.outputs import Outputs
from kaito.engine.serving.sampling import Sampler

# Forward passes before others are let in: changing adapters goes through all layers, and waiting is
# felt. A hundredth of the work for a model of ordinary size.
TURN = 8
SCHEDULER = "kaito_lanes"


class LaneScheduler(FIFOScheduler):
    """First come, first served within a lane."""

    lane = ""
    _left = TURN

    def _process_candidates(self, candidates: Any, *given: Any) -> Any:
        # Of all lanes together, for their answers share the cache.
        room = self.max_requests_per_batch - len(self.active_requests)
        by_lane: dict[str, list[Any]] = {}
        for state in candidates:
            if state.request_id not in self.active_requests:
                room -= 1
                if room < 0:
                    continue
            by_lane.setdefault(_lane(state), []).append(state)
        if by_lane:
            self.lane = self._next(list(by_lane))
        return super()._process_candidates(by_lane.get(self.lane, []), *given)

    def _next(self, lanes: list[str]) -> str:
        """Whose turn it is."""
        self._left -= 1
        if self.lane in lanes and (self._left > 0 or len(lanes) == 1):
            return self.lane
        self._left = TURN
        # After this one in a fixed order, so that everybody's turn comes.
        order = sorted(lanes)
        return next((each for each in order if each > self.lane), order[0])


class LanedManager(ContinuousBatchingManager):
    """Continuous batching that switches to the adapter of each batch."""

    def __init__(self, model: Any, config: Any, cb_config: Any, adapters: frozenset[str]) -> None:
        SCHEDULER_MAPPING[SCHEDULER] = LaneScheduler
        cb_config.scheduler_type = SCHEDULER
        # Blocks are found again by their tokens, which other adapters make other values of.
        cb_config.allow_block_sharing = not adapters
        super().__init__(model, config, cb_config)
        self._adapters = adapters
        self._active: str | None = None
        self.logit_processor = Sampler()
        self.output_router = Outputs()

    def start(self) -> None:
        """Begin to generate. The cache is made here, where it is seen to fail; the base class makes
        it in its thread, unless it is there."""
        with torch.inference_mode():
            self.batch_processor = self._create_batch_processor()
        super().start()

    def _run_generation_loop(self) -> None:
        # Nothing learns in this thread, so no operation need be recorded: of a small model, whose
        # passes are many small operations, that is a fifth of the time.
        with torch.inference_mode():
            super()._run_generation_loop()

    def _generation_step(self) -> None:
        assert self.batch_processor is not None
        if self._adapters:
            self._activate(self.batch_processor.scheduler.lane)
        super()._generation_step()

    def _activate(self, adapter: str) -> None:
        if adapter == self._active:
            return
        if adapter:
            if not self._active:
                self.model.enable_adapters()
            self.model.set_adapter(adapter)
        else:
            self.model.disable_adapters()
        self._active = adapter


def _lane(state: Any) -> str:
    lane: str = state.logit_processor_kwargs["row"].adapter
    return lane
