"""What is wrong with an object of a built-in kind, and what is merely odd, is named word by word.

data/kind_faults.json holds for each kind an object that is fine and changes to it, each with the
causes or the warnings that a kube-apiserver 1.36 gives to a creation with that change.
"""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from test.conformance.client import Answer, Api
from test.conformance.objects import Space

pytestmark = pytest.mark.apiserver

Object = dict[str, Any]
TEXT = Path(__file__).with_name("data").joinpath("kind_faults.json").read_text()
KINDS: list[Object] = json.loads(TEXT)
AT_ONCE = 8  # requests


def changed(base: Object, changes: list[Object]) -> Object:
    """A copy with values put at paths, or taken away where a change has none."""
    found = copy.deepcopy(base)
    for change in changes:
        *way, last = change["at"]
        holder = found
        for step in way:
            holder = holder.setdefault(step, {})
        if "is" in change:
            holder[last] = change["is"]
        else:
            del holder[last]
    return found


def said(answer: Answer) -> Object:
    """The causes and warnings of an answer, as the cases list them."""
    causes = answer.body.get("details", {}).get("causes", [])
    found: Object = {}
    if answer.status >= 400:
        found["faults"] = sorted({f"{cause['field']}: {cause['message']}" for cause in causes})
    if answer.warnings:
        found["warnings"] = sorted(answer.warnings)
    return found


@pytest.mark.parametrize("of", [kind["of"] for kind in KINDS])
async def test_a_kind_says_what_is_wrong_with_it(api: Api, ns: Space, of: str) -> None:
    raw = next(kind for kind in KINDS if kind["of"] == of)
    kind = json.loads(json.dumps(raw).replace("NAMESPACE", ns.name))
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(case: Object) -> Object:
        async with turn:
            body = changed(kind["base"], case["change"])
            answer = await api.create(kind["path"], body, dryRun="All")
        return {"change": case["change"]} | said(answer)

    assert await asyncio.gather(*map(ask, kind["cases"])) == kind["cases"]
