"""The model: loaded while the server already listens, under the name that clients know.

Loading is `transformers serve`'s own. Its manager loads and unloads models as requests name them;
here there is one model for the life of the process, so what it does for several is left alone.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import ContinuousBatchingConfig
from transformers.cli.serving.model_manager import ModelManager
from transformers.cli.serving.utils import make_progress_tqdm_class
from transformers.utils import logging

from kaito.engine.errors import Refused
from kaito.engine.hub import first_line, refusal
from kaito.engine.serving import adapters
from kaito.engine.serving.arguments import Settings
from kaito.engine.serving.progress import Progress

PAGE = 256  # tokens; transformers' own choice
# Of prompts that are read in one pass on a CPU. The mask of a pass has a row for each token and a
# column for each place in the cache, so on a CPU more tokens take memory and save no time.
CPU_BATCH_TOKENS = 512
CPU_CACHE_SHARE = 0.25  # of the machine's memory, at most


class Unloadable(Exception):
    """The model cannot be served; the message says why and what to do."""


@dataclass(slots=True)
class Served:
    """What the server has once it has loaded."""

    model: Any = None
    tokenizer: Any = None
    context: int = 0
    vocabulary: int = 0
    """How many tokens the model chooses among."""
    adapters: dict[str, str] = field(default_factory=dict)
    """By the names that clients know, what PEFT calls them."""
    broken: dict[str, str] = field(default_factory=dict)
    """Adapters that are not served, and why not."""


class Loader(ModelManager):
    """Loads the one model when it is told to. The base class does so before there is a server."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self.settings = settings
        self.progress = progress
        self.served = Served()
        super().__init__(
            device=settings.device,
            dtype=settings.dtype,
            trust_remote_code=settings.trust_remote_code,
            continuous_batching=True,
            quantization=settings.quantization,
            model_timeout=-1,
        )

    def load(self) -> None:
        """Load model and adapters; blocks. Raises Unloadable."""
        settings, progress = self.settings, self.progress
        bars = make_progress_tqdm_class(progress.told, settings.model)
        before = logging.set_tqdm_hook(lambda factory, given, named: bars(*given, **named))
        try:
            model, processor = self.load_model_and_processor(
                f"{settings.model}@{settings.revision}",
                progress_callback=progress.told,
                tqdm_class=bars,
            )
        except Exception as error:
            why = refusal(error, settings.model, token=bool(os.environ.get("HF_TOKEN")))
            told = why or f"{settings.model} cannot be loaded: {first_line(error)}"
            raise Unloadable(told) from error
        finally:
            logging.set_tqdm_hook(before)
        # Of models that see and hear, too, text is what is served: their tokenizer is enough.
        tokenizer = getattr(processor, "tokenizer", processor)
        if settings.chat_template:
            tokenizer.chat_template = Path(settings.chat_template).read_text()
        served = self.served
        served.model, served.tokenizer = model, tokenizer
        served.context = _context(model, tokenizer)
        served.vocabulary = model.config.get_text_config().vocab_size
        self.progress.stage = "adapters"
        served.adapters, served.broken = adapters.load(
            model, settings.adapters, os.environ, settings.name
        )

    def batching(self, running: int) -> ContinuousBatchingConfig:
        """How requests are batched. On a CPU the cache is no more than can be used, for memory is
        everybody's; on a GPU transformers takes what is free."""
        model = self.served.model
        config = ContinuousBatchingConfig(
            page_size=PAGE,
            max_requests_per_batch=running,
            # The sampler works on Python objects between scheduling and the forward pass.
            use_async_batching=False,
            use_cuda_graph=False,
        )
        if model.device.type == "cpu":
            text = model.config.get_text_config()
            heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
            size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
            block = 2 * text.num_hidden_layers * heads * size * PAGE * model.dtype.itemsize
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            wanted = (running + 1) * math.ceil(self.served.context / PAGE)
            config.num_blocks = max(2, min(wanted, int(memory * CPU_CACHE_SHARE) // block))
            config.max_batch_tokens = CPU_BATCH_TOKENS
            config.max_memory_percent = 0.9
        return config


def no_model(served: Served, name: str, asked: str) -> Refused:
    """Why there is no model called so."""
    if why := served.broken.get(asked):
        said = f"The adapter {asked!r} could not be loaded: {why}."
    else:
        names = ", ".join([name, *served.adapters])
        said = f"There is no model {asked!r} here; there are {names}."
    return Refused(said, status=404, param="model", code="model_not_found")


def _context(model: Any, tokenizer: Any) -> int:
    """The most tokens that the model reads."""
    text = model.config.get_text_config()
    said = getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None)
    found: int = said or tokenizer.model_max_length
    return min(found, 2**31)
