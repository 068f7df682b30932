"""Builds kaito/local/apiserver/data/protobuf.json from apiserver_protobuf.txt beside this file."""

from __future__ import annotations

import json
import pathlib

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "kaito/local/apiserver/data/protobuf.json"


def main() -> None:
    table: dict[str, dict[str, str]] = {}
    for line in (HERE / "apiserver_protobuf.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        model, *fields = line.split()
        numbers = {}
        for field in fields:
            name, _, number = field.partition("=")
            if name.startswith("*"):
                numbers[name[1:]] = "*" + number
            else:
                numbers[number] = name
        table[model] = numbers
    OUT.write_text(
        "{\n"
        + ",\n".join(
            f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in table.items()
        )
        + "\n}\n"
    )


if __name__ == "__main__":
    main()
