"""Both kinds of claim are read into one form, leniently."""

from __future__ import annotations

import msgspec
import pytest

from kaito.provisioner.claim import MACHINE, NODECLAIM, Claim, duration
from test.unit.provisioner.machines import machine, nodeclaim, nodeclaim_object, requirement


def test_each_kind_has_its_own_words() -> None:
    assert machine().dialect is MACHINE
    assert nodeclaim().dialect is NODECLAIM


def test_only_a_kaito_node_class_has_a_name_here() -> None:
    assert nodeclaim().node_class == "default"
    other = {"group": "karpenter.azure.com", "kind": "AKSNodeClass", "name": "default"}
    assert nodeclaim(spec={"nodeClassRef": other}).node_class == ""
    assert machine().node_class == ""


def test_words_that_only_a_later_karpenter_knows_do_not_keep_a_claim_from_being_read() -> None:
    later = nodeclaim_object(
        spec={"requirements": [requirement("cpu", "4", operator="Gte")], "novel": {"a": 1}},
        status={"conditions": [{"type": "Novel", "status": "True", "more": 1}]},
    )
    read = msgspec.convert(later, Claim)
    assert read.spec.requirements[0].operator == "Gte"
    assert read.status.conditions == ({"type": "Novel", "status": "True", "more": 1},)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("720h", 2_592_000.0), ("1h30m", 5400.0), ("90s", 90.0), ("Never", None), ("", None),
     ("h", None), ("1h x", None)],
)  # fmt: skip
def test_a_duration_is_read_or_is_none(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds
