"""Runs a program and prints one JSON line with what it used, from its start to its end.

A script of its own, started without site packages: the peak memory of a process begins with that
of the process it was forked from, so this one has to be smaller than any contender.
"""

from __future__ import annotations

import json
import os
import sys
import time

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes in a unit of ru_maxrss

started = time.monotonic()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
report = {
    "seconds": time.monotonic() - started,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "peak_bytes": usage.ru_maxrss * UNIT,
}
print(json.dumps(report), flush=True)
sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)
