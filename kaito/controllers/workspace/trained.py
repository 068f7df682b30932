"""What status.tuning says: how far a training is, and what came of it. Pure.

What was said before stays while it is about the same Job, so that a manager that starts anew, and
Pods that have gone with their nodes, take nothing of it away.
"""

from __future__ import annotations

from collections.abc import Sequence

from kaito.controllers.workspace.progress import Progress
from kaito.controllers.workspace.revisions import Ended
from kaito.runtime import Object

# Of a training that goes on, and of no other.
PASSING = ("epoch", "loss", "secondsLeft")


def trained(
    before: Object,
    job: Object | None,
    pods: Sequence[Object],
    progress: Progress | None = None,
    end: Ended | None = None,
) -> Object:
    """The field, empty where there is nothing to say. `before` is what it said, `pods` are the
    Job's, `progress` is what the trainer said last, `end` how the training ended."""
    if job is None:
        return _with_end(dict(before), end) if end is not None else {}
    status = job.get("status") or {}
    since = str(status.get("startTime") or "")
    known = dict(before) if since and before.get("startedAt") == since else {}
    found = {**known, "startedAt": since} if since else known
    if pods:
        name = pods[-1]["metadata"]["name"]
        before_it = _whole(known.get("attempts"))
        another = name != known.get("pod")
        found |= {"pod": name, "attempts": max(before_it + another, len(pods))}
    if progress is not None:
        found = {k: v for k, v in found.items() if k not in PASSING} | progress.told
    return _with_end(found, end)


def _with_end(found: Object, end: Ended | None) -> Object:
    if end is None:
        return found
    found.pop("secondsLeft", None)
    said = {"finishedAt": end.at, "result": end.result}
    return found | {name: text for name, text in said.items() if text}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
