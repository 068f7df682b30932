"""Builds kaito/catalog/data/vllm_arguments.toml: the arguments of vLLM's server, with their types.

    python hack/vllm_arguments.py vllm-0.25.1-cp38-abi3-manylinux_2_28_x86_64.whl

The argument is the wheel, or the folder that it was unpacked to. Its source is read and never
imported, so no GPU and none of vLLM's dependencies are needed. What cannot be understood ends the
script: a list that leaves something out would have us refuse what the engine takes.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

OUT = pathlib.Path(__file__).parent.parent / "kaito/catalog/data/vllm_arguments.toml"
ARGUMENTS = "vllm/engine/arg_utils.py"
FRONTEND = "vllm/entrypoints/openai/cli_args.py"
TYPES = re.compile(r"vllm/(config/\w+|entrypoints/chat_utils|engine/arg_utils)\.py")
RELEASE = re.compile(r"vllm-([0-9.]+)\.dist-info/METADATA")
# Functions that turn a word into a value, by how they are called in the source.
CONVERTERS = {
    "human_readable_int": "size",
    "human_readable_int_or_auto": "length",
    "json.loads": "json",
    "int": "integer",
    "float": "number",
    "str": "text",
}
HEADER = """\
# What vLLM's server takes on its command line: read by kaito/catalog/arguments.py.
#
# Made by hack/vllm_arguments.py from the source of this release; not to be edited.
#
# flag      stands alone; --no-NAME says the opposite
# switch    stands alone
# optional  stands alone, or has a text
# integer, number, text
# size      a whole number, which may end in k, m, g, t (thousands) or K, M, G, T (of 1024)
# length    a size, or auto
# json      a JSON text; --NAME.KEY=VALUE says one key of it
# list      one text or more
# choice    one of these

"""


class NotUnderstood(Exception):
    """The source has something in it that this script does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument as it is written to the table."""

    kind: str
    choices: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = ", ".join(f'"{each}"' for each in self.choices)
        return f'{{ kind = "{self.kind}"' + (f", choices = [{words}]" if words else "") + " }"


class Types:
    """The type annotations of vLLM's settings."""

    def __init__(self, modules: Mapping[str, ast.Module]) -> None:
        self._aliases: dict[str, ast.expr] = {}
        self._fields: dict[str, dict[str, ast.expr]] = {}
        self._settings: set[str] = set()
        for module in modules.values():
            for node in module.body:
                match node:
                    case ast.Assign(targets=[ast.Name(id=name)], value=value):
                        self._aliases[name] = value
                    case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                        self._aliases[name] = value
                    case ast.ClassDef(name=name, body=body):
                        self._fields[name] = {
                            each.target.id: each.annotation
                            for each in body
                            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
                        }
                        if any("config" in ast.unparse(each) for each in node.decorator_list):
                            self._settings.add(name)

    def fields(self, settings: str) -> Mapping[str, Argument]:
        """What arguments the fields of a class become (_compute_kwargs of arg_utils.py)."""
        if settings not in self._fields:
            raise NotUnderstood(f"no class {settings}")
        found = {}
        for name, annotation in self._fields[settings].items():
            if not ast.unparse(annotation).startswith(("ClassVar", "InitVar")):
                found[name] = self._argument(name, annotation)
        return found

    def _argument(self, name: str, annotation: ast.expr) -> Argument:
        hints = {ast.unparse(each): each for each in self._parts(annotation)}
        none = hints.pop("None", None) is not None
        heads = {text.partition("[")[0] for text in hints}
        if heads & self._settings:
            return Argument(kind="json")
        if heads == {"bool", "str"} and none:
            return Argument(kind="optional")
        if "bool" in heads:
            return Argument(kind="flag")
        if "Literal" in heads:
            if "str" in heads:
                return Argument(kind="text")
            words = [str(each) for each in sorted({*chain(*map(_words, hints.values()))})]
            return Argument(kind="choice", choices=(*words, *(["None"] if none else [])))
        if heads & {"tuple", "list", "set"}:
            return Argument(kind="list")
        if "int" in heads:
            # By name, as _compute_kwargs has it.
            special = {
                "max_model_len": "length",
                "max_num_batched_tokens": "size",
                "kv_cache_memory_bytes": "size",
                "safetensors_prefetch_block_size": "size",
            }
            return Argument(kind=special.get(name, "integer"))
        if "float" in heads:
            return Argument(kind="number")
        if "dict" in heads:
            return Argument(kind="text" if len(heads) > 1 else "json")
        return Argument(kind="text")

    def _parts(self, annotation: ast.expr) -> Iterator[ast.expr]:
        """The types of a union, with names in place of which others stand looked up."""
        match annotation:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                yield from self._parts(left)
                yield from self._parts(right)
            case ast.Constant(value=str(text)):
                yield from self._parts(ast.parse(text, mode="eval").body)
            case ast.Name(id=name) if name in self._aliases:
                yield from self._parts(self._aliases[name])
            case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
                yield from self._parts(first)
            case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=each)):
                for part in each:
                    yield from self._parts(part)
            case ast.Subscript(value=ast.Name(id="SkipValidation"), slice=inner):
                yield from self._parts(inner)
            case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
                # One that stands in another is a part of it.
                for part in inner.elts if isinstance(inner, ast.Tuple) else [inner]:
                    inlined = isinstance(part, ast.Name | ast.Subscript)
                    yield from self._parts(part) if inlined else [_literal(part)]
            case _:
                yield annotation


def _literal(value: ast.expr) -> ast.expr:
    return ast.Subscript(value=ast.Name(id="Literal"), slice=value, ctx=ast.Load())


def _words(hint: ast.expr) -> Iterator[str]:
    if isinstance(hint, ast.Subscript) and ast.unparse(hint.value) == "Literal":
        yield ast.literal_eval(hint.slice)


class Parser:
    """Follows the functions that tell argparse what there is."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._known: dict[str, dict[str, Argument]] = {}
        self._single: dict[str, Argument] = {}
        self.found: dict[str, Argument] = {}

    def follow(self, function: ast.FunctionDef) -> None:
        """Read what one function adds."""
        for node in _in_order(function):
            match node:
                # x = get_kwargs(Settings)
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(func=ast.Name(id="get_kwargs"), args=[ast.Name(id=settings)]),
                ):
                    self._known[name] = dict(self._types.fields(settings))
                # y = x["field"]
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=key)),
                ) if table in self._known:
                    self._single[name] = self._known[table][str(key)]
                # x["field"]["type"] = ...
                case ast.Assign(
                    targets=[
                        ast.Subscript(
                            value=ast.Subscript(
                                value=ast.Name(id=table), slice=ast.Constant(value=key)
                            ),
                            slice=ast.Constant(value="type"),
                        )
                    ],
                    value=converter,
                ) if table in self._known:
                    self._known[table][str(key)] = Argument(kind=_kind(converter))
                case ast.Call(func=ast.Attribute(attr="add_argument"), args=args):
                    self._add(node, args)

    def _add(self, call: ast.Call, args: list[ast.expr]) -> None:
        names = [each.value for each in args if isinstance(each, ast.Constant)]
        long = [str(each)[2:] for each in names if str(each).startswith("--")]
        if not long:  # the model's name, which we give as --model
            return
        argument = self._described(call)
        for name in long:
            self.found[name] = argument

    def _described(self, call: ast.Call) -> Argument:
        given = {each.arg: each.value for each in call.keywords if each.arg is not None}
        for each in call.keywords:
            if each.arg is None:
                return self._spread(each.value)
        action = ast.unparse(given["action"]) if "action" in given else ""
        if action == "argparse.BooleanOptionalAction":
            return Argument(kind="flag")
        if action == "'store_true'":
            return Argument(kind="switch")
        if action:
            raise NotUnderstood(ast.unparse(call))
        if "choices" in given:
            return Argument(kind="choice", choices=tuple(ast.literal_eval(given["choices"])))
        return Argument(kind=_kind(given["type"]) if "type" in given else "text")

    def _spread(self, value: ast.expr) -> Argument:
        match value:
            case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=key)):
                return self._known[table][str(key)]
            case ast.Name(id=name):
                return self._single[name]
            case ast.Dict(keys=[None, *_], values=[first, *_]):
                return self._spread(first)
        raise NotUnderstood(ast.unparse(value))


def _kind(converter: ast.expr) -> str:
    match converter:
        case ast.Call(func=ast.Name(id="optional_type" | "parse_type"), args=[inner]):
            return _kind(inner)
        case ast.Lambda():  # splits or spells a word
            return "text"
    text = ast.unparse(converter)
    if text not in CONVERTERS:
        raise NotUnderstood(text)
    return CONVERTERS[text]


def _in_order(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Every node of a function, as it is written."""
    for child in ast.iter_child_nodes(function):
        yield from _walk(child)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


def _function(module: ast.Module, path: str) -> ast.FunctionDef:
    """CLASS.FUNCTION, or FUNCTION."""
    body: list[ast.stmt] = module.body
    for name in path.split("."):
        found = next((each for each in body if getattr(each, "name", None) == name), None)
        if not isinstance(found, ast.ClassDef | ast.FunctionDef):
            raise NotUnderstood(f"no {path}")
        body = found.body
    assert isinstance(found, ast.FunctionDef)
    return found


def frontend(types: Types, module: ast.Module) -> Iterator[tuple[str, Argument]]:
    """What the HTTP server takes: a field is an argument, but for the types that it changes."""
    for settings in ("BaseFrontendArgs", "FrontendArgs"):
        found = dict(types.fields(settings))
        parser = Parser(types)
        parser._known["frontend_kwargs"] = found
        for node in _in_order(_function(module, f"{settings}._customize_cli_kwargs")):
            match node:
                case ast.Assign(
                    targets=[
                        ast.Subscript(
                            value=ast.Subscript(slice=ast.Constant(value=key)),
                            slice=ast.Constant(value="type"),
                        )
                    ],
                    value=converter,
                ):
                    kind = _kind(converter)
                    # A list whose parts are converted is still a list.
                    if kind != "text":
                        found[str(key)] = replace(found[str(key)], kind=kind)
        for name, argument in found.items():
            yield name.replace("_", "-"), argument


def arguments(read: Callable[[str], str], names: list[str]) -> dict[str, Argument]:
    """All arguments of the server of one source tree."""
    modules = {name: ast.parse(read(name)) for name in names if TYPES.fullmatch(name)}
    modules[FRONTEND] = ast.parse(read(FRONTEND))
    types = Types(modules)
    parser = Parser(types)
    parser.follow(_function(modules[FRONTEND], "make_arg_parser"))
    parser.found |= frontend(types, modules[FRONTEND])
    for name in ("EngineArgs", "AsyncEngineArgs"):
        parser.follow(_function(modules[ARGUMENTS], f"{name}.add_cli_args"))
    return parser.found


def main() -> None:
    source = pathlib.Path(sys.argv[1])
    if source.is_dir():
        names = [
            each.relative_to(source).as_posix() for each in source.rglob("*") if each.is_file()
        ]
        found = arguments(lambda name: (source / name).read_text("utf-8"), names)
    else:
        with zipfile.ZipFile(source) as wheel:
            names = wheel.namelist()
            found = arguments(lambda name: wheel.read(name).decode(), names)
    (version,) = {each[1] for each in map(RELEASE.fullmatch, names) if each}
    lines = [f"{name} = {argument}" for name, argument in sorted(found.items())]
    OUT.write_text(f'{HEADER}vllm = "{version}"\n\n[arguments]\n' + "\n".join(lines) + "\n")
    print(f"{len(found)} arguments of vLLM {version}")


if __name__ == "__main__":
    main()
