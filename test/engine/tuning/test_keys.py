"""The settings that can be said are those that the installed libraries have, of the same types."""

from __future__ import annotations

import dataclasses
import inspect
import typing

import pytest
from peft import LoraConfig
from transformers import BitsAndBytesConfig
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames
from trl import SFTConfig

from kaito.engine.tuning.keys import LORA, QUANTIZATION, TRAINING, Choice, Flag, Kind, Whole

TRAINED = {each.name: each for each in dataclasses.fields(SFTConfig)}


def test_every_setting_of_a_training_is_one() -> None:
    assert sorted(set(TRAINING) - set(TRAINED)) == []


def test_every_setting_of_an_adapter_is_one() -> None:
    assert sorted(set(LORA) - {each.name for each in dataclasses.fields(LoraConfig)}) == []


def test_every_setting_of_a_quantisation_is_one() -> None:
    taken = set(inspect.signature(BitsAndBytesConfig).parameters)
    assert sorted(set(QUANTIZATION) - taken - {"quant_method"}) == []


@pytest.mark.parametrize("name", sorted(TRAINING))
def test_a_setting_is_of_the_librarys_type(name: str) -> None:
    kind: Kind = TRAINING[name]
    said = typing.get_type_hints(SFTConfig)[name]
    types = set(typing.get_args(said)) or {said}
    assert (bool in types) == isinstance(kind, Flag)
    if isinstance(kind, Whole):
        assert types & {int, float}


@pytest.mark.parametrize(
    ("name", "known"), [("optim", OptimizerNames), ("lr_scheduler_type", SchedulerType)]
)
def test_words_to_choose_from_are_the_librarys(
    name: str, known: type[OptimizerNames | SchedulerType]
) -> None:
    kind = TRAINING[name]
    assert isinstance(kind, Choice)
    assert sorted(set(kind.words) - {each.value for each in known}) == []
