"""Whose an object is: what a controller has, adopts and releases."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.workloads.claims import judge
from kaito.runtime import Object


def owner(**metadata: Any) -> Object:
    selector = {
        "matchLabels": {"app": "a"},
        "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}],
    }
    return {"metadata": {"uid": "u", **metadata}, "spec": {"selector": selector}}


def pod(*, of: str = "", controls: bool = True, gone: bool = False, **labels: str) -> Object:
    metadata: Object = {"name": "p", "labels": labels}
    if of:
        metadata["ownerReferences"] = [{"uid": of, "controller": controls}]
    if gone:
        metadata["deletionTimestamp"] = "now"
    return {"metadata": metadata}


def verdict(each: Object, of: Object | None = None, **arguments: Any) -> str:
    claims = judge(of or owner(), [each], **arguments)
    found = [name for name in ("own", "adopt", "release") if getattr(claims, name)]
    return found[0] if found else "nothing"


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (pod(of="u", app="a"), "own"),
        (pod(of="u", app="a", gone=True), "own"),
        (pod(of="u", app="b"), "release"),
        (pod(of="u", app="a", canary=""), "release"),
        (pod(app="a"), "adopt"),
        (pod(of="x", controls=False, app="a"), "adopt"),
        (pod(app="a", gone=True), "nothing"),
        (pod(app="b"), "nothing"),
        (pod(of="x", app="a"), "nothing"),
    ],
)
def test_what_becomes_of_an_object(each: Object, expected: str) -> None:
    assert verdict(each) == expected


def test_an_owner_on_its_way_out_takes_and_releases_nothing() -> None:
    leaving = owner(deletionTimestamp="now")
    assert verdict(pod(app="a"), leaving) == "nothing"
    assert verdict(pod(of="u", app="b"), leaving) == "nothing"
    assert verdict(pod(of="u", app="a"), leaving) == "own"


def test_what_does_not_fit_is_released_like_what_does_not_match() -> None:
    assert verdict(pod(of="u", app="a"), fits=lambda _: False) == "release"
    assert verdict(pod(app="a"), fits=lambda _: False) == "nothing"
