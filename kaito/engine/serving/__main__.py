"""`python -m kaito.engine.serving`."""

from __future__ import annotations

import sys

from kaito.engine.serving.server import main

sys.exit(main())
