"""Nobody here asks Hugging Face for anything."""

from __future__ import annotations

import os

# Its libraries read this when they are imported, and not later.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
