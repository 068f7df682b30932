"""What the fields of built-in kinds mean, in the words of the installed Kubernetes client.

The words are read from that package's source when they are asked for; nothing of it is imported,
and none of it is kept but what was asked for. Without the package there are no words.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cached_property
from pathlib import Path

PACKAGES = ("kubernetes_asyncio", "kubernetes")
NOTE = r"(?:  # noqa: E501)?"
PROPERTY = re.compile(
    rf'"""Gets the (\w+) of this \w+\.{NOTE}\n\n(?!\s*:return)(.*?){NOTE}\n\n', re.S
)
WIRE = re.compile(r"^ {8}'(\w+)': '([^']+)',?$", re.M)
FIELD = re.compile(r"^ {4}(\w+): .*= Field\((.*)\)$", re.M)
TEXT = re.compile(r'description=("(?:[^"\\]|\\.)*")')
ALIAS = re.compile(r'serialization_alias="([^"]+)"')
CLASS = re.compile(
    r'^class \w+\(BaseModel\):\n {4}"""\n {4}(?! *Attributes:)(\S.*?)\n\n', re.M | re.S
)


class Documentation:
    """Descriptions of models and of their fields, by the names of the client's classes."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, str]] = {}

    def fields(self, model: str) -> dict[str, str]:
        """Descriptions by the names of the wire; that of the model itself is under ""."""
        found = self._known.get(model)
        if found is None:
            found = self._known[model] = self._read(model)
        return found

    def _read(self, model: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for files in self._files:
            path = files.get(model.lower())
            if path is not None:
                for name, text in _parse(path.read_text()).items():
                    found.setdefault(name, _paragraphs(text, whole=not name))
        return found

    @cached_property
    def _files(self) -> list[dict[str, Path]]:
        """For each installed package, the file of each model."""
        folders = []
        for package in PACKAGES:
            spec = importlib.util.find_spec(package)
            for place in (spec.submodule_search_locations or ()) if spec else ():
                files = Path(place).joinpath("client/models").glob("*.py")
                folders.append({f.stem.replace("_", ""): f for f in files})
        return folders


def _parse(source: str) -> dict[str, str]:
    found = {}
    if whole := CLASS.search(source):
        found[""] = " ".join(whole[1].split("\n    "))
    for name, rest in FIELD.findall(source):
        text, alias = TEXT.search(rest), ALIAS.search(rest)
        if text:
            found[alias[1] if alias else name] = str(ast.literal_eval(text[1]))
    if found:
        return found
    wire = dict(WIRE.findall(source[source.find("attribute_map = {") :].partition("}")[0]))
    for name, text in PROPERTY.findall(source):
        said = text.strip()
        if said:
            found[wire.get(name, name)] = said
    return found


def _paragraphs(text: str, *, whole: bool) -> str:
    """The package lost the ends of lines, but not the spaces before words; it escapes quotes."""
    text = re.sub(r"   (?=\S)", "\n  ", text.replace('\\"', '"'))
    return re.sub(r"  (?=[A-Z])" if whole else r"  (?=\* |Populated by )", "\n\n", text)
