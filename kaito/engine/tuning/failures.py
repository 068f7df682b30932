"""What an error of the libraries that train means: an ending, and a sentence with a way out. Pure.

Errors are told by their types' names and numbers, so that PyTorch is not imported to name one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaito.engine.endings import Ended, Ending, out_of_room
from kaito.engine.hub import chain, first_line, kinds_of, refusal, unreachable

FULL = ("no space left on device", "disk quota exceeded", "file too large")
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "cudaerrormemory")


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
        kinds = kinds_of(each)
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
    if why := refusal(error, model, token=bool(variables.get("HF_TOKEN"))):
        return Ended(Ending.MODEL_UNUSABLE, why)
    if unreachable(error):
        return Ended(
            Ending.SOURCE_UNAVAILABLE,
            f"{model} cannot be fetched, for Hugging Face does not answer: it is tried again.",
        )
    return Ended(
        Ending.MODEL_UNUSABLE,
        f"The model {model} cannot be loaded: {first_line(error)}. Are its files whole, and is it "
        "a model of text?",
    )
