"""What nobody reads need not be cached."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kaito.runtime import dropping

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NODE = {
    "metadata": {"name": "n", "annotations": {LAST_APPLIED: "{}", "keep": "1"}},
    "status": {"images": [{"names": ["a"]}], "capacity": {"cpu": "4"}},
}


def dropped(*paths: Any) -> Any:
    return msgspec.json.decode(dropping(*paths)(msgspec.json.encode(NODE)))


def test_the_members_named_are_left_out_and_all_others_stay() -> None:
    assert dropped("status.images", ("metadata", "annotations", LAST_APPLIED)) == {
        "metadata": {"name": "n", "annotations": {"keep": "1"}},
        "status": {"capacity": {"cpu": "4"}},
    }
    assert dropped("status") == {"metadata": NODE["metadata"]}


@pytest.mark.parametrize("path", ["spec", "status.none", "metadata.name.first", "status.images.0"])
def test_where_there_is_no_such_member_nothing_changes(path: str) -> None:
    body = msgspec.json.encode(NODE)
    assert dropping(path)(body) is body


@pytest.mark.parametrize("path", ["", "a..b", ()])
def test_a_path_without_names_is_refused_at_once(path: Any) -> None:
    with pytest.raises(ValueError, match="a path needs names"):
        dropping(path)
