"""Requests under way: into the batch, out of it token by token, and away when nobody listens.

Built on continuous batching as `transformers serve` uses it, with what it lacks: wishes for each
request, stop texts, adapters, a bound for the queue, cancellation that leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from transformers.cli.serving.utils import (
    CBGenerateManager,
    CBWorkerDeadError,
    GenerationState,
    _StreamError,
)

from kaito.engine.errors import Refused
from kaito.engine.serving.lanes import LanedManager
from kaito.engine.serving.metrics import Measures
from kaito.engine.serving.prompts import TOO_LONG
from kaito.engine.serving.questions import Wish
from kaito.engine.serving.sampling import row
from kaito.engine.serving.stops import Stops
from kaito.engine.serving.streaming import Streamer


class Batch(CBGenerateManager):
    """All requests of the model, its adapters' included. Its methods are for one event loop."""

    def __init__(self, running: int, waiting: int, measures: Measures) -> None:
        super().__init__()
        self.most = running + waiting
        self.under_way = 0
        self.context = 0
        self._measures = measures

    def start(self, model: Any, cb_config: Any, context: int, adapters: frozenset[str]) -> None:
        """Begin to generate. Here and not with the first request, as the base class has it: what
        fails here, such as memory for the cache, must fail before anybody is told that the server
        is ready."""
        config = copy.deepcopy(model.generation_config)
        # The sampler chooses, so the batch itself takes the highest score.
        config.do_sample = False
        manager = LanedManager(model, config, cb_config, adapters)
        manager.start()
        self._cb, self.context = manager, context

    def init_cb(self, model: Any, gen_config: Any) -> None:
        """Nothing: it runs since the model was loaded."""

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        processor = None if self._cb is None else self._cb.batch_processor
        return 0 if processor is None else len(processor.scheduler.active_requests)

    @property
    def cache_usage(self) -> float:
        """What part of the cache is taken, 0 to 1."""
        processor = None if self._cb is None else self._cb.batch_processor
        return 0.0 if processor is None else 1.0 - processor.cache.compute_free_capacity()

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among the requests under way, for one whose prompt is being read. Raises Refused
        when there is none."""
        self._check_place()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def generate_streaming(
        self,
        model: Any,
        processor: Any,
        inputs: Any,
        gen_config: Any,
        request_id: str,
        response_parser: Any = None,
    ) -> tuple[asyncio.Queue[Any], Streamer]:
        """Add a request. Raises Refused when it does not fit, or too many are under way."""
        cb = self._cb
        assert cb is not None
        self._check_alive(request_id)
        wish: Wish = gen_config.wish
        prompt: list[int] = inputs["input_ids"]
        gen_config.max_new_tokens = self._room(len(prompt), wish)
        self._check_place()
        asked = row(model, gen_config, wish, gen_config.adapter, len(prompt))
        texts: asyncio.Queue[Any] = asyncio.Queue()
        measured = self._measures.begin(len(prompt))

        def done(reason: str) -> None:
            self.under_way -= 1
            with cb.output_router._lock:
                cb.output_router.result_handlers.pop(request_id, None)
            if reason == "stop" and streamer.total_tokens >= gen_config.max_new_tokens:
                reason = "length"
            measured.end(reason)

        def output(found: Any) -> None:
            measured.tokens(len(found.generated_tokens) - streamer.total_tokens)
            try:
                streamer.put(found)
            except Exception as problem:  # noqa: BLE001 - whatever it is, its client must hear of it
                streamer.fail(str(problem))

        streamer = Streamer(
            cb,
            request_id,
            getattr(processor, "tokenizer", processor)._tokenizer,
            asyncio.get_running_loop(),
            texts,
            response_parser=response_parser,
            stops=Stops(wish.stop),
            done=done,
        )
        self.under_way += 1
        # Before the request, for its first token may come at once.
        cb.register_result_handler(request_id, output)
        cb.add_request(
            prompt,
            request_id=request_id,
            streaming=True,
            max_new_tokens=gen_config.max_new_tokens,
            eos_token_id=-1 if wish.ignore_eos else gen_config.eos_token_id,
            row=asked,
        )
        return texts, streamer

    async def whole(self, *asked: Any, **named: Any) -> tuple[list[Any], Streamer]:
        """All pieces of an answer: a stream that is read here, so that a stop text or a client that
        goes ends it at once."""
        texts, streamer = self.generate_streaming(*asked, **named)
        found = []
        try:
            while (item := await texts.get()) is not None:
                if isinstance(item, _StreamError):
                    raise self._failure(item.msg)
                found.append(item)
        finally:
            streamer.cancel()
        return found, streamer

    async def generate_non_streaming(
        self, model: Any, processor: Any, inputs: Any, gen_config: Any, request_id: str
    ) -> tuple[str, int, list[int]]:
        """A whole text, its length in tokens before and its tokens."""
        found, streamer = await self.whole(model, processor, inputs, gen_config, request_id)
        return "".join(found), len(inputs["input_ids"]), streamer.tokens

    def _check_place(self) -> None:
        if self.under_way >= self.most:
            self._measures.rejected.inc()
            raise Refused(
                f"{self.under_way} requests are under way, and no more can wait; try again.",
                status=429,
                code="rate_limit_exceeded",
            )

    def _room(self, prompt: int, wish: Wish) -> int:
        """How many tokens the answer may have."""
        context = self.context
        room = context - prompt
        if room < 1:
            raise Refused(
                f"The prompt has {prompt} tokens, and the model reads {context} with its answer; "
                "shorten it.",
                code=TOO_LONG,
            )
        if wish.max_tokens is None:
            return room
        if wish.max_tokens > room:
            raise Refused(
                f"max_tokens is {wish.max_tokens}, and after a prompt of {prompt} tokens there is "
                f"room for {room} of the model's {context}.",
                param="max_tokens",
                code=TOO_LONG,
            )
        return wish.max_tokens

    def _failure(self, message: str) -> Exception:
        if not self.is_alive():
            return CBWorkerDeadError(message)
        return RuntimeError(message)


class State(GenerationState):
    """Hands out the one batch. The base class makes one when a request comes, for any model."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(continuous_batching=True)
        self._cb_manager = self.batch = batch

    def get_manager(self, model_id: str, use_cb: bool = False) -> Batch:
        """The batch, whatever the name."""
        return self.batch
