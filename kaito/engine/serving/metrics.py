"""What the server measures, under the names that vLLM gives the same things."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 120)
WHOLE = (0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 60, 120, 480, 1920)
BETWEEN = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)


@dataclass(slots=True)
class Measured:
    """One request under way."""

    _measures: Measures
    _begun: float
    _last: float = 0.0

    def tokens(self, count: int) -> None:
        """So many tokens have come."""
        now = self._measures.clock()
        if not self._last:
            self._measures.first.observe(now - self._begun)
        elif count > 0:
            self._measures.between.observe((now - self._last) / count)
        self._last = now
        self._measures.generated.inc(max(0, count))

    def end(self, reason: str) -> None:
        """It is over: stop, length, abort or error, as vLLM calls them."""
        self._measures.success.labels(self._measures.model, reason).inc()
        self._measures.whole.observe(self._measures.clock() - self._begun)


class Measures:
    """The metrics of one server."""

    def __init__(self, model: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._registry = CollectorRegistry()
        self.model, self.clock = model, clock

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ["model_name"], registry=self._registry).labels(model)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ["model_name"], registry=self._registry).labels(model)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            found = Histogram(name, text, ["model_name"], registry=self._registry, buckets=buckets)
            return found.labels(model)

        self.running = gauge("vllm:num_requests_running", "Requests that are being answered")
        self.waiting = gauge("vllm:num_requests_waiting", "Requests that wait for that")
        self.cache = gauge("vllm:kv_cache_usage_perc", "Part of the cache that is taken, 0 to 1")
        self.prompt = counter("vllm:prompt_tokens", "Tokens of prompts")
        self.generated = counter("vllm:generation_tokens", "Tokens of answers")
        self.success = Counter(
            "vllm:request_success",
            "Requests that are over",
            ["model_name", "finished_reason"],
            registry=self._registry,
        )
        self.first = histogram("vllm:time_to_first_token_seconds", "To the first token", FIRST)
        self.between = histogram("vllm:inter_token_latency_seconds", "From token to token", BETWEEN)
        self.whole = histogram("vllm:e2e_request_latency_seconds", "Whole requests", WHOLE)
        self.rejected = Counter(
            "kaito_ratelimit_rejected",
            "Requests that were refused because too many were under way",
            registry=self._registry,
        )
        self.loaded = gauge("kaito_model_loaded_ratio", "How far weights are loaded, 0 to 1")

    def begin(self, prompt: int) -> Measured:
        """A request with a prompt of so many tokens begins."""
        self.prompt.inc(prompt)
        return Measured(self, self.clock())

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry).decode()
