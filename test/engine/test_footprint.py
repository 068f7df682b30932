"""The account of training's memory against what PyTorch, PEFT and bitsandbytes really keep."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    FalconConfig,
    FalconForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from kaito.catalog.footprint import activations, layer_bytes, weight_bytes
from kaito.catalog.model import Model
from kaito.catalog.projection import adapted, adapter_parameters, projections
from kaito.catalog.training import Training

# PEFT asks transformers by names that it is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")

HIDDEN, HEADS, KEYS, WIDTH, WORDS = 64, 4, 2, 192, 50
TINY = Model(
    name="test/tiny",
    architecture="LlamaForCausalLM",
    layers=2,
    hidden=HIDDEN,
    heads=HEADS,
    kv_heads=KEYS,
    head_dim=HIDDEN // HEADS,
    intermediate=WIDTH,
    vocabulary=WORDS,
)
FAMILIES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "LlamaForCausalLM": (LlamaConfig, LlamaForCausalLM),
    "MistralForCausalLM": (MistralConfig, MistralForCausalLM),
    "Qwen2ForCausalLM": (Qwen2Config, Qwen2ForCausalLM),
    "Qwen3ForCausalLM": (Qwen3Config, Qwen3ForCausalLM),
    "Phi3ForCausalLM": (Phi3Config, Phi3ForCausalLM),
    "PhiForCausalLM": (PhiConfig, PhiForCausalLM),
    "FalconForCausalLM": (FalconConfig, FalconForCausalLM),
}
OWN = {
    "FalconForCausalLM": {
        "new_decoder_architecture": True,
        "num_kv_heads": KEYS,
        "ffn_hidden_size": WIDTH,
    },
    "Qwen3ForCausalLM": {"head_dim": HIDDEN // HEADS},
    "Phi3ForCausalLM": {"pad_token_id": 0},
}


def made(model: Model) -> Any:
    """A model of this shape with random weights."""
    config, family = FAMILIES[model.architecture or ""]
    return family(
        config(
            hidden_size=model.hidden,
            intermediate_size=model.intermediate,
            num_hidden_layers=model.layers,
            num_attention_heads=model.heads,
            num_key_value_heads=model.kv_heads,
            vocab_size=model.vocabulary,
            bos_token_id=1,
            eos_token_id=2,
            use_cache=False,
            **OWN.get(model.architecture or "", {}),
        )
    ).to(torch.bfloat16)


def with_adapter(model: Any, training: Training) -> Any:
    targets: Any = [*training.targets]
    if "all-linear" in targets:
        targets = "all-linear"
    lora = LoraConfig(r=training.rank, target_modules=targets, task_type="CAUSAL_LM")
    return get_peft_model(model, lora)


class Kept(TorchDispatchMode):  # type: ignore[misc]  # torch is not installed where types are checked
    """Bytes of the tensors that are made under it and are still there."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        own = [*model.parameters(), *model.buffers()]
        self.others = {each.untyped_storage()._cdata for each in own}
        self.sizes: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self._note(each.untyped_storage())
        self.peak = max(self.peak, self.now)
        return made

    def _note(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self.others and key not in self.sizes:
            self.sizes[key] = storage.nbytes()
            self.now += self.sizes[key]
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self.sizes.pop(key)


def after_forward(model: Model, training: Training) -> tuple[int, int]:
    """Bytes that are kept after the way forward, and at most on the way back."""
    torch.manual_seed(0)
    found = with_adapter(made(model), training).train()
    if training.checkpointing:
        found.gradient_checkpointing_enable({"use_reentrant": False})
        found.enable_input_require_grads()
    words = torch.randint(3, WORDS, (training.batch, training.length))
    seen = torch.ones_like(words)
    if training.batch > 1:
        seen[:, training.length * 3 // 4 :] = 0
    kept = Kept(found)
    with kept, torch.autocast("cpu", torch.bfloat16):
        loss = found(input_ids=words, attention_mask=seen, labels=words).loss
    gc.collect()
    forward = kept.now
    with kept:
        loss.backward()
    return forward, kept.peak


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize("targets", ["all-linear", "first"])
def test_an_adapter_has_as_many_parameters_as_peft_makes(architecture: str, targets: str) -> None:
    model = replace(TINY, architecture=architecture)
    first = (projections(model) or ())[0].name
    training = Training(targets=(first if targets == "first" else targets,), rank=4)
    found = with_adapter(made(model), training)
    trained = sum(each.numel() for each in found.parameters() if each.requires_grad)
    assert trained == adapter_parameters(model, training.targets, training.rank)


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Phi3ForCausalLM"])
@pytest.mark.parametrize(
    ("targets", "batch"), [(("all-linear",), 1), (("all-linear",), 2), (("o_proj",), 1)]
)
def test_a_layer_keeps_what_the_account_says(
    architecture: str, targets: tuple[str, ...], batch: int
) -> None:
    model = replace(TINY, architecture=architecture)
    training = Training(targets=targets, length=64, batch=batch, checkpointing=False)
    few, _ = after_forward(model, training)
    many, _ = after_forward(replace(model, layers=4), training)
    own = layer_bytes(model, training, adapted(model, targets)) * training.tokens
    copies = 2 * adapter_parameters(model, targets, training.rank) / 2  # autocast's, of a layer
    mask = 2 * batch * training.length**2 if batch > 1 else 0
    assert (many - few) / 2 == pytest.approx(own + copies + mask, rel=0.001)


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "Phi3ForCausalLM"])
def test_checkpointing_peaks_at_one_layer(architecture: str) -> None:
    model = replace(TINY, architecture=architecture)
    training = Training(length=128)
    _, peak = after_forward(model, training)
    numbers = adapter_parameters(model, training.targets, training.rank)
    trained = numbers * 4 + numbers * 2 / 2  # gradients, and autocast's copies of a layer
    assert 0.9 < (peak - trained) / sum(activations(model, training)) <= 1


@pytest.mark.parametrize("double", [False, True])
def test_weights_of_four_bits_take_what_the_account_says(double: bool, tmp_path: Any) -> None:
    # A scale stands for 64 weights, and 256 scales for another: with so many none is half full.
    model = replace(TINY, hidden=256, heads=8, kv_heads=8, head_dim=32, intermediate=1024)
    made(model).save_pretrained(tmp_path)
    found = AutoModelForCausalLM.from_pretrained(
        tmp_path,
        dtype=torch.bfloat16,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double
        ),
    )
    held, weights = 0, 0
    for each in found.parameters():
        state = getattr(each, "quant_state", None)
        if state is None:
            continue
        weights += state.shape.numel()
        held += each.numel() * each.element_size()
        held += state.absmax.numel() * state.absmax.element_size()
        if state.state2 is not None:
            held += state.state2.absmax.numel() * state.state2.absmax.element_size()
    assert weights == 2 * sum(one.weights for one in projections(model) or ())
    told = weight_bytes(weights, Training(method="qlora", bits=4, double=double))
    assert held == pytest.approx(told, rel=0.001)
