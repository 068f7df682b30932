"""Models that no catalogue knows, by their configuration on Hugging Face.

Reading takes seconds and may fail, so no turn waits for it: a turn asks, another one later finds
the answer. What was read is written on the Deployment that it led to, commit included; a restart
of this daemon, or a Hugging Face that does not answer, changes nothing about what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from kaito.catalog.config import ModelError
from kaito.catalog.engine import engine
from kaito.catalog.hub import COMMIT, is_model_name
from kaito.catalog.model import Model
from kaito.runtime import Clock, Object

ANNOTATION = "kaito.sh/model"
ANNOTATION_LENGTH = 4096  # characters; a model takes some 800
AT_ONCE = 4  # readings at a time
MOST = 1000  # answers kept; the oldest failure goes first, else the oldest model
AGAIN_SECONDS = 60.0  # before a reading that failed is tried again
LOOK_SECONDS = 1.0  # before a turn looks whether a reading has ended

# More than any model has, and few enough that working with it takes no time.
LARGEST = {
    "weights_gib": 20_000,
    "loaded_gib": 20_000,
    "context": 100_000_000,
    "layers": 1_000,
    "hidden": 1_000_000,
    "heads": 10_000,
    "kv_heads": 10_000,
    "head_dim": 100_000,
    "kv_lora_rank": 1_000_000,
    "rope_head_dim": 100_000,
    "parameters_b": 100_000,
    "active_parameters_b": 100_000,
    "vocabulary": 100_000_000,
    "quantization_bits": 64,
}
# What is kept of a model: nothing that follows from the rest, and no prose.
FACTS = (
    "name",
    "aliases",
    *LARGEST,
    "architecture",
    "quantization",
    "mistral_format",
    "remote_code",
    "access",
    "revision",
    "dtype",
    "caches",
)
LARGEST_OF_GROUP = 10**9
MOST_GROUPS = 64
LONGEST_WORD = 80  # characters

Read: TypeAlias = Callable[[str], Awaitable[Model]]
"""Reads org/model; raises ModelError, whose text is for the Workspace's author."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A model that is not known yet."""

    message: str
    failed: bool
    """Whether reading it failed; it is tried again all the same."""
    look_again: float
    """Seconds after which to ask again."""


class Strangers:
    """Reads models, each once; one of these for the daemon."""

    def __init__(self, read: Read, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._answers: dict[str, Model | tuple[str, float]] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def ask(self, name: str) -> Model | Unread:
        """The model, or that it is being read, or why it could not be."""
        answer = self._answers.get(name)
        if isinstance(answer, Model):
            return answer
        if name not in self._reading:
            if answer is not None and self._clock.monotonic() < answer[1]:
                wait = answer[1] - self._clock.monotonic()
                return Unread(message=answer[0], failed=True, look_again=wait)
            self._reading[name] = asyncio.create_task(self._find(name), name=f"read {name}")
        return Unread(
            message=f"The configuration of {name} is being read from Hugging Face.",
            failed=False,
            look_again=LOOK_SECONDS,
        )

    async def aclose(self) -> None:
        """End what is being read."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, name: str) -> None:
        answer: Model | str
        try:
            async with self._turns:
                answer = await self._read(name)
        except ModelError as error:
            answer = str(error)
        except Exception as error:  # noqa: BLE001 - else nobody would ever know
            answer = f"{name} could not be read: {type(error).__name__}."
        finally:
            del self._reading[name]
        self._answers.pop(name, None)
        again = self._clock.monotonic() + AGAIN_SECONDS
        self._answers[name] = (answer, again) if isinstance(answer, str) else answer
        if len(self._answers) > MOST:
            failed = (each for each, known in self._answers.items() if isinstance(known, tuple))
            del self._answers[next(failed, next(iter(self._answers)))]


def written(model: Model) -> str:
    """The facts of a model, as the annotation holds them."""
    return msgspec.json.encode({name: getattr(model, name) for name in FACTS}).decode()


def noted(deployment: Object | None, name: str) -> Model | None:
    """The model of this name that a Deployment was made for; None when it does not say.

    Whoever may write Deployments may have written this one, so nothing in it is believed that no
    model can be, and what follows from the facts is worked out again.
    """
    metadata = (deployment or {}).get("metadata", {})
    text = (metadata.get("annotations") or {}).get(ANNOTATION, "")
    if not text or len(text) > ANNOTATION_LENGTH:
        return None
    try:
        model = msgspec.json.decode(text, type=Model)
    except (msgspec.MsgspecError, ValueError):
        return None
    if name.lower() not in (model.name.lower(), *model.aliases) or not _believable(model):
        return None
    tables, facts = engine(), {fact: getattr(model, fact) for fact in FACTS}
    return Model(
        **facts,
        tool_parser=tables.tool.of(model.name, model.architecture),
        reasoning_parser=tables.reasoning.of(model.name, model.architecture),
        chat_template=tables.chat_template.of(model.name, model.architecture),
    )


def _believable(model: Model) -> bool:
    sizes = [(value, most) for name, most in LARGEST.items() if (value := getattr(model, name))]
    groups = [
        getattr(group, size)
        for group in model.caches
        for size in ("layers", "kv_heads", "head_dim", "window", "rank", "bytes", "stride")
    ]
    words = [model.dtype or "", model.quantization or "", *model.aliases]
    return (
        is_model_name(model.name)
        and len(model.aliases) <= MOST_GROUPS
        and all(0 < value <= most for value, most in sizes)
        # A size of 0 is as wrong as a negative one, but that a part of a head turns is optional.
        and all(getattr(model, name) != 0 for name in LARGEST if name != "rope_head_dim")
        and len(model.caches) <= MOST_GROUPS
        and all(size is None or size <= LARGEST_OF_GROUP for size in groups)
        and all(len(word) <= LONGEST_WORD and word.isprintable() for word in words)
        and (model.architecture is None or model.architecture in engine().architectures)
        and (model.revision is None or COMMIT.fullmatch(model.revision) is not None)
    )
