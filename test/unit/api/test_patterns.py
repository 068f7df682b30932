"""Patterns tell what is a name, an image, an address or a placeholder, in steps that they can
afford."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api import patterns
from kaito.api.patterns import (
    DECIMAL,
    IMAGE,
    IMAGE_PLACEHOLDER,
    NAME,
    URL,
    URL_PLACEHOLDER,
    matches,
)
from test.unit.api.steps import Counter, steps

ALL = {name: value for name, value in vars(patterns).items() if name.isupper() and name[0] != "_"}
LENGTH = 96  # tokens that are alike
EACH = 60  # steps that a character may take: half of what a pattern takes that starts anew at each
tokens = st.sampled_from(
    [*"aA0_-./:@<>${}[]? \n", "A_", "HERE", "_HERE", "A_B_HERE", "YOUR_", "${", "a.", "a/", "1e"]
)


@settings(max_examples=60)
@given(
    before=st.sampled_from(["", "a/", "https://", "https://a/", "a:b@c:"]),
    repeated=st.lists(tokens, min_size=1, max_size=2).map("".join),
    after=st.sampled_from(["", "!", "\n", "/A_B_HERE", ".a"]),
)
def test_no_text_takes_more_steps_than_its_length_allows(
    before: str, repeated: str, after: str
) -> None:
    text = before + repeated * LENGTH + after
    for name, pattern in ALL.items():
        assert steps(pattern, text) <= EACH * len(text), name


def test_steps_that_grow_faster_are_noticed() -> None:
    """A placeholder anywhere in a text, looked for from each place anew."""
    anywhere, text = r"[\s\S]*([A-Z0-9]+_)+HERE[\s\S]*", "A_" * LENGTH
    assert steps(anywhere, text) > 2 * EACH * len(text)


@given(st.text(alphabet="aA0_-./:@<>${}[]?#\n", max_size=12))
def test_steps_are_counted_of_what_python_does(text: str) -> None:
    for pattern in ALL.values():
        assert Counter(text).match(pattern) is matches(pattern, text)


@pytest.mark.parametrize("name", ["a", "a.b", "0", "a-b.c"])
def test_a_name_is_one(name: str) -> None:
    assert matches(NAME, name)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "My Secret!", "a: b", "-a", "a.", "a\n", "ä"])
def test_what_is_no_name_is_none(name: str) -> None:
    assert not matches(NAME, name)


@pytest.mark.parametrize(
    "image",
    [
        "ACR_REPO_HERE.azurecr.io/a:1",
        "<your-registry>/a",
        "YOUR_REGISTRY_HERE/a:1",
        "r.io/<repo>:1",
        "${REGISTRY}/a",
        "IMAGE_HERE",
    ],
)
def test_a_part_of_an_image_that_is_a_placeholder_is_one(image: str) -> None:
    assert matches(IMAGE_PLACEHOLDER, image)
    assert not matches(IMAGE, image)


@pytest.mark.parametrize(
    "image", ["reg.io/your_team/data:YOUR-v1", "r.io/a:GO_HERE", "YOUR-r.io/a"]
)
def test_an_image_with_such_a_word_in_it_is_an_image(image: str) -> None:
    assert matches(IMAGE, image)
    assert not matches(IMAGE_PLACEHOLDER, image)


@pytest.mark.parametrize(
    "url",
    [
        "https://DATA_SET_HERE/x",
        "DATA_URL_HERE",
        "https://a.b/<file>",
        "https://a.b/${NAME}?x",
        "https://MY_HOST_HERE:80/",
    ],
)
def test_a_part_of_a_link_that_is_a_placeholder_is_one(url: str) -> None:
    assert matches(URL_PLACEHOLDER, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/YOUR-DATA/x",
        "https://a.b/START_HERE/x",
        "https://a.b/GO_HERE.csv",
        "https://a.b/c?sig=${",
        "https://a.b/c?x=/A_B_HERE",
        "https://a.b/IT_ALL_GOES_HERE.csv",
    ],
)
def test_a_link_with_such_a_word_in_it_is_a_link(url: str) -> None:
    assert matches(URL, url)
    assert not matches(URL_PLACEHOLDER, url)


@pytest.mark.parametrize("text", ["1", "0.5", ".5", "1.", "1e-1", "+0.5", "00.5", "-0", "1E+0"])
def test_a_decimal_is_read_as_a_number(text: str) -> None:
    assert matches(DECIMAL, text)
    assert 0 <= float(text) <= 1


@pytest.mark.parametrize("text", ["", ".", "1e", "0x1", "inf", "nan", "1e999", "1_0", "٣", " 1"])
def test_what_is_no_decimal_is_none(text: str) -> None:
    assert not matches(DECIMAL, text)
