"""The arguments of the engine are known by name and type."""

from __future__ import annotations

import pytest

from kaito.catalog.arguments import Argument, Value, arguments
from kaito.catalog.engine import engine


def test_the_list_is_of_the_release_that_the_catalogue_describes() -> None:
    assert arguments().version == engine().version
    assert len(arguments().by_name) > 200


@pytest.mark.parametrize("name", ["max-model-len", "max_model_len", "max-model_len"])
def test_a_name_is_known_with_either_dash(name: str) -> None:
    assert arguments().find(name) == Argument(kind="length")


def test_what_the_parser_makes_of_names_is_known() -> None:
    find = arguments().find
    assert find("no-enable-prefix-caching") == Argument(kind="switch")
    assert find("no-max-model-len") is None
    assert find("compilation_config.pass_config.fuse_allreduce_rms") == Argument(kind="text")
    assert find("max-model-len.a") is None
    # The beginning of one name, and of several.
    assert find("gpu-mem") == Argument(kind="number")
    assert find("max-num") is None
    assert find("") is None


def test_the_nearest_name_is_found_where_one_is_near() -> None:
    assert arguments().nearest("tensor_paralel_size") == "tensor-parallel-size"
    assert arguments().nearest("zzzzzz") == ""


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        ("flag", [True, False, None], [1, "true"]),
        ("switch", [True, None], [False, "x"]),
        ("optional", [True, None, "x", 1], [False]),
        ("integer", [1, -1, "7"], [True, None, "x", 1.5]),
        ("number", [1, 0.5, "1e-3"], ["x", True, None, "nan"]),
        ("size", [1, "8k", "2K", "1.5m"], ["1.5M", "k", -1, None]),
        ("length", [1, "8k", "auto", "AUTO", -1], ["all", -2, True]),
        ("json", ['{"a": 1}', "1", 1], ["{", None]),
        ("text", ["x", 1, 0.5], [True, None]),
        ("list", ["x"], [None]),
    ],
)
def test_a_value_is_taken_as_the_engines_parser_takes_it(
    kind: str, taken: list[Value], refused: list[Value]
) -> None:
    argument = Argument(kind=kind)  # type: ignore[arg-type]
    assert [each for each in taken if not argument.takes(each)] == []
    assert [each for each in refused if argument.takes(each)] == []
    assert argument.wanted


def test_a_choice_is_one_of_a_list() -> None:
    mode = arguments().find("performance-mode")
    assert mode is not None
    assert mode.takes("throughput")
    assert not mode.takes("fast")
    assert mode.wanted == "one of balanced, interactivity, throughput"
