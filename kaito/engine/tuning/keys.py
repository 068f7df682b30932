"""The settings of training_config.yaml: which there are, of what type, and which are refused. Pure.

The names are those of the libraries that take them (transformers' TrainingArguments with TRL's
SFTConfig, PEFT's LoraConfig, bitsandbytes' settings in transformers), and of upstream's
DatasetConfig (kaito.md 5.3). A test holds them against the libraries that are installed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol


class Kind(Protocol):
    """What a setting may be."""

    @property
    def wanted(self) -> str:
        """In words, after "must be"."""

    def read(self, value: object) -> Any:
        """The value as it is used; ValueError when it is none of these."""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    wanted: str = "true or false"

    def read(self, value: object) -> bool:
        """The same."""
        if isinstance(value, bool):
            return value
        raise ValueError


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between bounds."""

    least: int = 0
    most: int = 2**31 - 1

    @property
    def wanted(self) -> str:
        """With its bounds."""
        return f"a whole number from {self.least} to {self.most}"

    def read(self, value: object) -> int:
        """A number; YAML's texts that are numbers, too."""
        number = _number(value)
        if number == int(number) and self.least <= number <= self.most:
            return int(number)
        raise ValueError


@dataclass(frozen=True, slots=True)
class Number:
    """A number between bounds; `above` excludes the lower one."""

    least: float = 0.0
    most: float = 1e9
    above: bool = False

    @property
    def wanted(self) -> str:
        """With its bounds."""
        lower = "above" if self.above else "from"
        return f"a number {lower} {self.least:g} to {self.most:g}"

    def read(self, value: object) -> float:
        """A number. YAML takes 1e-4 for a text, for it has no point."""
        number = _number(value)
        if self.least <= number <= self.most and not (self.above and number == self.least):
            return number
        raise ValueError


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words."""

    words: tuple[str, ...]

    @property
    def wanted(self) -> str:
        """The words."""
        return f"one of {', '.join(self.words)}" if len(self.words) > 1 else self.words[0]

    def read(self, value: object) -> str:
        """The word. YAML takes no and off for false."""
        word = "no" if value is False else value
        if isinstance(word, str) and word in self.words:
            return word
        raise ValueError


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty."""

    wanted: str = "a text"

    def read(self, value: object) -> str:
        """The same."""
        if isinstance(value, str) and value.strip():
            return value
        raise ValueError


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of texts, or one text alone."""

    wanted: str = "a text or a list of texts"

    def read(self, value: object) -> str | list[str]:
        """The same."""
        each = value if isinstance(value, list) else [value]
        if each and all(isinstance(text, str) and text for text in each):
            return value  # type: ignore[return-value]  # what was just asked of each
        raise ValueError


@dataclass(frozen=True, slots=True)
class Wholes:
    """A list of whole numbers, or one alone."""

    wanted: str = "a whole number or a list of them"

    def read(self, value: object) -> list[int]:
        """A list."""
        return [Whole().read(each) for each in (value if isinstance(value, list) else [value])]


@dataclass(frozen=True, slots=True)
class Map:
    """Settings of a setting: numbers, flags and words by their names."""

    wanted: str = "a map of single values"

    def read(self, value: object) -> dict[str, Any]:
        """The same."""
        if isinstance(value, Mapping) and all(
            isinstance(name, str) and isinstance(each, bool | int | float | str)
            for name, each in value.items()
        ):
            return dict(value)
        raise ValueError


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


FLAG, TEXT, TEXTS, MAP = Flag(), Text(), Texts(), Map()
COUNT, POSITIVE = Whole(), Whole(1)
SHARE = Number(0.0, 1.0)
DTYPES = Choice(("auto", "bfloat16", "float16", "float32"))

MODEL: Mapping[str, Kind] = MappingProxyType(
    {
        "attn_implementation": Choice(("eager", "sdpa", "flash_attention_2")),
        "chat_template": TEXT,
        "device_map": Choice(("auto", "cpu", "cuda")),
        "dtype": DTYPES,
        "local_files_only": FLAG,
        "low_cpu_mem_usage": FLAG,
        "torch_dtype": DTYPES,
        "trust_remote_code": FLAG,
        "use_cache": FLAG,
    }
)

QUANTIZATION: Mapping[str, Kind] = MappingProxyType(
    {
        "bnb_4bit_compute_dtype": DTYPES,
        "bnb_4bit_quant_storage": Choice(("uint8", "bfloat16", "float16", "float32")),
        "bnb_4bit_quant_type": Choice(("nf4", "fp4")),
        "bnb_4bit_use_double_quant": FLAG,
        "llm_int8_enable_fp32_cpu_offload": FLAG,
        "llm_int8_has_fp16_weight": FLAG,
        "llm_int8_skip_modules": TEXTS,
        "llm_int8_threshold": Number(),
        "load_in_4bit": FLAG,
        "load_in_8bit": FLAG,
        "quant_method": Choice(("bitsandbytes",)),
    }
)

LORA: Mapping[str, Kind] = MappingProxyType(
    {
        "bias": Choice(("none", "all", "lora_only")),
        "exclude_modules": TEXTS,
        "fan_in_fan_out": FLAG,
        "init_lora_weights": FLAG,
        "layers_pattern": TEXTS,
        "layers_to_transform": Wholes(),
        "lora_alpha": Whole(1, 65536),
        "lora_dropout": Number(0.0, 0.99),
        "peft_type": Choice(("LORA",)),
        "r": Whole(1, 1024),
        "target_modules": TEXTS,
        "task_type": Choice(("CAUSAL_LM",)),
        "use_dora": FLAG,
        "use_rslora": FLAG,
    }
)

TRAINING: Mapping[str, Kind] = MappingProxyType(
    {
        "activation_offloading": FLAG,
        "adam_beta1": SHARE,
        "adam_beta2": SHARE,
        "adam_epsilon": Number(above=True),
        "assistant_only_loss": FLAG,
        "auto_find_batch_size": FLAG,
        "average_tokens_across_devices": FLAG,
        "bf16": FLAG,
        "completion_only_loss": FLAG,
        "data_seed": COUNT,
        "dataloader_drop_last": FLAG,
        "dataloader_num_workers": Whole(0, 64),
        "dataloader_persistent_workers": FLAG,
        "dataloader_pin_memory": FLAG,
        "dataloader_prefetch_factor": POSITIVE,
        "dataset_num_proc": Whole(1, 64),
        "ddp_broadcast_buffers": FLAG,
        "ddp_bucket_cap_mb": POSITIVE,
        "ddp_find_unused_parameters": FLAG,
        "ddp_timeout": POSITIVE,
        "eos_token": TEXT,
        "eval_accumulation_steps": POSITIVE,
        "eval_on_start": FLAG,
        "eval_steps": POSITIVE,
        "eval_strategy": Choice(("no", "steps", "epoch")),
        "fp16": FLAG,
        "full_determinism": FLAG,
        "gradient_accumulation_steps": POSITIVE,
        "gradient_checkpointing": FLAG,
        "gradient_checkpointing_kwargs": MAP,
        "label_smoothing_factor": SHARE,
        "learning_rate": Number(0.0, 1.0, above=True),
        "logging_first_step": FLAG,
        "logging_steps": POSITIVE,
        "logging_strategy": Choice(("no", "steps", "epoch")),
        "loss_type": Choice(("nll", "dft")),
        "lr_scheduler_kwargs": MAP,
        "lr_scheduler_type": Choice(
            (
                *("linear", "cosine", "cosine_with_restarts", "cosine_with_min_lr", "polynomial"),
                *("constant", "constant_with_warmup", "inverse_sqrt", "warmup_stable_decay"),
            )
        ),
        "max_grad_norm": Number(),
        "max_length": POSITIVE,
        "max_steps": Whole(-1),
        "neftune_noise_alpha": Number(),
        "num_train_epochs": Number(above=True),
        "optim": Choice(
            (
                *("adamw_torch", "adamw_torch_fused", "adamw_8bit", "adamw_bnb_8bit"),
                *("paged_adamw_8bit", "paged_adamw_32bit", "adafactor", "sgd"),
                *("lion_8bit", "lion_32bit", "paged_lion_8bit", "paged_lion_32bit"),
            )
        ),
        "output_dir": TEXT,
        "packing": FLAG,
        "packing_strategy": Choice(("bfd", "bfd_split", "wrapped")),
        "pad_to_multiple_of": POSITIVE,
        "padding_free": FLAG,
        "per_device_eval_batch_size": POSITIVE,
        "per_device_train_batch_size": POSITIVE,
        "save_steps": POSITIVE,
        "save_strategy": Choice(("no", "steps", "epoch")),
        "save_total_limit": POSITIVE,
        "seed": COUNT,
        "tf32": FLAG,
        "torch_empty_cache_steps": POSITIVE,
        "train_sampling_strategy": Choice(("random", "sequential", "group_by_length")),
        "use_cpu": FLAG,
        "warmup_steps": Number(),
        "weight_decay": Number(),
    }
)

DATASET: Mapping[str, Kind] = MappingProxyType(
    {
        "context_column": TEXT,
        "dataset_extension": TEXT,
        "dataset_path": TEXT,
        "messages_column": TEXT,
        "response_column": TEXT,
        "shuffle_dataset": FLAG,
        "shuffle_seed": COUNT,
        "train_test_split": Number(0.0, 1.0, above=True),
    }
)

COLLATOR: Mapping[str, Kind] = MappingProxyType(
    {
        "mlm": FLAG,
        "mlm_probability": SHARE,
        "pad_to_multiple_of": POSITIVE,
        "return_tensors": Choice(("pt",)),
    }
)

SECTIONS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "DataCollator": COLLATOR,
        "DatasetConfig": DATASET,
        "LoraConfig": LORA,
        "ModelConfig": MODEL,
        "QuantizationConfig": QUANTIZATION,
        "TrainingArguments": TRAINING,
    }
)

# Names of older releases, as many a ConfigMap still has them.
OLDER: Mapping[str, str] = MappingProxyType(
    {
        "evaluation_strategy": "eval_strategy",
        "max_seq_length": "max_length",
        "warmup_ratio": "warmup_steps",  # a share of all steps where it is below 1
    }
)

_NOWHERE = "the trainer sends nothing anywhere: progress and loss are in the status and in /metrics"
_RESUMED = "a run goes on by itself from its last whole checkpoint"
_ONE_NODE = "one process runs for each GPU of one node, and no file tells it how"
_OURS = "the manager says it"
_ALONE = "neither engine serves an adapter with more than LoRA's own weights"
_BEST = "what is pushed is the last step; the losses of all steps are in the adapter's card"

# What the libraries have and must not be said, with the reason. "*" ends a beginning.
REFUSED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "DataCollator": {"tokenizer": "it is the model's"},
        "DatasetConfig": {},
        "LoraConfig": {
            "base_model_name_or_path": _OURS,
            "inference_mode": "this is training",
            "modules_to_save": _ALONE,
            "revision": _OURS,
            "trainable_token_indices": _ALONE,
        },
        "ModelConfig": {
            "cache_dir": _OURS,
            "force_download": "weights that are there are used",
            "load_in_4bit": "it belongs to QuantizationConfig",
            "load_in_8bit": "it belongs to QuantizationConfig",
            "output_loading_info": _OURS,
            "pretrained_model_name_or_path": "tuning.preset names the model",
            "proxies": "the container's variables say by which proxy to go",
            "revision": "the preset names the revision",
            "state_dict": "weights come from the preset",
            "token": "a ConfigMap keeps no secrets: name a Secret as modelAccessSecret",
        },
        "QuantizationConfig": {},
        "TrainingArguments": {
            "accelerator_config": _ONE_NODE,
            "chat_template_path": "it is ModelConfig.chat_template",
            "dataset_kwargs": "DatasetConfig describes the data",
            "dataset_text_field": "it is DatasetConfig.response_column",
            "deepspeed": _ONE_NODE,
            "do_*": _OURS,
            "enable_jit_checkpoint": _RESUMED,
            "fsdp*": _ONE_NODE,
            "greater_is_better": _BEST,
            "hub_*": _NOWHERE,
            "ignore_data_skip": _RESUMED,
            "load_best_model_at_end": _BEST,
            "local_rank": _ONE_NODE,
            "logging_dir": _NOWHERE,
            "metric_for_best_model": _BEST,
            "model_init_kwargs": "ModelConfig describes the model",
            "overwrite_output_dir": _RESUMED,
            "parallelism_config": _ONE_NODE,
            "project": _NOWHERE,
            "push_to_hub*": _NOWHERE,
            "restore_callback_states_from_checkpoint": _RESUMED,
            "resume_from_checkpoint": _RESUMED,
            "run_name": _NOWHERE,
            "save_only_model": _RESUMED,
            "shuffle_dataset": "it is DatasetConfig.shuffle_dataset",
            "trackio_*": _NOWHERE,
            "trust_remote_code": "only an administrator allows a model's own code",
        },
    }
)

# What upstream's templates and old ConfigMaps say, which is not wrong and changes nothing.
WITHOUT_EFFECT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "DataCollator": {
            "mlm": "these models learn to say the next token",
            "mlm_probability": "these models learn to say the next token",
        },
        "ModelConfig": {
            "local_files_only": "the manager says where weights come from",
            "low_cpu_mem_usage": "weights are always loaded so",
            "use_cache": "training keeps no cache",
        },
    }
)


def refusal(section: str, name: str) -> str:
    """Why a setting of a library must not be said, "" when nobody knows it."""
    for known, why in REFUSED[section].items():
        if name == known or (known.endswith("*") and name.startswith(known[:-1])):
            return why
    return ""
