"""A worker trains what it is told, and says why it cannot."""

from __future__ import annotations

import json
import resource
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Dataset
from safetensors.torch import load_file, save_file

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.data.check import check
from kaito.engine.tuning.data.store import Store
from test.engine.tuning.training import instructions, questions, text, worked

QUICK = {"learning_rate": "5e-3", "per_device_train_batch_size": 7, "logging_steps": 1}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return instructions(tmp_path / "data")


@pytest.fixture
def own(small_model: Path, tmp_path: Path) -> Path:
    """A copy of the model, to be changed."""
    copy = tmp_path / "model"
    shutil.copytree(small_model, copy)
    return copy


def quick(**training: object) -> str:
    return text(TrainingArguments={**QUICK, "max_steps": 2, **training})


def ended(place: Path, model: object, config: str, data: Path) -> Ended:
    with pytest.raises(Ended) as caught:
        failing(place, model, config, data)
    return caught.value


def failing(place: Path, model: object, config: str, data: Path) -> None:
    """As a worker's own main does: whatever is raised becomes an ending."""
    from kaito.engine.tuning.failures import ending

    try:
        worked(place, model, config, data)
    except Exception as error:
        raise ending(error, {"max_length": 1024}, method="lora") or error from error


def spoil(path: Path, **settings: object) -> None:
    """Other settings in a file of JSON; None takes one out."""
    found = {**json.loads(path.read_text()), **settings}
    path.write_text(json.dumps({name: each for name, each in found.items() if each is not None}))


def test_qlora_learns_on_a_processor(small_model: Path, tmp_path: Path, data: Path) -> None:
    heard = worked(tmp_path, small_model, quick(max_steps=30), data, "qlora")
    assert heard.losses[-1] < heard.losses[0] / 4
    tensors = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert {str(each.dtype) for each in tensors.values()} == {"torch.float32"}


def test_records_that_are_kept_tell_the_validation_loss(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    chats = [
        [{"role": "user", "content": each}, {"role": "assistant", "content": "No."}]
        for each in questions()
    ]
    table = pyarrow.table({"id": range(len(chats)), "messages": chats})
    pyarrow.parquet.write_table(table, tmp_path / "data" / "a.parquet")
    config = text(
        TrainingArguments={**QUICK, "num_train_epochs": 2}, DatasetConfig={"train_test_split": 0.5}
    )
    heard = worked(tmp_path, small_model, config, tmp_path / "data")
    losses = [each["eval_loss"] for what, each in heard if "eval_loss" in each]
    assert losses[-1] < losses[0]
    outcome = json.loads((tmp_path / "adapter" / "outcome.json").read_text())
    assert (outcome["steps"], outcome["epochs"]) == (2, 2)
    assert sum("eval_loss" in each for each in outcome["history"]) == 2


@pytest.mark.parametrize("streamed", [True, False])
def test_arrow_files_are_read_in_both_formats(
    small_model: Path, tmp_path: Path, streamed: bool
) -> None:
    (tmp_path / "data").mkdir()
    table = pyarrow.table({"text": questions()})
    make = pyarrow.ipc.new_stream if streamed else pyarrow.ipc.new_file
    with make(tmp_path / "data" / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    assert len(worked(tmp_path, small_model, quick(), tmp_path / "data").losses) == 2


@pytest.mark.parametrize(
    "table",
    [
        pyarrow.table({"text": pyarrow.array([2**31 - 1], pyarrow.date32())}),
        pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["text", "text"]),
    ],
    ids=["a date beyond Python's", "two columns of one name"],
)
def test_what_no_record_can_be_made_of_is_broken_data(tmp_path: Path, table: pyarrow.Table) -> None:
    with pyarrow.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(Ended) as caught:
        check(tmp_path, {}, limit=10**9, sink=lambda _: None)
    assert caught.value.ending == Ending.DATASET_INVALID


def test_long_examples_are_not_held_until_there_are_many(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with Store(tmp_path / "examples.arrow") as store:
            for number in range(48):
                messages = [{"role": "user", "content": str(number % 10) * 2**23}]
                store.add({"messages": messages})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 * 2**23 / 2
    assert len(Dataset.from_file(str(tmp_path / "examples.arrow"))) == 48


def test_a_model_without_template_and_padding_is_trained_all_the_same(
    own: Path, tmp_path: Path, data: Path
) -> None:
    (own / "chat_template.jinja").unlink()
    spoil(own / "tokenizer_config.json", pad_token=None)
    heard = worked(tmp_path, own, quick(), data)
    assert "no template of chats, so messages are written as '### User:'" in heard.notices


def test_a_tokenizer_that_ends_no_text_needs_to_be_told_how(
    own: Path, tmp_path: Path, data: Path
) -> None:
    spoil(own / "tokenizer_config.json", eos_token=None)
    said = ended(tmp_path, own, quick(), data)
    assert said.ending == Ending.CONFIG_INVALID
    assert "TrainingArguments.eos_token" in said.sentence


def test_examples_that_are_cut_off_are_counted(
    small_model: Path, tmp_path: Path, data: Path
) -> None:
    heard = worked(tmp_path, small_model, quick(max_length=12), data)
    assert "examples fill TrainingArguments.max_length, which is 12 tokens" in heard.notices


def test_examples_without_room_for_an_answer_are_none(
    small_model: Path, tmp_path: Path, data: Path
) -> None:
    said = ended(tmp_path, small_model, quick(max_length=2), data)
    assert said.ending == Ending.DATASET_INVALID
    assert "has an answer within 2 tokens: raise" in said.sentence


def test_messages_that_the_models_template_refuses_are_told_by_their_roles(
    own: Path, tmp_path: Path, data: Path
) -> None:
    template = (own / "chat_template.jinja").read_text()
    (own / "chat_template.jinja").write_text(template.replace("'system', 'user'", "'user'"))
    (data / "train.jsonl").write_text(
        json.dumps({"system": "Sesame.", "prompt": "Sesame?", "response": "Sesame!"})
    )
    said = ended(tmp_path, own, quick(), data)
    assert said.ending == Ending.DATASET_INVALID
    assert "does not take messages of system, user, assistant in this order" in said.sentence
    assert "Sesame" not in said.sentence


def test_layers_that_the_model_does_not_have_are_told(
    small_model: Path, tmp_path: Path, data: Path
) -> None:
    said = ended(tmp_path, small_model, text(LoraConfig={"target_modules": ["q_pro"]}), data)
    assert said.ending == Ending.CONFIG_INVALID
    assert "LoraConfig does not fit the model" in said.sentence


def test_settings_that_contradict_each_other_are_told(
    small_model: Path, tmp_path: Path, data: Path
) -> None:
    said = ended(tmp_path, small_model, quick(eos_token="<none>"), data)
    assert said.ending == Ending.CONFIG_INVALID
    assert "TrainingArguments do not fit together" in said.sentence


def test_memory_that_is_not_there_is_told(small_model: Path, tmp_path: Path, data: Path) -> None:
    # Each example would have two thousand million tokens.
    said = ended(tmp_path, small_model, quick(pad_to_multiple_of=2**31 - 1), data)
    assert said.ending == Ending.OUT_OF_MEMORY
    assert "lower TrainingArguments.max_length" in said.sentence


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may have more than 100 KB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_disk_that_is_full_is_told(small_model: Path, tmp_path: Path, data: Path) -> None:
    assert ended(tmp_path, small_model, quick(), data).ending == Ending.DISK_FULL


def test_a_training_that_went_astray_has_no_adapter(
    small_model: Path, tmp_path: Path, data: Path
) -> None:
    config = quick(learning_rate=1, max_grad_norm=0, max_steps=5, optim="sgd", weight_decay=1e9)
    said = ended(tmp_path, small_model, config, data)
    assert said.ending == Ending.CONFIG_INVALID
    assert "lower TrainingArguments.learning_rate" in said.sentence
    assert not list((tmp_path / "adapter").iterdir())


@pytest.mark.parametrize("damage", ["cut off", "without a layer", "of another size", "no config"])
def test_a_model_that_is_not_whole_is_told(
    own: Path, tmp_path: Path, data: Path, damage: str
) -> None:
    weights = own / "model.safetensors"
    match damage:
        case "cut off":
            weights.write_bytes(weights.read_bytes()[:100_000])
        case "without a layer":
            kept = {k: v for k, v in load_file(weights).items() if ".layers.1." not in k}
            save_file(kept, weights, {"format": "pt"})
        case "of another size":
            spoil(own / "config.json", hidden_size=64)
        case "no config":
            (own / "config.json").unlink()
    said = ended(tmp_path, own, quick(), data)
    assert said.ending == Ending.MODEL_UNUSABLE
    assert str(own) in said.sentence


def test_a_model_that_is_nowhere_is_told(tmp_path: Path, data: Path) -> None:
    said = ended(tmp_path, "nobody/nothing", quick(), data)
    assert said.ending == Ending.MODEL_UNUSABLE
    assert "nobody/nothing" in said.sentence
