"""The examples as modules, `import labeler` as beside the files themselves."""

from __future__ import annotations

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples" / "runtime"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))
