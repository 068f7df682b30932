"""What probes run on several nodes: whether this Pod's own port says that all is well.

The leader's says so while its model answers, a worker's once it has joined. Both end by themselves
when the other one is lost.
"""

from __future__ import annotations

import sys
import urllib.request

HEALTH = "http://127.0.0.1:5000/health"
SECONDS = 10

if __name__ == "__main__":
    try:
        urllib.request.urlopen(HEALTH, timeout=SECONDS).close()
    except OSError as error:
        sys.exit(f"{HEALTH}: {error}")
