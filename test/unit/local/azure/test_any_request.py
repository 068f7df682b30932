"""Whatever is asked of the cloud, it answers, and what it holds makes sense."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kaito.local.apiserver.http import Response
from kaito.local.apiserver.watches import Cut
from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.local.azure.limits import Limits
from kaito.local.azure.schema import Properties
from kaito.local.profile import Profile
from test.unit.local.azure.azure_client import ACCOUNT, GPU, Cloud, read
from test.unit.local.conftest import ManualClock

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
PROPERTY = st.sampled_from([field.name for field in msgspec.structs.fields(Properties)])
PLAUSIBLE = st.sampled_from(["System", "Linux", "Windows", "Spot", GPU, "", 0, 1, -1, 2.5, [], {}])
NAMES = ["a", "b", "c"]  # one more than the limit allows


def answer(request: Coroutine[Any, Any, Response]) -> Response:
    """The cloud answers at once: no request waits for anything."""
    try:
        request.send(None)
    except StopIteration as done:
        found: Response = done.value
        return found
    raise AssertionError("it waits")


@settings(deadline=None)
@given(
    properties=st.dictionaries(PROPERTY, PLAUSIBLE | JSON, max_size=5),
    name=st.sampled_from(["a", "A", "ü", "..", "a/b"]),
)
def test_no_body_makes_it_fail(properties: dict[str, Any], name: str) -> None:
    cloud = Cloud(ManualClock())
    assert answer(cloud.put(name, properties)).status < 500


SEGMENTS = [
    *ACCOUNT.pools_path.strip("/").split("/"),
    *("ws1", "machines", "abort", "deleteMachines", "operations", "..", "", "%2e%2e", "\udcff"),
    *("locations", "eastus", "Microsoft.Compute", "skus"),
]


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "X"]),
    rest=st.lists(st.sampled_from(SEGMENTS) | st.text(max_size=5), max_size=5),
    root=st.sampled_from(["/subscriptions", ACCOUNT.cluster_path, ACCOUNT.pools_path]),
    correlation=st.text(max_size=5),
)
def test_no_path_makes_it_fail(method: str, rest: list[str], root: str, correlation: str) -> None:
    cloud = Cloud(ManualClock())
    path = "/".join([root, *(part.replace("?", "") for part in rest)])
    said = answer(cloud.ask(method, path, {}, x_ms_correlation_request_id=correlation))
    assert said.status < 500
    assert all(value.isascii() for value in said.headers.values())


class Customers(RuleBasedStateMachine):
    """Several at once, who read nothing before they write."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        limits = Limits(pools=2, nodes_per_pool=5)
        self.cloud = Cloud(self.clock, Profile(pool_create=1, pool_delete=0, limits=limits))
        self.gone: set[tuple[str, float, int]] = set()
        self.there: set[tuple[str, float, int]] = set()

    def ask(self, *asked: Any) -> Response | None:
        try:
            return answer(self.cloud.ask(*asked))
        except Cut:
            return None

    def put(self, name: str, **properties: Any) -> None:
        wanted = {"vmSize": GPU, **properties}
        self.ask("PUT", f"{ACCOUNT.pools_path}/{name}", {"properties": wanted})

    @rule(name=st.sampled_from(NAMES), count=st.integers(0, 6))
    def scale(self, name: str, count: int) -> None:
        self.put(name, count=count)

    @rule(name=st.sampled_from(NAMES), fault=st.sampled_from(FaultKind))
    def fail(self, name: str, fault: FaultKind) -> None:
        self.put(name, nodeLabels={FAULT_LABEL: fault.value})

    @rule(name=st.sampled_from(NAMES), power=st.sampled_from(["Running", "Stopped"]))
    def switch(self, name: str, power: str) -> None:
        self.put(name, powerState={"code": power})

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.ask("DELETE", f"{ACCOUNT.pools_path}/{name}")

    @rule(name=st.sampled_from(NAMES))
    def abort(self, name: str) -> None:
        self.ask("POST", f"{ACCOUNT.pools_path}/{name}/abort")

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def delete_machine(self, data: st.DataObject) -> None:
        name, _, number = data.draw(st.sampled_from(sorted(self.there)))
        names = {"machineNames": [ACCOUNT.node_name(name, number)]}
        self.ask("POST", f"{ACCOUNT.pools_path}/{name}/deleteMachines", names)

    @rule(seconds=st.sampled_from([0.5, 1]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def the_limits_hold(self) -> None:
        pools = self.cloud.endpoint.pools()
        assert len(pools) <= 2
        assert all(len(pool.machines) <= 5 for pool in pools)

    @invariant()
    def a_pool_that_has_succeeded_is_as_large_as_it_says(self) -> None:
        for pool in self.cloud.endpoint.pools():
            if pool.state == "Succeeded":
                assert len(pool.machines) == pool.properties["count"]

    @invariant()
    def no_machine_comes_back(self) -> None:
        now = {
            (pool.name, pool.created, number)
            for pool in self.cloud.endpoint.pools()
            for number in pool.machines
        }
        assert len(now) == sum(len(pool.machines) for pool in self.cloud.endpoint.pools())
        assert not now & self.gone
        self.gone |= self.there - now
        self.there = now

    @invariant()
    def what_is_listed_is_what_is_there(self) -> None:
        listed = self.ask("GET", ACCOUNT.pools_path)
        assert listed is not None
        names = [pool["name"] for pool in read(listed)["value"]]
        assert names == [pool.name for pool in self.cloud.endpoint.pools()]


def test_any_sequence_of_requests_leaves_something_that_makes_sense() -> None:
    bounded = settings(max_examples=50, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(Customers, settings=bounded)
