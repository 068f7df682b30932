"""The trainer, under the path that the manager starts."""

from __future__ import annotations

import sys

from kaito.engine.tuning.trainer import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
