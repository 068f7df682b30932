"""How many replicas there are is left to whoever has set that, as far as it can work."""

from __future__ import annotations

import pytest

from kaito.controllers.workspace.changes import leaving_to_others
from kaito.runtime import Object

OURS = "kaito-workspace"


def workload(kind: str, replicas: int) -> Object:
    return {"kind": kind, "metadata": {"name": "w"}, "spec": {"replicas": replicas, "template": {}}}


def scaled(kind: str, replicas: int, *, by_us: bool = False) -> Object:
    """One that is there, of which we own the template, and the replicas unless others scaled it."""
    spec: Object = {"f:template": {}, **({"f:replicas": {}} if by_us else {})}
    entry = {"manager": OURS, "operation": "Apply", "fieldsV1": {"f:spec": spec}}
    found = workload(kind, replicas)
    return {**found, "metadata": {**found["metadata"], "managedFields": [entry]}}


@pytest.mark.parametrize(
    ("kind", "replicas", "by_us", "told"),
    [
        pytest.param("Deployment", 3, False, False, id="more copies"),
        pytest.param("Deployment", 0, False, False, id="switched off"),
        pytest.param("Deployment", 2, True, True, id="nobody scaled it"),
        pytest.param("StatefulSet", 0, False, False, id="a group switched off"),
        pytest.param("StatefulSet", 3, False, True, id="a group that can never be complete"),
        pytest.param("StatefulSet", 1, False, True, id="a group of too few"),
    ],
)
def test_replicas_are_applied_where_nobody_else_has_a_say(
    kind: str, replicas: int, by_us: bool, told: bool
) -> None:
    live = scaled(kind, replicas, by_us=by_us)
    wish = leaving_to_others(workload(kind, 2), live, manager=OURS)
    assert ("replicas" in wish["spec"]) is told
    assert "template" in wish["spec"]


def test_what_is_not_there_is_applied_whole() -> None:
    wanted = workload("Deployment", 2)
    assert leaving_to_others(wanted, None, manager=OURS) == wanted
