"""Pods that want to be near others, away from them, or spread evenly."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.scheduling.neighbours import (
    AFFINITY,
    ANTI_AFFINITY,
    EXISTING,
    NO_DOMAIN,
    SPREAD,
    Neighbour,
    Rules,
    judge_of,
)

ZONES = ({"zone": "1"}, {"zone": "2"}, {"zone": "3"})


def term(app: str = "y", **more: Any) -> Any:
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "zone", **more}


def rules(app: str = "x", **spec: Any) -> Rules:
    return Rules.of({"namespace": "ns", "labels": {"app": app}}, spec)


def near(*terms: Any) -> Any:
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def away(*terms: Any) -> Any:
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def spread(**more: Any) -> Any:
    return {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "x"}},
        **more,
    }


def there(zone: str, app: str = "y", namespace: str = "ns", repels: Any = ()) -> Neighbour:
    return Neighbour(namespace, {"app": app}, {"zone": zone}, tuple(repels))


def verdicts(asked: Rules, *known: Neighbour) -> list[str]:
    judge = judge_of(asked, known, ZONES)
    return [judge(labels)[0] for labels in ZONES]


def test_a_pod_goes_where_its_friends_are() -> None:
    asked = rules(affinity=near(term()))
    assert verdicts(asked, there("2")) == [AFFINITY, "", AFFINITY]
    assert verdicts(asked, there("2", namespace="other")) == [AFFINITY] * 3
    assert verdicts(
        rules(affinity=near(term(namespaceSelector={}))), there("2", namespace="o")
    ) == [
        AFFINITY,
        "",
        AFFINITY,
    ]


def test_the_first_of_a_group_may_go_anywhere() -> None:
    assert verdicts(rules("y", affinity=near(term()))) == ["", "", ""]
    assert verdicts(rules("x", affinity=near(term()))) == [AFFINITY] * 3


def test_a_pod_stays_away_from_those_it_avoids_and_from_those_that_avoid_it() -> None:
    assert verdicts(rules(affinity=away(term())), there("1")) == [ANTI_AFFINITY, "", ""]
    assert verdicts(rules(), there("3", repels=[term("x")])) == ["", "", EXISTING]
    assert verdicts(rules(), there("3", repels=[term("z")])) == ["", "", ""]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [SPREAD, "", SPREAD]),
        ({"maxSkew": 2}, [SPREAD, "", ""]),
        ({"minDomains": 4}, [SPREAD, "", SPREAD]),
        ({"whenUnsatisfiable": "ScheduleAnyway"}, ["", "", ""]),
    ],
)
def test_pods_are_spread_over_the_domains(more: Any, expected: list[str]) -> None:
    asked = rules(topologySpreadConstraints=[spread(**more)])
    assert verdicts(asked, *[there("1", "x")] * 2, there("3", "x")) == expected


def test_a_node_outside_every_domain_takes_no_pod_that_is_spread() -> None:
    judge = judge_of(rules(topologySpreadConstraints=[spread()]), (), ZONES)
    assert judge({"disk": "ssd"}) == (NO_DOMAIN, False)
