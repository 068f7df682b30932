"""The model that is trained and its tokenizer, as the device and the settings want them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from kaito.engine.endings import Ended, Ending
from kaito.engine.hub import first_line
from kaito.engine.tuning.failures import ending, unusable
from kaito.engine.tuning.plan import Plan

# For models that have no template of chats. docs/tuning.md shows it.
FALLBACK = (
    "{% for m in messages %}"
    "{{ '### ' + m['role'].capitalize() + ':\\n' + m['content'] }}"
    "{{ eos_token if m['role'] == 'assistant' else '' }}{{ '\\n\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}"
)
# Quantised storage keeps its own types; these are for arithmetic.
DTYPES = {each: getattr(torch, each) for each in ("bfloat16", "float16", "float32")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What is trained."""

    model: Any
    tokenizer: Any
    dtype: torch.dtype
    context: int
    """The most tokens that the model reads."""
    commit: str
    """The revision that was loaded, "" where nobody knows it."""
    notices: tuple[str, ...] = ()


def load(plan: Plan, device: torch.device) -> Loaded:
    """Model with a fresh adapter, and tokenizer. Ended with MODEL_UNUSABLE, SOURCE_UNAVAILABLE,
    CONFIG_INVALID or OUT_OF_MEMORY."""
    notices: list[str] = []
    asked = plan.settings["ModelConfig"]
    dtype = _dtype(str(asked.get("dtype") or asked.get("torch_dtype")), device, notices)
    where = {"revision": plan.revision or None, "trust_remote_code": plan.own_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(plan.model, **where)
        model, said = AutoModelForCausalLM.from_pretrained(
            plan.model,
            dtype=dtype,
            device_map={"": str(device)},
            quantization_config=_quantization(plan.settings["QuantizationConfig"], dtype),
            attn_implementation=asked.get("attn_implementation"),
            output_loading_info=True,
            **where,
        )
    except Exception as error:
        found = ending(error, {}, method=_method(plan))
        raise found or unusable(error, plan.model, os.environ) from error
    wrong = [*said["missing_keys"], *said["mismatched_keys"]]
    if wrong:
        raise Ended(
            Ending.MODEL_UNUSABLE,
            f"The model {plan.model} is not whole: {len(wrong)} of its weights are missing or of "
            "another shape; fetch it anew.",
        )
    _ends(plan, tokenizer)
    _chat_template(plan, tokenizer, notices)
    text = model.config.get_text_config()
    return Loaded(
        model=_adapted(model, plan.settings["LoraConfig"]),
        tokenizer=tokenizer,
        dtype=dtype,
        context=getattr(text, "max_position_embeddings", None) or 2**31,
        commit=getattr(model.config, "_commit_hash", None) or "",
        notices=tuple(notices),
    )


def _dtype(asked: str, device: torch.device, notices: list[str]) -> torch.dtype:
    if device.type == "cpu":
        if asked == "float16":
            notices.append("ModelConfig.torch_dtype is float32, as a CPU trains no float16.")
        return torch.bfloat16 if asked == "bfloat16" else torch.float32
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    if asked == "bfloat16" and not native:
        notices.append("ModelConfig.torch_dtype is float16, as this GPU has no bfloat16.")
    if asked in ("auto", "bfloat16"):
        return torch.bfloat16 if native else torch.float16
    found: torch.dtype = DTYPES[asked]
    return found


def _quantization(said: Mapping[str, Any], dtype: torch.dtype) -> BitsAndBytesConfig | None:
    if not said:
        return None
    rest = {name: value for name, value in said.items() if name != "quant_method"}
    compute = rest.pop("bnb_4bit_compute_dtype", "auto")
    return BitsAndBytesConfig(
        **rest, bnb_4bit_compute_dtype=dtype if compute == "auto" else DTYPES[compute]
    )


def _ends(plan: Plan, tokenizer: Any) -> None:
    """Texts end with a token, and short ones are filled up with one, which nothing learns."""
    if tokenizer.eos_token is None and "eos_token" not in plan.settings["TrainingArguments"]:
        raise Ended(
            Ending.CONFIG_INVALID,
            f"The tokenizer of {plan.base} names no token that ends a text: name one of its tokens "
            "in TrainingArguments.eos_token.",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)


def _chat_template(plan: Plan, tokenizer: Any, notices: list[str]) -> None:
    if plan.chat_template:
        tokenizer.chat_template = plan.chat_template
    elif plan.kind != "plain" and not tokenizer.chat_template:
        tokenizer.chat_template = FALLBACK
        notices.append(
            "The model has no template of chats, so messages are written as '### User:', "
            "'### Assistant:' and their texts; ask it the same way, or give "
            "ModelConfig.chat_template."
        )


def _adapted(model: Any, said: Mapping[str, Any]) -> Any:
    try:
        return get_peft_model(model, LoraConfig(**{**said, "task_type": "CAUSAL_LM"}))
    except (ValueError, TypeError) as error:
        raise Ended(
            Ending.CONFIG_INVALID,
            f"training_config.yaml: LoraConfig does not fit the model: {first_line(error)}.",
        ) from error


def _method(plan: Plan) -> str:
    return "qlora" if plan.settings["QuantizationConfig"] else "lora"
