"""How the ReplicaSets of a Deployment follow a change of its size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.workloads.scaling import DESIRED, MAXIMUM, Sets, follow, is_scaled
from kaito.runtime import Object


def deployment(replicas: int, surge: int | str = 3, **strategy: Any) -> Object:
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 2}}
    return {
        "metadata": {"name": "d"},
        "spec": {"replicas": replicas, "strategy": strategy or rolling},
    }


def replica_set(name: str, replicas: int, sized_for: int, *, surge: int = 3, **status: int) -> Any:
    notes = {DESIRED: str(sized_for), MAXIMUM: str(sized_for + surge)}
    return {
        "metadata": {"name": name, "creationTimestamp": name, "annotations": notes},
        "spec": {"replicas": replicas},
        "status": status,
    }


def sizes(of: Object, sets: Sets) -> dict[str, int]:
    return {scale.name: scale.replicas for scale in follow(of, sets)}


# What a kube-controller-manager 1.36 did with two sets of 8 and 5 pods, sized for 10 and 3 more.
@pytest.mark.parametrize(
    ("replicas", "old", "new"), [(15, 11, 7), (20, 14, 9), (12, 9, 6), (11, 9, 5)]
)
def test_a_change_in_the_middle_of_a_rollout_is_spread_over_the_sets(
    replicas: int, old: int, new: int
) -> None:
    sets = Sets(replica_set("b", 5, 10), (replica_set("a", 8, 10),))
    assert sizes(deployment(replicas), sets) == {"a": old, "b": new}


def test_what_a_smaller_size_takes_away_is_spread_as_well() -> None:
    sets = Sets(replica_set("b", 7, 15), (replica_set("a", 11, 15),))
    assert sizes(deployment(7), sets) == {"a": 6, "b": 4}


def test_without_pods_wanted_every_set_is_emptied() -> None:
    sets = Sets(replica_set("b", 5, 10), (replica_set("a", 8, 10),))
    assert sizes(deployment(0), sets) == {"a": 0, "b": 0}


def test_old_sets_are_emptied_once_the_new_one_has_every_pod() -> None:
    full = replica_set("b", 4, 4, availableReplicas=4)
    assert sizes(deployment(4), Sets(full, (replica_set("a", 2, 6),))) == {"a": 0}


def test_the_only_set_with_pods_follows_whether_it_is_the_new_one_or_not() -> None:
    assert sizes(deployment(9), Sets(replica_set("b", 0, 4), (replica_set("a", 4, 4),))) == {"a": 9}


def test_a_deployment_that_recreates_spreads_nothing() -> None:
    sets = Sets(replica_set("b", 1, 4), (replica_set("a", 4, 4),))
    assert sizes(deployment(9, type="Recreate"), sets) == {}


def test_a_change_of_size_shows_in_what_the_sets_were_sized_for() -> None:
    assert is_scaled(deployment(5), Sets(replica_set("b", 4, 4), ()))
    assert not is_scaled(deployment(4), Sets(replica_set("b", 4, 4), (replica_set("a", 0, 9),)))


@given(
    after=st.integers(1, 60),
    surge=st.integers(0, 2),
    parts=st.lists(st.integers(2, 30), min_size=2, max_size=5),
)
def test_never_more_pods_than_the_surge_allows_and_never_fewer_than_none(
    after: int, surge: int, parts: list[int]
) -> None:
    before = sum(parts) - surge
    made = [
        replica_set(str(number), size, before, surge=surge) for number, size in enumerate(parts)
    ]
    found = sizes(deployment(after, surge), Sets(made[-1], tuple(made[:-1])))
    assert all(size >= 0 for size in found.values())
    assert sum(({str(n): size for n, size in enumerate(parts)} | found).values()) <= after + surge
