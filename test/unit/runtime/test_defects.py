"""Forty defects that users have reported of other libraries, and that each has a test here.

A test that keeps one away has its row in its name: `test_row_9_...`, `test_rows_12_15_...`.
"""

from __future__ import annotations

import re
from pathlib import Path

DEFECTS = {
    1: "a watch ends, and the process goes on as if it were alive",
    2: "an object is not handled any more after days, until a restart",
    3: "somebody else's default object pauses the stream",
    4: "a watch hangs for ever when the network is gone",
    5: "an upgrade of the control plane leaves a half-open connection",
    6: "a watch loses events after a time",
    7: "work piles up behind a dead watch",
    8: "a connection that hangs stops the reconciles until timeouts are tuned",
    9: "the Status of an expired version is taken for an object",
    10: "an expired version is asked for again, and then it is an error",
    11: "quick changes in succession leave an object unhandled",
    12: "endless writes to user objects, to keep a state in them",
    13: "a status write wakes the handler that wrote it, for ever",
    14: "the result of a patch differs from what was patched",
    15: "finalizers that nobody asked for keep namespaces from ending",
    16: "a thread for each object, until there are no more",
    17: "handlers that block queue up, and nobody is told",
    18: "a large object breaks the watch: line too long",
    19: "building models is slow and takes memory",
    20: "each model makes a configuration anew",
    21: "users go round the models to be fast enough",
    22: "importing the library takes hundreds of megabytes",
    23: "each watch makes connections or threads that nobody closes",
    24: "there is no informer",
    25: "server-side apply is missing, or awkward",
    26: "bound tokens are refused at random",
    27: "a token is read once, and long-lived clients die",
    28: "the command that renews credentials is not run again",
    29: "handlers cannot be tested without a cluster",
    30: "a reconcile does not see what it has just written",
    31: "one read starts a watch of everything",
    32: "what the first list brought starves behind what changes",
    33: "a label of a metric takes values without end",
    34: "the depth of a queue counts what is delayed, or runs below zero",
    35: "metrics vanish because somebody else registered first",
    36: "who was never elected starts working while it stops",
    37: "the lease is given back while work still runs",
    38: "an end in order is logged as a lost election",
    39: "a new list needs the memory of the cache a second time",
    40: "the memory of a list cannot be foreseen",
}

TESTS = Path(__file__).parents[2]
_NAME = re.compile(r"^ *(?:async )?def test_rows?((?:_\d+)+)_", re.MULTILINE)


def named_rows() -> set[int]:
    return {
        int(number)
        for file in TESTS.rglob("test_*.py")
        for numbers in _NAME.findall(file.read_text())
        for number in numbers.strip("_").split("_")
    }


def test_each_known_defect_is_kept_away_by_a_test_that_names_it() -> None:
    named = named_rows()
    assert [text for row, text in DEFECTS.items() if row not in named] == []


def test_no_test_names_a_defect_that_is_not_listed() -> None:
    assert named_rows() <= DEFECTS.keys()
