"""An error of a library becomes an ending with a way out."""

from __future__ import annotations

import errno

import pytest

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.failures import ending, unusable

TRAINING = {"per_device_train_batch_size": 4, "max_length": 512, "gradient_checkpointing": True}


class OutOfMemoryError(RuntimeError):
    """As PyTorch's is called."""


class SafetensorError(Exception):
    """As that of the library in Rust is called."""


class RepositoryNotFoundError(Exception):
    """As the hub's client calls it."""


class GatedRepoError(RepositoryNotFoundError):
    """As the hub's client calls it."""


class RevisionNotFoundError(Exception):
    """As the hub's client calls it."""


class HfHubHTTPError(Exception):
    """With the answer that it is of."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} for url")
        self.response = type("Response", (), {"status_code": status})


def caused(error: BaseException) -> RuntimeError:
    """What a library makes of an error; transformers says this of all that it does not find."""
    found = RuntimeError("It is no model, or it is private or a gated repo.")
    found.__cause__ = error
    return found


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
        caused(MemoryError()),
    ],
)
def test_memory_that_is_full_is_told_with_the_settings_that_help(error: Exception) -> None:
    ended = ending(error, TRAINING, method="lora")
    assert ended is not None
    assert ended.ending == Ending.OUT_OF_MEMORY
    assert ended.sentence.startswith(
        "The GPU's memory is full" if "CUDA" in str(error) else "The memory of the container"
    )
    assert (
        "lower TrainingArguments.per_device_train_batch_size, which is 4, or lower "
        "TrainingArguments.max_length, which is 512, or use method qlora, or ask"
    ) in ended.sentence


def test_what_would_not_help_is_not_told() -> None:
    training = {"per_device_train_batch_size": 1, "max_length": 512}
    ended = ending(MemoryError(), training, method="qlora")
    assert ended is not None
    assert "batch_size" not in ended.sentence
    assert "qlora" not in ended.sentence
    assert "set TrainingArguments.gradient_checkpointing" in ended.sentence


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        caused(OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_disk_that_is_full_is_told(error: Exception) -> None:
    ended = ending(error, TRAINING, method="lora")
    assert ended is not None
    assert ended.ending == Ending.DISK_FULL


def test_an_ending_stays_what_it_is() -> None:
    ended = Ended(Ending.DATASET_INVALID, "It is.")
    assert ending(caused(ended), TRAINING, method="lora") is ended


def test_another_error_is_nobodys() -> None:
    assert ending(ValueError("a piece of the data"), TRAINING, method="lora") is None


@pytest.mark.parametrize(
    ("error", "token", "code", "words"),
    [
        (GatedRepoError(), "", Ending.MODEL_UNUSABLE, "HF_TOKEN is not set: ask for access"),
        (GatedRepoError(), "x", Ending.MODEL_UNUSABLE, "the token in HF_TOKEN has no access"),
        (caused(GatedRepoError()), "", Ending.MODEL_UNUSABLE, "is gated"),
        (caused(RepositoryNotFoundError()), "", Ending.MODEL_UNUSABLE, "has no model a/b"),
        (caused(RevisionNotFoundError()), "", Ending.MODEL_UNUSABLE, "but not the revision"),
        (HfHubHTTPError(503), "", Ending.SOURCE_UNAVAILABLE, "does not answer"),
        (caused(ConnectionError()), "", Ending.SOURCE_UNAVAILABLE, "does not answer"),
        (HfHubHTTPError(403), "", Ending.MODEL_UNUSABLE, "cannot be loaded: 403 for url."),
        (ValueError("no such type\nmore"), "", Ending.MODEL_UNUSABLE, "loaded: no such type."),
    ],
)
def test_a_model_that_cannot_be_loaded_is_told(
    error: Exception, token: str, code: Ending, words: str
) -> None:
    ended = unusable(error, "a/b", {"HF_TOKEN": token})
    assert ended.ending == code
    assert "a/b" in ended.sentence
    assert words in ended.sentence
