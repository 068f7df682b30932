"""A dataset is read from end to end, and what is wrong with it is told without a word of it."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning.data import jsons
from kaito.engine.tuning.data.check import Checked, check
from kaito.engine.tuning.data.forms import Example
from kaito.engine.tuning.data.problems import Record

SECRET = "Sesame-4711"
Files = Mapping[str, bytes | str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    return directory


def fill(data: Path, files: Files) -> None:
    for name, content in files.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(
    data: Path, files: Files, *, limit: int = 10**9, **dataset: object
) -> tuple[Checked, list[Example]]:
    fill(data, files)
    found: list[Example] = []
    return check(data, dataset, limit=limit, sink=found.append), found


def refused(data: Path, files: Files, *, limit: int = 10**9, **dataset: object) -> str:
    with pytest.raises(Ended) as caught:
        read(data, files, limit=limit, **dataset)
    assert caught.value.ending in (Ending.DATASET_INVALID, Ending.DATASET_TOO_LARGE)
    assert SECRET not in caught.value.sentence
    assert caught.value.sentence.endswith(".")
    return caught.value.sentence


def asked(question: str, answer: str) -> Example:
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": answer}],
    }


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Why?", "response": "So."},
        {"prompt": "Why?", "completion": "So."},
        {"instruction": "Why?", "output": "So."},
        {"instruction": "Why?", "input": "", "output": "So.", "text": "Why? So."},
        {"question": "Why?", "answer": "So.", "id": 7},
        {"instruction": "Why?", "context": None, "response": "So.", "category": "x"},
        {"input": "Why?", "output": "So."},
    ],
)
def test_an_instruction_is_known_by_its_columns(data: Path, record: object) -> None:
    checked, found = read(data, {"a.jsonl": json.dumps(record)})
    assert checked.kind == "instruction"
    assert found == [asked("Why?", "So.")]


def test_a_text_that_an_instruction_is_about_follows_it(data: Path) -> None:
    record = {"instruction": "Translate.", "input": "Ja.", "output": "Yes.", "system": "Be short."}
    _, found = read(data, {"a.json": json.dumps([record])})
    assert found[0]["prompt"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Translate.\n\nJa."},
    ]


def test_chats_have_roles_under_all_their_names(data: Path) -> None:
    openai = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho", "x": 1}]
    sharing = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]
    text = "\n".join(json.dumps(each) for each in ({"messages": openai}, {"messages": sharing}))
    checked, found = read(
        data, {"a.jsonl": text, "b.jsonl": json.dumps({"conversations": sharing})}
    )
    assert checked.kind == "chat"
    assert checked.examples == 3
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    assert found == [{"messages": chat}] * 3


def test_a_table_has_chats_as_json(data: Path) -> None:
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    table = io.StringIO()
    csv.writer(table).writerows([["messages"], [json.dumps(chat)]])
    assert read(data, {"a.csv": table.getvalue()})[1] == [{"messages": chat}]


def test_columns_are_those_that_the_settings_name(data: Path) -> None:
    files = {"a.csv": "q,a,text\nWhy?,So.,x\n"}
    columns = {"context_column": "q", "response_column": "a"}
    assert read(data, files, **columns)[1] == [asked("Why?", "So.")]
    assert read(data, files, response_column="a")[1] == [{"text": "So."}]
    assert read(data, files)[1] == [{"text": "x"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '[{"text": "a\\nb"},\n {"text": "ä"}]'),
        ("a.json", '{"text": "a\\nb"}\n\n{"text": "ä"}\n'),
        ("a.json", '{\n "text": "a\\nb"\n}\n{\n "text": "ä"}'),
        ("a.jsonl", '[{"text": "a\\nb"}, {"text": "ä"}]'),
        ("data", '{"text": "a\\nb"}\n{"text": "ä"}'),
        ("a.csv", 'text\n"a\nb"\nä\n'),
        ("a.csv", 'x;text\r\n1;"a\nb"\r\n2;ä\r\n'),
        ("a.tsv", 'text\tx\n"a\nb"\t1\nä\t2\n'),
    ],
)
def test_every_layout_is_read(data: Path, name: str, text: str) -> None:
    assert read(data, {name: text})[1] == [{"text": "a\nb"}, {"text": "ä"}]
    # As some editors save it.
    assert read(data, {name: b"\xef\xbb\xbf" + text.encode()})[1][0] == {"text": "a\nb"}


def test_all_files_are_read_by_their_names_and_others_left_alone(data: Path) -> None:
    files = {
        "b/2.jsonl": '{"text": "2"}',
        "b/1.json": '[{"text": "1"}]',
        "a.csv": "text\n0\n",
        "README.md": "hi",
        ".cache/x.json": "{",
        ".hidden.json": "{",
    }
    checked, found = read(data, files)
    assert [each["text"] for each in found] == ["0", "1", "2"]
    assert checked.files == ("a.csv", "b/1.json", "b/2.jsonl")
    assert checked.notices == ("1 other file of the data is none of records, and is not read.",)


def test_a_link_to_elsewhere_is_no_data(data: Path, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"text": "x"}')
    (data / "link.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert "is empty: there is no file" in refused(data, {})


def test_one_file_can_be_named(data: Path) -> None:
    files = {"a.jsonl": '{"text": "a"}', "sub/b.data": "text\nb\n"}
    for path in ("sub/b.data", "/data/sub/b.data", str(data / "sub/b.data")):
        found = read(data, files, dataset_path=path, dataset_extension="csv")[1]
        assert found == [{"text": "b"}]
    for path in ("none.csv", "../secret", "/etc/passwd", "sub", "a\0b", "a" * 5000):
        assert "dataset_path names no file" in refused(data, files, dataset_path=path)
    assert "must be one of arrow, csv" in refused(data, files, dataset_extension="webdataset")


def test_a_digest_tells_data_apart(data: Path) -> None:
    first = read(data, {"a.jsonl": '{"text": "a"}'})[0].digest
    assert read(data, {"a.jsonl": '{"text": "a"}'})[0].digest == first
    assert read(data, {"a.jsonl": '{"text": "b"}'})[0].digest != first


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "is empty: there is no file below"),
        ({"a.jsonl": ""}, "a.jsonl is empty"),
        ({"a.jsonl": "\n \n"}, "has no record"),
        ({"a.json": "[]"}, "has no record"),
        ({"a.csv": "text\n"}, "has no record"),
        ({"a.txt": SECRET}, "only such as a.txt"),
        ({"a.jsonl.gz": b"\x1f\x8b\x08"}, "is compressed with gzip: unpack it"),
        ({"a.csv": b"PK\x03\x04..."}, "a zip archive or a spreadsheet"),
        ({"a.json": "<!DOCTYPE html>"}, "is a web page"),
        ({"a.jsonl": '{"text": "ä"}'.encode("utf-16")}, "is in UTF-16: convert it"),
        ({"a.jsonl": '{"text": "a"}'.encode("utf-16-be")}, "is in UTF-16BE"),
        ({"a.csv": '"text"\nabc\n'.encode("utf-32")}, "is in UTF-32"),
        (
            {"a.csv": "text\nok\nschön\n".encode("latin-1")},
            "line 3 looks like ISO-8859-1 (Latin-1)",
        ),
        ({"a.json": '[{"text": "€"}]'.encode("cp1252")}, "line 1 looks like WINDOWS-1252"),
        ({"a.jsonl": b'{"text": "\xff\x81"}'}, "line 1 has bytes that are none"),
        ({"a.json": '[{"text": "a"}'}, "the array does not end"),
        ({"a.json": '[{"text": "a"}\n{"text": "b"}]'}, "a comma is missing"),
        ({"a.json": '[{"text": "a"}] x'}, "something follows the end"),
        ({"a.json": f'[{{"text": "a"}},\n{{"text": {SECRET}}}]'}, "from line 2: it is no JSON"),
        ({"a.csv": f'text\nok\n"{SECRET}\n'}, "from line 3: a quote is not closed"),
        ({"a.csv": f"{SECRET},b\nc,d\n"}, "known in its first line: name them messages"),
        ({"a.csv": "text,text\na,b\n"}, "two columns of one name"),
        ({"a.jsonl": '{"q": "a", "Sesame-4711": "b"}'}, "known, but q: name them"),
        ({"a.jsonl": '{"text": "a"}', "b.csv": "prompt,response\na,b\n"}, "bring them into one"),
        ({"a.jsonl": '"a"\n5\n'}, "has no record that is an object"),
    ],
)
def test_a_dataset_that_is_none_is_told(data: Path, files: Files, words: str) -> None:
    assert words in refused(data, files)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f'{{"text": {SECRET}}}', "is no JSON at column 10"),
        ('{"text": "a"', "is no JSON at column 13"),
        ("[" * 100_000, "nests too deep"),
        ('{"text": ' + "9" * 5000 + "}", "holds a number that is too long"),
        ('{"other": "a"}', "has no text"),
        ('{"text": null}', "has no text"),
        ('{"text": 5}', "has a number in place of a text as text"),
        ('{"text": {"a": [1]}}', "has an object in place of a text as text"),
        ('{"text": " "}', "has nothing as text"),
        ('{"text": "\\ud800"}', "has half a character, from an escape, in text"),
        ('["text"]', "is no object with columns"),
    ],
)
def test_a_broken_record_is_told_by_its_line(data: Path, line: str, why: str) -> None:
    text = f'{{"text": "a"}}\n{line}\n{{"text": "b"}}'
    assert f"1 of 3 records are broken: line 2 {why}" in refused(data, {"a.jsonl": text})


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ("x", "has no list of messages in messages"),
        ([], "has no message of the assistant"),
        ([{"role": "user", "content": "a"}], "has no message of the assistant"),
        ([{"role": SECRET, "content": "a"}], "a message 1 whose role is none of system, user"),
        ([{"role": ["user"], "content": "a"}], "a message 1 whose role is none of system, user"),
        ([{"role": "assistant", "content": [{}]}], "has a list in place of a text as the content"),
        ([{"role": "assistant"}], "has nothing in place of a text as the content of message 1"),
        (["hi"], "a message 1 that is no object"),
    ],
)
def test_a_broken_chat_is_told_by_its_message(data: Path, messages: object, why: str) -> None:
    record = json.dumps({"messages": messages})
    assert why in refused(data, {"a.jsonl": record})


def test_of_many_broken_records_the_first_are_told(data: Path) -> None:
    text = "text\n" + "a\n" * 10 + "a,b\n" * 20
    sentence = refused(data, {"a.csv": text})
    assert "20 of 30 records are broken: line 12 has 2 fields, and the first line 1;" in sentence
    assert "line 14 has 2 fields, and the first line 1, and 17 more" in sentence


def test_nothing_is_kept_of_a_dataset_after_its_first_broken_record(data: Path) -> None:
    fill(data, {"a.jsonl": '{"text": "a"}\n{}\n{"text": "b"}'})
    found: list[Example] = []
    with pytest.raises(Ended):
        check(data, {}, limit=100, sink=found.append)
    assert found == [{"text": "a"}]


def test_a_dataset_above_the_limit_is_not_even_read(data: Path) -> None:
    sentence = refused(data, {"a.jsonl": "x" * 101}, limit=100)
    assert "has 101 bytes, and at most 100 bytes are allowed" in sentence


def test_a_line_without_end_is_not_held_in_memory(data: Path) -> None:
    files = {"a.jsonl": b'{"text": "' + b"x" * (17 * 2**20)}
    assert "has more than 16 MiB in line 1" in refused(data, files)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=6), seed=st.integers(0, 999))
def test_whatever_texts_say_comes_out_as_it_went_in(
    data: Path, texts: list[str], seed: int
) -> None:
    records = [{"text": each, "other": [1, {"x": None}]} for each in texts]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([["text", "b"], *([each, "x"] for each in texts)])
    indent = random.Random(seed).choice([None, 2])
    layouts = {
        "a.jsonl": "\n".join(json.dumps(each) for each in records),
        "b.json": json.dumps(records, indent=indent, ensure_ascii=False),
        "c.json": "\n".join(json.dumps(each, indent=2) for each in records),
    }
    # CSV as Python reads it has one kind of end of a line.
    if not any("\r" in each or "\0" in each for each in texts):
        layouts["d.csv"] = table.getvalue()
    for name, text in layouts.items():
        for each in data.iterdir():
            each.unlink()
        assert read(data, {name: text})[1] == [{"text": each} for each in texts]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_an_array_is_read_in_whatever_pieces(
    data: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsons, "PIECE", size)
    records = [{"text": "ä" * each, "n": [12345, -1.5e3, {"b": None}]} for each in range(1, 30)]
    fill(data, {"a.json": json.dumps(records, ensure_ascii=False, indent=1)})
    found = list(jsons.records(data / "a.json", "a.json", lined=False))
    assert [each.value for each in found if isinstance(each, Record)] == records
    lines = [each.place.number for each in found]
    assert lines == [2 + 10 * each for each in range(29)]
