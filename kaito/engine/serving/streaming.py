"""One answer on its way: from tokens to text, past stop texts, to calls of tools and reasoning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers.cli.serving.utils import (
    CBStreamer,
    _StreamError,
    response_events_to_chunks,
)

from kaito.engine.serving.stops import Stops


class Streamer(CBStreamer):
    """One answer on its way to a client.

    Replaced is how tokens become text, for stop texts are looked for there: before a parser of
    tool calls sees them, and before any client does. And what a parser cannot read is told as the
    text that it is; the base class lets the error end the stream's reader, not the stream.
    """

    _parser: Any

    def __init__(
        self, *given: Any, stops: Stops, done: Callable[[str], None], **named: Any
    ) -> None:
        super().__init__(*given, **named)
        self._stops = stops
        self._done: Callable[[str], None] | None = done
        self._unread = ""
        """What the parser has taken and made nothing of yet."""
        self.tokens: list[int] = []

    def put(self, output: Any) -> None:
        """Take what is new in an output."""
        if self._done is None:
            return
        new = output.generated_tokens[self._prev_len :]
        self._prev_len += len(new)
        for token in new:
            self.total_tokens += 1
            self.tokens.append(token)
            text = self._decode_stream.step(self._tokenizer, token)
            if text:
                self._tell(self._stops.feed(text) if self._stops.texts else text)
            if self._stops.found:
                self._cb.cancel_request(self._request_id)
                self.finish("stop")
                return
        if output.error is not None:
            self.fail(output.error)
        elif output.is_finished():
            self.finish("stop")

    def finish(self, reason: str) -> None:
        """No more comes. Only the first call counts."""
        if self._done is None:
            return
        done, self._done = self._done, None
        self._tell(self._stops.rest())
        if self._parser is not None:
            self._parse(lambda parser: parser.finalize()[1])
        self._queue.put_nowait(None)
        done(reason)

    def fail(self, why: str) -> None:
        """It cannot be gone on with."""
        if self._done is not None:
            self._cb.cancel_request(self._request_id)
            self._queue.put_nowait(_StreamError(why))
            self.finish("error")

    def cancel(self) -> None:
        """Nobody wants the rest."""
        if self._done is not None:
            self._cb.cancel_request(self._request_id)
            self.finish("abort")

    def _tell(self, text: str) -> None:
        if not text:
            return
        if self._parser is None:
            self._queue.put_nowait(text)
            return
        self._unread += text
        self._parse(lambda parser: parser.feed(text))

    def _parse(self, step: Callable[[Any], list[dict[str, Any]]]) -> None:
        try:
            found = response_events_to_chunks(step(self._parser))
        except Exception:  # noqa: BLE001 - it runs what came with the model on what the model wrote
            found, self._parser = [self._unread] if self._unread else [], None
        for item in found:
            self._unread = ""
            self._queue.put_nowait(item)
