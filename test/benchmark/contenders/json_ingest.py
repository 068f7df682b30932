"""The standard library: a file of watch events, each line parsed by json.loads.

`store` keeps the objects in a dictionary, as clients without a store of their own do; `drop`
parses and forgets.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from test.benchmark.contenders.memory import Pauses, resident
from test.benchmark.names import done

CHUNK = 64 * 1024


def main(path: Path, count: int, *, keep: bool) -> None:
    store: dict[tuple[str, str], Any] = {}
    before, pauses = resident(), Pauses()
    started = time.process_time()
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            *lines, tail = (tail + chunk).split(b"\n")
            for line in lines:
                obj = json.loads(line)["object"]
                if keep:
                    store[obj["metadata"]["namespace"], obj["metadata"]["name"]] = obj
    seconds = time.process_time() - started
    assert len(store) == (count if keep else 0)
    stored = resident() - before
    done(
        per_second=count / seconds,
        stored_of_wire=stored / path.stat().st_size,
        pause_ms=pauses.longest * 1000,
    )


main(Path(sys.argv[1]), int(sys.argv[2]), keep=sys.argv[3] == "store")
