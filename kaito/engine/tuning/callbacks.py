"""What happens between two steps of a training: it is told, saved and stopped.

All processes must decide alike, for a checkpoint is written by all of them together: where one has
a wish, all have it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed
from transformers import TrainerCallback

from kaito.engine.tuning.checkpoints import seal

EVERY = 600.0  # seconds between two checkpoints: what an eviction costs at most
OFTEN = 1.0  # seconds between two things that are said


class Speaker(Protocol):
    """Tells the parent."""

    def say(self, what: str, **figures: Any) -> None: ...


class Wishes:
    """To stop, and to save every so often."""

    def __init__(self, *, saves: bool) -> None:
        self.stopped = False
        self._saves = saves
        self._saved = time.monotonic()

    def stop(self) -> None:
        """Soon; a signal handler calls this."""
        self.stopped = True

    def due(self) -> bool:
        """Whether a checkpoint is."""
        return self._saves and time.monotonic() - self._saved >= EVERY

    def saved(self) -> None:
        """One has been written."""
        self._saved = time.monotonic()


class Steps(TrainerCallback):
    """Hears transformers' trainer."""

    def __init__(self, voice: Speaker, wishes: Wishes, trainer: Any) -> None:
        self._voice, self._wishes, self._trainer = voice, wishes, trainer
        self._told = 0.0
        self._heard: dict[str, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Says where it begins."""
        self._say(state)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Keeps what is only known here."""
        names = {"loss": "loss", "eval_loss": "eval_loss", "num_tokens": "tokens"}
        found = {names[each]: float(logs[each]) for each in names if each in logs or ()}
        self._heard |= found
        if found:
            self._say(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Asks everybody for wishes."""
        stop, save = self._agreed()
        if stop:
            self._wishes.stop()
            control.should_training_stop = True
        # A run that is done needs no checkpoint.
        control.should_save |= (stop or save) and state.global_step < state.max_steps
        if time.monotonic() - self._told >= OFTEN or state.global_step >= state.max_steps:
            self._say(state)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seals the checkpoint when every process has written its part."""
        self._trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self._trainer.accelerator.wait_for_everyone()
        self._wishes.saved()

    def _agreed(self) -> tuple[bool, bool]:
        wishes = (self._wishes.stopped, self._wishes.due())
        if self._trainer.accelerator.num_processes == 1:
            return wishes
        told = torch.tensor(wishes, dtype=torch.int32, device=self._trainer.accelerator.device)
        torch.distributed.all_reduce(told, op=torch.distributed.ReduceOp.MAX)
        stop, save = told.tolist()
        return bool(stop), bool(save)

    def _say(self, state: Any) -> None:
        self._told = time.monotonic()
        epoch = state.epoch or 0.0
        self._voice.say(
            "progress",
            step=state.global_step,
            steps=state.max_steps,
            epoch=round(epoch, 3),
            examples=round(epoch * len(self._trainer.train_dataset)),
            **self._heard,
        )
