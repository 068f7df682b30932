"""A Kubernetes API server in the process, for development and tests."""

from __future__ import annotations

from kaito.local.apiserver.faults import Delays, Fails, Fault, Hangs, Resets, TooMany
from kaito.local.apiserver.front import HttpsFront
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer

__all__ = [
    "ApiServer",
    "Delays",
    "Fails",
    "Fault",
    "Hangs",
    "HttpsFront",
    "Request",
    "Resets",
    "Response",
    "TooMany",
]
