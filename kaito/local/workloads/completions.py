"""Completion indexes: sets of numbers as a Job's status writes them, "0,2-4". Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kaito.local.digits import whole
from kaito.runtime import Object

INDEX = "batch.kubernetes.io/job-completion-index"


def parse(text: str, below: int) -> set[int]:
    """The numbers of a text that are less than `below`; what is no number is left out."""
    found: set[int] = set()
    for part in text.split(","):
        begin, _, end = part.partition("-")
        first, last = whole(begin), whole(end or begin)
        if first is not None and last is not None:
            found.update(range(first, min(last, below - 1) + 1))
    return found


def write(numbers: Iterable[int]) -> str:
    """The text of these numbers; three or more in a row become a range."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return ",".join(
        str(first) if first == last else f"{first}{'-' if last - first > 1 else ','}{last}"
        for first, last in runs
    )


def index_of(pod: Object, below: int) -> int | None:
    """The completion index of a pod; None when it has none that the Job asks for."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    index = whole(text)
    return index if index is not None and index < below else None


def criteria_met(job: Object, succeeded: Collection[int]) -> str:
    """The first rule of the success policy that holds, in words; "" for none."""
    rules = (job["spec"].get("successPolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules if succeeded else ()):
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        asked = parse(indexes, job["spec"]["completions"]) if indexes is not None else None
        met = len(asked.intersection(succeeded)) if asked is not None else len(succeeded)
        enough = count is not None and met >= count
        if enough or (asked and met == len(asked)):
            return f"Matched rules at index {number}"
    return ""
