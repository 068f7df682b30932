"""`python3 -m kaito.engine.tuning`, which is what /workspace/tfs/fine_tuning.py runs."""

from __future__ import annotations

import sys

from kaito.engine.tuning.trainer import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
