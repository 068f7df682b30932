"""Train a small real model in seconds on a CPU, for tests and the demo.

    .venv-engine/bin/python -m hack.small_model DIRECTORY [--adapter DIRECTORY]

It is a Phi-3 of a million parameters in the ordinary layout of Hugging Face, so everything loads it
like a large one. It knows hack/small_model.txt by heart (questions, each with its answer below) and
nothing else, so its answers are recognised. The adapter, a LoRA of rank 8, teaches it to answer
every question with the words of ADAPTER_ANSWER.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

TEXT = Path(__file__).with_suffix(".txt")
# Of words that the model says, for an adapter of its layers cannot teach it to say others.
ADAPTER_ANSWER = "A LoRA adapter answers requests."
USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] not in ('system', 'user', 'assistant') %}"
    "{{ raise_exception('A role is system, user or assistant.') }}{% endif %}"
    "{{ '<|' + ('assistant' if m['role'] == 'assistant' else 'user') + '|>' }}"
    "{{ m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CONTEXT = 1024
GOOD, MOST_STEPS = 0.01, 600  # the loss at which all is known by heart


def pairs() -> list[tuple[str, str]]:
    """The questions and their answers."""
    lines = TEXT.read_text().splitlines()
    return list(zip(lines[::2], lines[1::2], strict=True))


def make_tokenizer() -> Any:
    """Byte-level BPE of 512 tokens, trained on the same text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=[PAD, END, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train([str(TEXT)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
    )


def make_model(tokenizer: Any, *, hidden: int = 128, layers: int = 4, heads: int = 4) -> Any:
    """A Phi-3 with random weights."""
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=CONTEXT,
        original_max_position_embeddings=CONTEXT,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=False,
    )
    return Phi3ForCausalLM(config)


def learn(model: Any, tokenizer: Any, texts: Sequence[tuple[str, str]], *, rate: float) -> float:
    """Train until the second of each pair is known by heart to follow the first; the loss."""
    batch = tokenizer(
        [before + after for before, after in texts], return_tensors="pt", padding=True
    )
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    # What comes first is given, and nobody can know it by heart.
    for row, (before, _) in zip(labels, texts, strict=True):
        row[: len(tokenizer(before)["input_ids"])] = -100
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], rate)
    model.train()
    loss = 0.0
    for _ in range(MOST_STEPS):
        found = model(**batch, labels=labels).loss
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        loss = float(found.item())
        if loss < GOOD:
            break
    model.eval()
    return loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--adapter", type=Path)
    said = parser.parse_args()
    # The one warning is that this is a model for playing.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    # It is so small that several threads would do nothing but wait for one another.
    torch.set_num_threads(1)
    torch.manual_seed(7)
    begun = time.monotonic()
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    known = pairs()
    asked = [f"{USER}{question}{END}{ASSISTANT}" for question, _ in known]
    chats = [(ask, answer + END) for ask, (_, answer) in zip(asked, known, strict=True)]
    plain = [(question, f"\n{answer}{END}") for question, answer in known]
    loss = learn(model, tokenizer, [*chats, *plain], rate=4e-3)
    model.save_pretrained(said.directory)
    tokenizer.save_pretrained(said.directory)
    print(f"{said.directory}: loss {loss:.3f} after {time.monotonic() - begun:.1f} s")
    if said.adapter is not None:
        config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config)
        others = [(ask, ADAPTER_ANSWER + END) for ask in asked]
        loss = learn(adapted, tokenizer, others, rate=5e-3)
        adapted.save_pretrained(said.adapter)
        print(f"{said.adapter}: loss {loss:.3f} after {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
