"""Which module a package's names come from, read from the imports that type checkers see.

One list serves both: what is imported under TYPE_CHECKING is imported at run time when its name is
first asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def homes(package: str) -> Mapping[str, str]:
    """The module of each name that the package imports under TYPE_CHECKING.

    OSError where the package's source is not there to be read.
    """
    source = files(package).joinpath("__init__.py").read_text("utf-8")
    return {
        alias.asname or alias.name: node.module
        for block in ast.parse(source).body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
