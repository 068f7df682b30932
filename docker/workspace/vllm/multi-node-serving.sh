#!/usr/bin/env python3
"""What the manager runs before the engine on several nodes: it is told to lead, or to work.

The engine finds out by its variables which it is (kaito/engine/vllm/place.py) and starts Ray
itself, so there is nothing to do for the leader, and a worker is the engine without arguments.
"""

from __future__ import annotations

import os
import pathlib
import sys

if __name__ == "__main__" and sys.argv[1:2] != ["leader"]:
    engine = pathlib.Path(__file__).with_name("inference_api.py")
    os.execv(sys.executable, [sys.executable, str(engine)])
