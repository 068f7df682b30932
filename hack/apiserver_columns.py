"""Builds kaito/local/apiserver/data/columns.json from apiserver_columns.txt beside this file.

Descriptions that are a field's documentation come from the `kubernetes` package.
"""

from __future__ import annotations

import json
import pathlib

import kubernetes.client.models as models

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "kaito/local/apiserver/data/columns.json"


def documentation(reference: str) -> str:
    """The text of MODEL.FIELD; empty where the package has none."""
    model, _, field = reference.partition(".")
    cls = getattr(models, model, None)
    if cls is None:
        print("no model", reference)
        return ""
    for attribute, wire in cls.attribute_map.items():
        if wire == field:
            info = cls.model_fields.get(attribute)
            text = info.description if info is not None else None
            if not text:
                print("no text", reference)
            # The package lost the paragraph break of generated documentation.
            return (text or "").replace("  Populated by", "\n\nPopulated by")
    print("no field", reference)
    return ""


def main() -> None:
    table: dict[str, list[dict[str, object]]] = {}
    for line in (HERE / "apiserver_columns.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, name, type_, form, priority, text = line.split("\t")
        if text.startswith("="):
            text = documentation(text[1:])
        text = text.replace("\\n", "\n")
        table.setdefault(kind, []).append(
            {
                "name": name,
                "type": type_,
                "format": form,
                "priority": int(priority),
                "description": text,
            }
        )
    OUT.write_text(json.dumps(table, indent=0, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
