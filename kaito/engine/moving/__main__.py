"""`python3 -m kaito.engine.moving`."""

from __future__ import annotations

import sys

from kaito.engine.moving.main import main

if __name__ == "__main__":
    sys.exit(main())
