"""How a model is tuned: what of a training's settings its memory and its time depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Method: TypeAlias = Literal["lora", "qlora"]
Bits: TypeAlias = Literal[4, 8, 16]

# Bytes that an optimizer keeps of a trained number whose own type has so many bytes: two averages
# for Adam, in that type; quantised ones in a byte each (Dettmers et al., 8-bit Optimizers via
# Block-wise Quantization, https://arxiv.org/abs/2110.02861). Names as TrainingArguments has them.
AVERAGES = 2
NONE_KEPT = frozenset({"sgd", "adafactor"})  # adafactor keeps rows and columns, which is nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The settings of one training; the defaults are those of the trainer (kaito.engine.tuning)."""

    method: Method = "lora"
    bits: Bits = 16
    """Of the frozen weights, those of the layers; 16 for lora, 4 or 8 for qlora."""
    wide: bool = False
    """Whether everything that is not quantised is float32 (torch_dtype); else it has 16 bits."""
    double: bool = True
    """Whether the scales of weights of 4 bits are quantised, too (bnb_4bit_use_double_quant)."""
    rank: int = 8
    """Of the adapter (LoraConfig.r)."""
    targets: tuple[str, ...] = ("all-linear",)
    """Projections that are adapted, by name (LoraConfig.target_modules)."""
    dropout: bool = False
    """Whether the adapter drops values while it learns (LoraConfig.lora_dropout)."""
    batch: int = 1
    """Examples that a GPU takes at once (per_device_train_batch_size)."""
    length: int = 1024
    """Tokens of the longest example; longer ones are cut (max_length)."""
    checkpointing: bool = True
    """Whether activations are computed twice and not kept (gradient_checkpointing)."""
    whole_logits: bool = False
    """Whether the loss takes the logits of all tokens at once, as it does for smoothed labels
    (label_smoothing_factor)."""
    optimizer: str = "adamw_torch"

    @property
    def tokens(self) -> int:
        """Of one step of one GPU, at most."""
        return self.batch * self.length

    @property
    def value_bytes(self) -> int:
        """Of an activation, and of a weight that is not quantised."""
        return 4 if self.wide else 2

    @property
    def trained_bytes(self) -> int:
        """Of one number of the adapter: PEFT keeps float32, and bfloat16 beside quantised weights
        is what QLoRA's authors did."""
        return 4 if self.bits == 16 or self.wide else 2

    @property
    def kept_bytes(self) -> int:
        """What the optimizer keeps of one number of the adapter."""
        if self.optimizer in NONE_KEPT:
            return 0
        return AVERAGES * (1 if "8bit" in self.optimizer else self.trained_bytes)
