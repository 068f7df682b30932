"""`python -m kaito.cli`, how our own processes start each other."""

from __future__ import annotations

import sys

from kaito.cli.parser import main

sys.exit(main())
