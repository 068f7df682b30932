"""Which certificates are trusted: the system's, certifi's, and those that are handed in."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from pathlib import Path

import certifi


def trust(authorities: Iterable[Path] = ()) -> ssl.SSLContext:
    """A context for clients. SSL_CERT_FILE and SSL_CERT_DIR take the place of the system's.

    Images without a store of certificates are why certifi's are there too. OSError and ssl.SSLError
    for a file that holds none.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for each in authorities:
        context.load_verify_locations(each)
    return context
