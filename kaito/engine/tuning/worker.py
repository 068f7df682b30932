"""Trains: one process for each GPU, `python -m kaito.engine.tuning.worker PLAN PIPE`.

It says how far it is, and how it ended, on a pipe to the process that started it, and ends with
that one. Its standard output and error are its log and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.compute as compute
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from trl import SFTConfig, SFTTrainer

from kaito.engine.endings import Ended, Ending
from kaito.engine.hub import first_line
from kaito.engine.tuning import plan as plans
from kaito.engine.tuning.callbacks import Steps, Wishes
from kaito.engine.tuning.failures import ending
from kaito.engine.tuning.model import Loaded, load
from kaito.engine.tuning.plan import Plan

log = logging.getLogger(__name__)

CHECKPOINTS = 2  # that are kept, so that one is whole while the next is written
OUTCOME = "outcome.json"  # beside the adapter: what the card says of the training
# Examples that are worth more than one process to prepare them, and how many such there are.
MANY, HANDS = 10_000, 8
TOGETHER = 1000  # examples that are looked at at once
# Ours, of which the rest of the settings of TrainingArguments knows nothing.
SAVED = ("save_strategy", "save_steps")


class Voice:
    """A pipe to the parent, one line of JSON for each thing said.

    Lines are short, so those of several workers do not mix.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def say(self, what: str, **figures: object) -> None:
        """What is true for all workers; the first one says it."""
        if _rank() == 0:
            self._write(what, **figures)

    def ended(self, ended: Ended) -> None:
        """What is true for this worker."""
        self._write("ended", code=int(ended.ending), sentence=ended.sentence)

    def _write(self, what: str, **figures: object) -> None:
        os.write(self._number, json.dumps({"what": what, **figures}).encode() + b"\n")


def main(words: list[str]) -> int:
    """The exit code."""
    plan, voice = plans.read(Path(words[0])), Voice(int(words[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Both write pieces of the data into their warnings.
    for name in ("transformers", "trl", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    disable_progress_bars()
    try:
        train(plan, voice)
    except Exception as error:
        method = "qlora" if plan.settings["QuantizationConfig"] else "lora"
        ended = ending(error, plan.settings["TrainingArguments"], method=method)
        if ended is None:
            raise
        voice.ended(ended)
        log.error("%s", ended.sentence)
        # Other processes may wait for this one in a collective operation: nothing is tidied up.
        sys.stderr.flush()
        os._exit(ended.ending)
    return 0


def train(plan: Plan, voice: Voice) -> None:
    """All of it, until the adapter lies in its directory. Ended says why not."""
    device = _device(plan)
    # Before the adapter gets its random weights.
    transformers.set_seed(plan.settings["TrainingArguments"]["seed"])
    voice.say("phase", name="loading the model")
    loaded = load(plan, device)
    for notice in loaded.notices:
        voice.say("notice", text=notice)
    voice.say("phase", name="preparing the data")
    arguments = _arguments(plan, loaded, device)
    wishes = Wishes(saves=not any(each in plan.settings["TrainingArguments"] for each in SAVED))
    signal.signal(signal.SIGTERM, lambda _number, _frame: wishes.stop())
    trainer = _trainer(plan, loaded, arguments)
    if cut := _cut(trainer):
        voice.say("notice", text=cut)
    trainer.add_callback(Steps(voice, wishes, trainer))
    _widen(trainer.model, loaded.dtype)
    trainer.train(resume_from_checkpoint=plan.resume or None)
    state = trainer.state
    if wishes.stopped and state.global_step < state.max_steps:
        raise Ended(
            Ending.STOPPED,
            f"It was told to stop after step {state.global_step} of {state.max_steps}, and left a "
            "checkpoint to go on from.",
        )
    if _rank() == 0:
        voice.say("phase", name="writing the adapter")
        _write(trainer, plan, loaded)


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _device(plan: Plan) -> torch.device:
    asked = plan.settings["ModelConfig"].get("device_map")
    if plan.settings["TrainingArguments"].get("use_cpu") or asked == "cpu":
        return torch.device("cpu")
    gpus, rank = torch.cuda.device_count(), _rank()
    if gpus == 0:
        if asked == "cuda":
            raise Ended(
                Ending.CONFIG_INVALID,
                "training_config.yaml: ModelConfig.device_map is cuda, and there is no GPU here.",
            )
        return torch.device("cpu")
    if rank >= gpus:
        raise Ended(
            Ending.UNEXPECTED,
            f"One process for each GPU was asked for, and process {rank + 1} has none of {gpus}.",
        )
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def _arguments(plan: Plan, loaded: Loaded, device: torch.device) -> SFTConfig:
    """TRL's settings."""
    said = dict(plan.settings["TrainingArguments"])
    said["max_length"] = min(said["max_length"], loaded.context)
    dataset = plan.settings["DatasetConfig"]
    if dataset["train_test_split"] == 1:
        said["eval_strategy"] = "no"
    else:
        said.setdefault("eval_strategy", "steps" if "eval_steps" in said else "epoch")
    if "save_steps" in said:
        said.setdefault("save_strategy", "steps")
    said.setdefault("save_strategy", "no")
    said.setdefault("save_total_limit", CHECKPOINTS)
    if not dataset["shuffle_dataset"]:
        said.setdefault("train_sampling_strategy", "sequential")
    if "bf16" not in said and "fp16" not in said:
        said["bf16"] = loaded.dtype == torch.bfloat16
        said["fp16"] = loaded.dtype == torch.float16
    said.setdefault("bf16", False)
    if said["gradient_checkpointing"]:
        said.setdefault("gradient_checkpointing_kwargs", {"use_reentrant": False})
    collator = plan.settings["DataCollator"]
    if "pad_to_multiple_of" in collator:
        said.setdefault("pad_to_multiple_of", collator["pad_to_multiple_of"])
    try:
        return SFTConfig(
            **said,
            output_dir=plan.checkpoints,
            report_to="none",
            disable_tqdm=True,
            logging_nan_inf_filter=False,
            **({} if device.type == "cuda" or "use_cpu" in said else {"use_cpu": True}),
        )
    except (ValueError, TypeError) as error:
        raise _unfit(error) from error


def _trainer(plan: Plan, loaded: Loaded, arguments: SFTConfig) -> Any:
    data = Dataset.from_file(plan.examples)
    asked = plan.settings["DatasetConfig"]
    kept = None
    if asked["train_test_split"] < 1:
        parts = data.train_test_split(
            train_size=asked["train_test_split"],
            seed=asked["shuffle_seed"],
            shuffle=asked["shuffle_dataset"],
        )
        data, kept = parts["train"], parts["test"]
    elif asked["shuffle_dataset"]:
        data = data.shuffle(seed=asked["shuffle_seed"])
    if arguments.dataset_num_proc is None and len(data) >= MANY:
        # While they are prepared a GPU waits.
        cores = len(os.sched_getaffinity(0)) // arguments.world_size
        arguments.dataset_num_proc = max(1, min(HANDS, cores))
    try:
        trainer = SFTTrainer(
            model=loaded.model,
            args=arguments,
            train_dataset=data,
            eval_dataset=kept,
            processing_class=loaded.tokenizer,
        )
    except jinja2.TemplateError as error:
        raise _refused(loaded.tokenizer, data, kept) from error
    except (ValueError, TypeError) as error:
        raise _unfit(error) from error
    # A page for each checkpoint, which nobody reads; ours is written at the end.
    trainer.create_model_card = _nothing
    if not len(trainer.train_dataset):
        raise Ended(
            Ending.DATASET_INVALID,
            f"No record of the data has an answer within {arguments.max_length} tokens: raise "
            "TrainingArguments.max_length.",
        )
    return trainer


def _cut(trainer: Any) -> str:
    """What is said of examples that are too long."""
    length, data = trainer.args.max_length, trainer.train_dataset
    if trainer.args.packing:  # all are as long as that
        return ""
    full = 0
    for batch in data.with_format("arrow").iter(batch_size=TOGETHER):
        lengths = compute.list_value_length(batch["input_ids"])
        full += compute.sum(compute.greater_equal(lengths, length)).as_py() or 0
    if not full:
        return ""
    return (
        f"{full} of {len(data)} examples fill TrainingArguments.max_length, which is {length} "
        "tokens; what is longer is cut off."
    )


def _widen(model: Any, dtype: torch.dtype) -> None:
    """TRL trains the adapters of all quantised models in bfloat16, which not every device has."""
    for each in model.parameters() if dtype != torch.bfloat16 else ():
        if each.requires_grad:
            each.data = each.data.float()


def _write(trainer: Any, plan: Plan, loaded: Loaded) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not all(
        bool(torch.isfinite(each).all()) for each in model.parameters() if each.requires_grad
    ):
        raise Ended(
            Ending.CONFIG_INVALID,
            "The training went astray: the adapter has values that are no numbers; lower "
            "TrainingArguments.learning_rate.",
        )
    for each in model.peft_config.values():
        each.base_model_name_or_path = plan.base
        each.revision = loaded.commit or plan.revision or None
    model.save_pretrained(plan.result, save_embedding_layers=False)
    state = trainer.state
    outcome = {
        "steps": state.global_step,
        "epochs": state.epoch,
        "commit": loaded.commit,
        "dtype": str(loaded.dtype).removeprefix("torch."),
        "device": trainer.args.device.type,
        "history": [
            {name: each[name] for name in ("step", "epoch", "loss", "eval_loss") if name in each}
            for each in state.log_history
            if "loss" in each or "eval_loss" in each
        ],
    }
    (Path(plan.result) / OUTCOME).write_text(json.dumps(outcome))


def _refused(tokenizer: Any, *datasets: Any) -> Ended:
    """Which record the template of chats does not take. Its words may quote the record."""
    count = 0
    for each in datasets:
        for record in each or ():
            count += 1
            messages = record.get("messages") or [*record["prompt"], *record["completion"]]
            try:
                tokenizer.apply_chat_template(messages, tokenize=False)
            except jinja2.TemplateError:
                roles = ", ".join(message["role"] for message in messages[:6])
                return Ended(
                    Ending.DATASET_INVALID,
                    f"The model's template of chats does not take messages of {roles} in this "
                    "order, as a record of the data has them: most take one of the system at "
                    "most, and then user and assistant in turns.",
                )
    return Ended(
        Ending.DATASET_INVALID, "The model's template of chats does not take the data's messages."
    )


def _unfit(error: Exception) -> Ended:
    return Ended(
        Ending.CONFIG_INVALID,
        f"training_config.yaml: TrainingArguments do not fit together: {first_line(error)}.",
    )


def _nothing(**_: object) -> None:
    """In place of what is not wanted."""


def _end_with_parent() -> None:
    """Standard input ends when the parent does, however that is."""
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
