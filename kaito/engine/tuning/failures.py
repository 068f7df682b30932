"""What an error of the libraries that train means: an ending, and a sentence with a way out. Pure.

Errors are told by their types' names and numbers, so that neither PyTorch nor a hub's client is
imported to name one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaito.engine.endings import Ended, Ending, out_of_room

FULL = ("no space left on device", "disk quota exceeded", "file too large")
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "cudaerrormemory")
LONGEST = 300  # characters of a library's own words


def ending(error: BaseException, training: Mapping[str, Any], *, method: str) -> Ended | None:
    """For an error from anywhere in a training; None for one that means nothing by itself."""
    for each in chain(error):
        if isinstance(each, Ended):
            return each
        text = str(each).lower()
        # Libraries in other languages have their own types, and keep the system's words.
        if out_of_room(each) or any(words in text for words in FULL):
            return Ended(
                Ending.DISK_FULL,
                "The disk is full: ask for a node with a larger disk, or give less data; a "
                "checkpoint needs three times the adapter's size.",
            )
        kinds = {kind.__name__ for kind in type(each).__mro__}
        if kinds & {"OutOfMemoryError", "MemoryError"} or (
            "RuntimeError" in kinds and any(words in text for words in NO_MEMORY)
        ):
            gpu = "OutOfMemoryError" in kinds or "cuda" in text
            return out_of_memory(training, method=method, gpu=gpu)
    return None


def out_of_memory(training: Mapping[str, Any], *, method: str, gpu: bool) -> Ended:
    """With the settings that would help."""
    ways = []
    batch, length = (training.get(name) for name in ("per_device_train_batch_size", "max_length"))
    if batch and batch > 1:
        ways.append(f"lower TrainingArguments.per_device_train_batch_size, which is {batch}")
    if length:
        ways.append(f"lower TrainingArguments.max_length, which is {length}")
    if not training.get("gradient_checkpointing"):
        ways.append("set TrainingArguments.gradient_checkpointing")
    if method == "lora":
        ways.append("use method qlora")
    ways.append("ask for an instanceType with more memory")
    memory = "The GPU's memory" if gpu else "The memory of the container"
    return Ended(Ending.OUT_OF_MEMORY, f"{memory} is full: {', or '.join(ways)}.")


def unusable(error: BaseException, model: str, variables: Mapping[str, str]) -> Ended:
    """For an error while a model was loaded from a hub or a directory."""
    token = bool(variables.get("HF_TOKEN"))
    for each in chain(error):
        kinds = {kind.__name__ for kind in type(each).__mro__}
        if "GatedRepoError" in kinds or "gated repo" in str(each):
            why = "the token in HF_TOKEN has no access to it" if token else "HF_TOKEN is not set"
            return _model(
                f"{model} is gated on Hugging Face, and {why}: ask for access there, and name a "
                "Secret with HF_TOKEN in presetOptions.modelAccessSecret."
            )
        if "RepositoryNotFoundError" in kinds:
            return _model(
                f"Hugging Face has no model {model}, or HF_TOKEN has no access to it: look at the "
                "name, and at presetOptions.modelAccessSecret."
            )
        if "RevisionNotFoundError" in kinds:
            return _model(f"Hugging Face has the model {model}, but not the revision asked for.")
    for each in chain(error):
        kinds = {kind.__name__ for kind in type(each).__mro__}
        away = kinds & {"ConnectionError", "ConnectError", "Timeout", "TimeoutException"}
        status = getattr(getattr(each, "response", None), "status_code", 0) or 0
        if away or status == 429 or status >= 500:
            return Ended(
                Ending.SOURCE_UNAVAILABLE,
                f"{model} cannot be fetched, for Hugging Face does not answer: it is tried again.",
            )
    return _model(
        f"The model {model} cannot be loaded: {first_line(error)}. Are its files whole, and is it "
        "a model of text?"
    )


def first_line(error: BaseException) -> str:
    """A library's own words, short."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came of."""
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        seen.append(now)
        yield now
        now = now.__cause__ or now.__context__


def _model(sentence: str) -> Ended:
    return Ended(Ending.MODEL_UNUSABLE, sentence)
