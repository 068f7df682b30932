"""The facts of a scene that the blanks of commands are filled with, each quoted for a shell. Pure.

Other sizes come from the catalogue: the cheapest that hold the preset on one node of theirs.
"""

from __future__ import annotations

import re
import shlex
from itertools import islice

from kaito.api.words import one_line
from kaito.catalog.catalog import load
from kaito.catalog.offer import sizes_of
from kaito.controllers.workspace.alternatives import sizes_of as sizes_asked
from kaito.controllers.workspace.kinds import CHILDREN
from kaito.controllers.workspace.needs import needed
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.parameters import config_name
from kaito.runtime import Object
from kaito.why.remedies import Facts
from kaito.why.scene import Scene

AZURE = "azure"
MORE_SIZES = 2
WORD_LENGTH = 1000  # characters of a word in a command; ten sizes have 400
_SUBJECT = re.compile(r"\b([A-Z][A-Za-z]+) ([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)")
_CHILDREN = frozenset([*CHILDREN, "Job", "ControllerRevision"])


def facts(
    scene: Scene,
    *,
    order: Order | None = None,
    node: str = "",
    pod: Object | None = None,
    container: str = "",
    about: str = "",
) -> Facts:
    """What is known where a cause is found; `about` is a sentence that names an object first."""
    subject = scene.subject
    selector = (scene.workspace.get("resource") or {}).get("labelSelector") or {}
    pairs = (selector.get("matchLabels") or {}).items()
    words = {
        "ns": subject.namespace,
        "name": subject.name,
        "preset": scene.preset,
        "config": config_name(scene.workspace),
        "node": node or (order.status.node_name if order else ""),
        "claim": order.name if order else "",
        "plural": f"{ORDERS[order.kind].plural}.{ORDERS[order.kind].group}" if order else "",
        "pod": pod["metadata"]["name"] if pod else "",
        "container": container,
        "sizes": ",".join(sizes_besides(scene)) if not pod else "",
    }
    known = {name: _quoted(word) for name, word in words.items() if word} | {
        "selector": " ".join(_quoted(f"{key}={value}") for key, value in pairs),
        "object": _object(subject.namespace, about),
    }
    needs = needed([pod] if pod else ())
    return Facts(
        known={name: text for name, text in known.items() if text},
        keys={each.object.name: each.key for each in needs if each.key},
    )


def _quoted(word: str) -> str:
    """As one word of a shell, whoever wrote it."""
    return shlex.quote(one_line(word, WORD_LENGTH))


def sizes_besides(scene: Scene) -> tuple[str, ...]:
    """The sizes that a Workspace asks for and, where it asks Azure, the cheapest others that hold
    its preset; nothing where there is no other."""
    asked = sizes_asked(scene.workspace)
    catalog = load()
    model = catalog.find_model(scene.preset) if scene.preset else None
    known = catalog.find_sku(scene.size, cloud=AZURE) if scene.size else None
    if model is None or known is None:
        return ()
    others = (each.sku for each in sizes_of(model, catalog, cloud=AZURE))
    fresh = (
        sku.name
        for sku in others
        if sku.retired is None and sku.name.lower() not in {each.lower() for each in asked}
    )
    found = tuple(islice(fresh, MORE_SIZES))
    return (*asked, *found) if found else ()


def _object(namespace: str, about: str) -> str:
    """The first object that a sentence names, as kubectl takes it."""
    for kind, name in _SUBJECT.findall(about):
        if kind in ORDERS:
            return f"{kind.lower()} {name}"
        if kind in _CHILDREN:
            return f"{kind.lower()} {name} -n {namespace}"
    return ""
