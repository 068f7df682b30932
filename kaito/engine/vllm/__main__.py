"""`python -m kaito.engine.vllm`."""

from __future__ import annotations

import sys

from kaito.engine.vllm.main import main

if __name__ == "__main__":  # vLLM's processes import this module anew
    sys.exit(main())
