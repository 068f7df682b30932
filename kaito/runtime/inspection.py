"""A look inside a running process, as text for people: tasks, loop, queues, caches, lease.

Nothing here waits or changes anything. It shows names, never the content of objects.
"""

from __future__ import annotations

import asyncio
import linecache
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from kaito.runtime.controller import Controller
from kaito.runtime.heartbeat import Heartbeat
from kaito.runtime.informer import Informer
from kaito.runtime.lease import Leadership

OLDEST = 10  # keys named for each queue


def tasks_page() -> str:
    """Every task of the running loop, and where it waits, outermost call first."""
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    return "".join(f"{task.get_name()}\n{_where(task)}\n" for task in tasks)


def loop_page(heartbeat: Heartbeat) -> str:
    return f"lag {heartbeat.lag:.3f} s, longest {heartbeat.longest:.3f} s\n"


def queues_page(controllers: Iterable[Controller]) -> str:
    lines = []
    for controller in controllers:
        for queue in controller.queues:
            lines.append(
                f"{controller.name}: {queue.depth} ready (oldest for {queue.oldest:.1f} s), "
                f"{queue.delayed} delayed, {len(queue.working)} worked on"
            )
            longest = sorted(queue.working.items(), key=lambda item: -item[1])
            lines += [f"    {key} for {age:.1f} s" for key, age in longest[:OLDEST]]
    return _lines(lines)


def informers_page(informers: Iterable[Informer[Any]]) -> str:
    lines = []
    for informer in informers:
        state = "synced" if informer.synced else "waiting for its first list"
        lines.append(
            f"{informer.resource}{_scope(informer)}: {state}, {len(informer.store)} objects, "
            f"heard of {informer.silence():.1f} s ago, "
            f"at version {', '.join(informer.versions)}"
        )
    return _lines(lines)


def lease_page(leadership: Leadership | None) -> str:
    if leadership is None:
        return "none: this process works without one, or has not come so far\n"
    return f"{leadership.describe()}\n"


def _scope(informer: Informer[Any]) -> str:
    scope = informer.scope
    parts = [*(f"in {name}" for name in scope.namespaces), scope.labels, scope.fields]
    said = ", ".join(part for part in parts if part)
    return f" ({said})" if said else ""


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines) or "none\n"


def _where(task: asyncio.Task[Any]) -> str:
    return "".join(
        f"    {code.co_filename}:{line} in {code.co_qualname}\n"
        f"        {linecache.getline(code.co_filename, line).strip()}\n"
        for code, line in _awaits(task.get_coro())
    )


def _awaits(awaited: Any) -> Iterator[tuple[CodeType, int]]:
    """The chain of what waits for what. Any: coroutines, generators and futures are mixed."""
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield frame.f_code, frame.f_lineno
                awaited = getattr(awaited, f"{kind}_await", None) or getattr(
                    awaited, "gi_yieldfrom", None
                )
                break
        else:
            return
