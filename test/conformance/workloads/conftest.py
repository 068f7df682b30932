"""Servers with the controllers of workloads beside them, and pods that a test moves by hand.

Nothing schedules or runs the pods: their scheduler's name is nobody's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from test.conformance.client import Api
from test.conformance.objects import Space
from test.conformance.servers import WORKLOADS, Server, available, serve
from test.conformance.workloads.hand import Hand


@pytest.fixture(scope="session", params=available(os.environ))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serve(request.param, WORKLOADS) as server:
        yield server


@pytest.fixture
def hand(api: Api, ns: Space) -> Hand:
    return Hand(api, ns)
