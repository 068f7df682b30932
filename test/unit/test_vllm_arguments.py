"""The list of vLLM's arguments is read from source that is not imported."""

from __future__ import annotations

import pytest

from hack.vllm_arguments import ARGUMENTS, FRONTEND, Argument, NotUnderstood, arguments

CONFIG = '''
Mode = Literal["fast", "slow"]
Kind: TypeAlias = Literal[Mode, "none"]

@config
class Inner:
    x: int = 1

@config(config=ConfigDict(extra="forbid"))
class ModelConfig:
    model: str = "m"
    """A text."""
    max_model_len: int | None = None
    seed: int = Field(default=0, ge=0)
    share: Annotated[float, "of one"] = 0.5
    eager: bool = False
    token: bool | str | None = None
    mode: Mode | None = None
    kind: "Kind" = "none"
    open_kind: Literal["a"] | str = "a"
    names: list[str] = field(default_factory=list)
    rank: Literal[8, 1, 16] = 8
    inner: Inner = field(default_factory=Inner)
    extra: dict[str, Any] | None = None
    either: dict[str, str] | str = ""
    steps: dict[str, int] = field(default_factory=dict)
    delayed: Inner | None = None
    later: ClassVar[int] = 3
'''
ENGINE = """
class EngineArgs:
    @staticmethod
    def add_cli_args(parser):
        model_kwargs = get_kwargs(ModelConfig)
        group = parser.add_argument_group(title="ModelConfig")
        for_one = model_kwargs["seed"]
        if not help:
            group.add_argument("--model", **model_kwargs["model"])
        group.add_argument("--max-model-len", **model_kwargs["max_model_len"])
        group.add_argument("--seed", "-s", **for_one)
        group.add_argument("--share", **{**model_kwargs["share"], "default": None})
        model_kwargs["delayed"]["type"] = optional_type(json.loads)
        group.add_argument("--delayed", **model_kwargs["delayed"])
        for name in ():
            pass
        ALL
        parser.add_argument("--device-ids", type=lambda s: s.split(","), default=None)
        parser.add_argument("--stats", action="store_true")
        parser.add_argument("--backend", choices=["x", "y"])
        return parser

class AsyncEngineArgs:
    @staticmethod
    def add_cli_args(parser):
        parser.add_argument("--log", action=argparse.BooleanOptionalAction)
        return parser
""".replace(
    "        ALL\n",
    "".join(
        f'        group.add_argument("--{name.replace("_", "-")}", **model_kwargs["{name}"])\n'
        for name in (
            *("eager", "token", "mode", "kind", "open_kind", "names", "rank", "inner"),
            *("extra", "either", "steps"),
        )
    ),
)
SERVER = """
@config
class BaseFrontendArgs:
    template: str | None = None
    loras: list[Path] | None = None

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs["loras"]["type"] = optional_type(str)
        return frontend_kwargs

@config
class FrontendArgs(BaseFrontendArgs):
    port: int = 8000
    origins: list[str] = field(default_factory=lambda: ["*"])

    @classmethod
    def _customize_cli_kwargs(cls, frontend_kwargs):
        frontend_kwargs["origins"]["type"] = json.loads
        return frontend_kwargs

def make_arg_parser(parser):
    parser.add_argument("tag", nargs="?")
    parser.add_argument("--headless", action="store_true", default=False)
    parser.add_argument("--count", "-c", type=int)
    return parser
"""
TREE = {"vllm/config/model.py": CONFIG, ARGUMENTS: ENGINE, FRONTEND: SERVER}


def read() -> dict[str, Argument]:
    return arguments(TREE.__getitem__, [*TREE, "vllm/other.py"])


def test_every_form_of_an_argument_is_understood() -> None:
    found = {name: each.kind for name, each in read().items() if each.kind != "choice"}
    assert found == {
        "headless": "switch",
        "count": "integer",
        "template": "text",
        "loras": "list",
        "port": "integer",
        "origins": "json",
        "model": "text",
        "max-model-len": "length",
        "seed": "integer",
        "share": "number",
        "eager": "flag",
        "token": "optional",
        "open-kind": "text",
        "names": "list",
        "inner": "json",
        "extra": "json",
        "either": "text",
        "steps": "json",
        "delayed": "json",
        "device-ids": "text",
        "stats": "switch",
        "log": "flag",
    }


def test_choices_are_listed_as_the_parser_lists_them() -> None:
    assert {name: each.choices for name, each in read().items() if each.choices} == {
        "mode": ("fast", "slow", "None"),
        "kind": ("fast", "none", "slow"),
        "rank": ("1", "8", "16"),
        "backend": ("x", "y"),
    }


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (ARGUMENTS, 'action="store_true"', 'action="count"'),
        (ARGUMENTS, "optional_type(json.loads)", "parse_somehow"),
        (ARGUMENTS, "**for_one", "**somehow()"),
        (ARGUMENTS, "class AsyncEngineArgs", "class Other"),
        (ARGUMENTS, "get_kwargs(ModelConfig)", "get_kwargs(NoConfig)"),
    ],
)
def test_what_is_not_understood_ends_it(path: str, old: str, new: str) -> None:
    assert old in TREE[path]
    changed = {**TREE, path: TREE[path].replace(old, new)}
    with pytest.raises(NotUnderstood):
        arguments(changed.__getitem__, [*changed])
