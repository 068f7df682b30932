"""The transformers server, under the path that the manager starts."""

from __future__ import annotations

import sys

from kaito.engine.serving.server import main

if __name__ == "__main__":
    sys.exit(main())
