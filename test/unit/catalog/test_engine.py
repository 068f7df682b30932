"""What the packaged tables say of the engine."""

from __future__ import annotations

import pytest

from kaito.catalog.engine import engine


def test_what_writes_no_text_is_among_what_the_engine_knows_and_in_one_group() -> None:
    known = engine()
    assert known.pooling < known.architectures
    assert known.drafts < known.architectures
    assert not known.pooling & known.drafts


@pytest.mark.parametrize(
    "name", ["LlamaForCausalLM", "Qwen2VLForConditionalGeneration", "GPT2LMHeadModel", "GritLM"]
)
def test_what_writes_text_is_in_neither_group(name: str) -> None:
    assert name in engine().architectures - engine().pooling - engine().drafts


def test_what_writes_no_text_is_not_suggested() -> None:
    assert "BertModel" not in engine().architectures_like("BertModels")
