"""Manifests out of files that anybody may have written: objects, or one sentence.

Read within bounds: a few hundred bytes of YAML can stand for gigabytes, and a text that nests
without end takes the parser down with the process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from kaito.cli.parser import CommandError
from kaito.runtime import Object

LARGEST = 16 * 1024**2  # bytes of one file
DEEPEST = 200  # levels of maps and lists; a Pod has some twenty
MOST = 2_000_000  # values of one file, those that aliases repeat counted each time
# libyaml's parser where PyYAML was built with it; the other takes seconds for a large file.
LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def read(name: str) -> list[Object]:
    """The objects of a file, - for the standard input; the items of lists among them.

    CommandError where it cannot be read as manifests.
    """
    data = _bytes(name)
    try:
        _bounded(data)
        found = list(yaml.load_all(data, LOADER))
    except (yaml.YAMLError, ValueError) as error:
        raise CommandError(f"{name} is no YAML: {' '.join(str(error).split())[:300]}") from error
    objects: list[Object] = []
    for each in found:
        if isinstance(each, dict):
            objects += _items(name, each)
        elif each is not None:
            raise CommandError(f"{name} holds a document that is no object.")
    return objects


def _bytes(name: str) -> bytes:
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror or error}") from error
    if len(data) > LARGEST:
        raise CommandError(f"{name} is larger than {LARGEST // 1024**2} MiB: is it a manifest?")
    return data


def _items(name: str, obj: Object) -> Iterator[Object]:
    """The object, or what a List holds."""
    items = obj.get("items")
    if not str(obj.get("kind", "")).endswith("List") or items is None:
        yield obj
        return
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise CommandError(f"{name} holds a List whose items are no list of objects.")
    yield from items


def _bounded(data: bytes) -> None:
    """ValueError for what nests too deep, repeats itself into the millions, or holds itself."""
    open_: list[tuple[str | None, int]] = []  # anchors of what is being read, and where it began
    sizes: dict[str, int] = {}
    count = 0
    for event in yaml.parse(data, LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"*{event.anchor} stands for nothing that is complete")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, count))
            sizes.pop(event.anchor or "", None)
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, began = open_.pop()
            if anchor:
                sizes[anchor] = count - began
        elif isinstance(event, yaml.ScalarEvent):
            if event.tag:
                raise ValueError(f"the tag {event.tag} is of no use in a manifest")
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if len(open_) > DEEPEST:
            raise ValueError(f"it nests deeper than {DEEPEST} levels")
        if count > MOST:
            raise ValueError(f"it stands for more than {MOST:,} values")
