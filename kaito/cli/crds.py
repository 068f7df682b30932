"""`kaito crds`."""

from __future__ import annotations

import argparse
import sys

from kaito.api import crds
from kaito.api.manifest import render


def run(_: argparse.Namespace) -> int:
    """Print every CRD, ready for `kubectl apply -f -`."""
    sys.stdout.write(render(crds()))
    return 0
