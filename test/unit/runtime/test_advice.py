"""Somebody who reads the log knows what to do."""

from __future__ import annotations

import pytest
import yaml

from kaito.runtime import (
    BadRequest,
    ConnectionFailed,
    Forbidden,
    NotFound,
    Object,
    OversizedLine,
    Resource,
    Status,
    Unauthorized,
    api_error,
)
from kaito.runtime.advice import advice, rule

DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")


def test_the_rule_for_an_informer_is_yaml_that_can_be_pasted_under_rules() -> None:
    assert yaml.safe_load(rule(DEPLOYMENTS)) == [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list", "watch"]}
    ]


@pytest.mark.parametrize(
    ("namespace", "where"),
    [("", "deployments.apps, add to our ClusterRole the rule"), ("team", "Role of namespace team")],
)
def test_a_missing_right_is_named_with_its_verb_and_place(namespace: str, where: str) -> None:
    said = advice(Forbidden(Status(403)), DEPLOYMENTS, "watch", namespace)
    assert said.startswith("to let us watch deployments.apps")
    assert where in said
    assert said.endswith(rule(DEPLOYMENTS))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotFound(Status(404)), "the server has no /apis/apps/v1/deployments"),
        (Unauthorized(Status(401)), "renew the credentials"),
        (BadRequest(Status(400)), "correct the label or field selector"),
        (api_error(405, b""), "the server offers no watch"),
        (OversizedLine("long"), "leave large ones out"),
        (ConnectionFailed("refused"), ""),
    ],
)
def test_each_refusal_has_its_way_out(error: Exception, said: str) -> None:
    given = advice(error, DEPLOYMENTS, "watch", "")
    assert said in given
    assert bool(said) == bool(given)
