"""What a world has come to, without what no two runs have alike: compared by meaning.

Left out are uids, versions, times, addresses and who owns which field. Generated names stand as
what they were generated from, wherever they are mentioned. A generation says nothing by itself, and
an observed one how far it is behind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kaito.runtime import Object

LEFT_OUT = frozenset(
    [
        *("uid", "resourceVersion", "generation", "managedFields", "clusterIP", "clusterIPs"),
        *("nodePort", "podIP", "podIPs", "hostIP", "hostIPs", "containerID"),
    ]
)
_UID = r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
# Written out, with dashes where colons are not allowed, or in seconds of the loop's clock.
_TIME = r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(\.\d+)?(Z|\+00:00)?|\b175\d{7}(\.\d+)?\b"
_ADDRESS = r"\b1\d{1,2}(\.\d{1,3}){3}\b"
SAME: tuple[tuple[str, str], ...] = ((_UID, "UID"), (_TIME, "TIME"), (_ADDRESS, "ADDRESS"))
SHOWN = 8  # lines of a difference


@dataclass(frozen=True, slots=True)
class Ending:
    """What there is when all rests: a line for each field of each object, as often as it is."""

    lines: Counter[str]
    created: Counter[str]
    """How many of each kind there have ever been."""

    def difference(self, expected: Ending) -> Sequence[str]:
        """What is there and should not (+), what should be there (-), and what there has been more
        of than should; empty when nothing differs."""
        found = [f"+ {each}" for each in sorted((self.lines - expected.lines).elements())]
        found += [f"- {each}" for each in sorted((expected.lines - self.lines).elements())]
        more = self.created - expected.created
        found += [
            f"there have been {self.created[kind]} {kind}, and {expected.created[kind]} are enough"
            for kind in sorted(more)
        ]
        if len(found) > SHOWN:
            found[SHOWN:] = [f"and {len(found) - SHOWN} lines more"]
        return found


def ending(
    objects: Sequence[tuple[str, Object]],
    things: Iterable[str],
    created: Counter[str],
    same: Sequence[tuple[str, str]],
) -> Ending:
    """The ending of a run; `same` says what texts are replaced by, beyond what always is."""
    plain = _plainer([each for _, each in objects], (*same, *SAME))
    lines = Counter(map(plain, things))
    for kind, found in objects:
        metadata = found["metadata"]
        name = "/".join(p for p in (metadata.get("namespace"), metadata["name"]) if p)
        generation = metadata.get("generation")
        lines.update(plain(f"{kind} {name} {each}") for each in _fields(found, generation))
    return Ending(lines, created)


def _plainer(objects: Sequence[Object], same: Sequence[tuple[str, str]]) -> Callable[[str], str]:
    generated = {
        meta["name"]: meta["generateName"] + "*"
        for each in objects
        if (meta := each["metadata"]).get("generateName")
    }
    rules = [(re.compile(pattern), word) for pattern, word in same]
    if generated:
        names = re.compile("|".join(map(re.escape, sorted(generated, key=len, reverse=True))))

    def plain(text: str) -> str:
        if generated:
            text = names.sub(lambda found: generated[found[0]], text)
        for pattern, word in rules:
            text = pattern.sub(word, text)
        return text

    return plain


# Any: whatever JSON holds.
def _fields(value: Any, generation: int | None, path: str = "") -> Iterator[str]:
    """Each leaf of a value, with the way to it."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            if key == "observedGeneration" and generation is not None:
                yield f"{path}.{key}: {each - generation or 'current'}"
            elif key not in LEFT_OUT:
                yield from _fields(each, generation, f"{path}.{key}")
    elif isinstance(value, list) and value:
        typed = all(isinstance(each, dict) and "type" in each for each in value)
        for number, each in enumerate(value):
            # Conditions are a map by type, in whatever order they came.
            place = each["type"] if typed else number
            yield from _fields(each, generation, f"{path}[{place}]")
    else:
        yield f"{path}: {value!r}"
