"""Names that the cluster's DNS would know."""

from __future__ import annotations

import pytest

from kaito.local.network.names import Target, target
from kaito.runtime import Key

SERVICES = {Key("a", "web"): {}, Key("b", "web"): {}, Key("a", "db"): {}}


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("web", Target("services", Key("a", "web"))),
        ("web.b", Target("services", Key("b", "web"))),
        ("web.b.svc", Target("services", Key("b", "web"))),
        ("web.b.svc.cluster.local", Target("services", Key("b", "web"))),
        ("web.b.svc.cluster.local.", Target("services", Key("b", "web"))),
        ("db-0.db", Target("pods", Key("a", "db-0"))),
        ("db-0.db.a.svc", Target("pods", Key("a", "db-0"))),
        ("none", None),
        ("db.b", None),
        ("www.example.com", None),
        ("a.b.c.d", None),
        ("", None),
    ],
)
def test_a_name_means_what_it_means_in_a_namespace(host: str, found: Target | None) -> None:
    assert target(host, "a", SERVICES) == found  # type: ignore[arg-type]  # asked for membership
