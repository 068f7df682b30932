"""Bearer tokens of the local cluster, kept in files that only their owner can read.

A restart finds them again, so that kubeconfigs and daemons stay valid.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from kaito.local.pki import write_private


def keep_token(path: Path) -> str:
    """The token in the file, made up at random when there is none."""
    if path.exists() and (token := path.read_text().strip()):
        return token
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    write_private(path, token.encode())
    return token
