"""vLLM, under the path that the manager starts."""

from __future__ import annotations

import sys

from kaito.engine.vllm.main import main

if __name__ == "__main__":  # vLLM's processes import this file anew
    sys.exit(main())
