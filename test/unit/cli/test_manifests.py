"""Files that anybody may have written are objects or one sentence."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaito.cli.manifests import read
from kaito.cli.parser import CommandError

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is no YAML"),
        ("[" * 100_000, "nests deeper than 200 levels"),
        ("{a: " * 201 + "}" * 201, "nests deeper than 200 levels"),
        (BOMB, "stands for more than 2,000,000 values"),
        ("&a [*a]", "*a stands for nothing that is complete"),
        ("- 1", "is no object"),
        ("kind: List\nitems: 5", "items are no list of objects"),
        ("kind: List\nitems: [5]", "items are no list of objects"),
        ("!!int ''", "is no YAML"),
        ("a: 2026-99-99", "is no YAML"),
    ],
)
def test_what_is_no_manifest_is_told_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(text)
    with pytest.raises(CommandError) as told:
        read(str(file))
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_anchors_that_people_write_are_read(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("a: &x {b: 1}\nc: *x\n---\nkind: List\nitems: [{d: 1}]\n")
    assert read(str(file)) == [{"a": {"b": 1}, "c": {"b": 1}}, {"d": 1}]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), values, min_size=1), max_size=3))
def test_what_yaml_wrote_is_read_back(documents: list[dict[str, object]]) -> None:
    lists = [each for each in documents if str(each.get("kind", "")).endswith("List")]
    with TemporaryDirectory() as folder:
        file = Path(folder, "f.yaml")
        file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
        if not lists:
            assert read(str(file)) == documents
