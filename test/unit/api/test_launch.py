"""Whether a claim's size can still be had, read from what provisioners write on it."""

from __future__ import annotations

import pytest

from kaito.api import machine, nodeclaim
from kaito.api.launch import UNAVAILABLE, Cause, unavailable
from kaito.api.meta import Condition

LAUNCHED = (machine.LAUNCHED, nodeclaim.LAUNCHED)
SCARCE = [cause for cause in Cause if cause.unavailable]


def said(type_: str, status: str, reason: str, message: str = "") -> tuple[Condition, ...]:
    return (
        Condition(type="Ready", status="False", reason=reason, message=message),
        Condition(type=type_, status=status, reason=reason, message=message),
    )


@pytest.mark.parametrize("type_", LAUNCHED)
@pytest.mark.parametrize("cause", SCARCE)
def test_each_reason_of_scarcity_is_a_verdict_on_both_kinds_of_claim(
    type_: str, cause: Cause
) -> None:
    found = unavailable(said(type_, "False", cause.value, "why"))
    assert found is not None
    assert (found.type, found.reason, found.message) == (type_, cause.value, "why")


@pytest.mark.parametrize("type_", LAUNCHED)
@pytest.mark.parametrize("cause", [cause for cause in Cause if not cause.unavailable])
def test_what_another_size_would_not_mend_is_no_verdict(type_: str, cause: Cause) -> None:
    assert unavailable(said(type_, "False", cause.value, "why")) is None


@pytest.mark.parametrize("reason", ["SubscriptionQuotaReached", "SKUNotAvailable"])
def test_what_no_zone_mends_is_a_verdict_although_karpenter_calls_it_unknown(reason: str) -> None:
    assert unavailable(said("Launched", "Unknown", reason)) is not None


@pytest.mark.parametrize("reason", ["ZonalAllocationFailure", "AllocationFailure", "LaunchFailed"])
def test_while_karpenter_tries_other_zones_there_is_no_verdict(reason: str) -> None:
    assert unavailable(said("Launched", "Unknown", reason, "no room in eastus-1")) is None


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_the_text_that_clients_look_for_is_a_verdict_whatever_the_reason(status: str) -> None:
    text = f"insufficient capacity, {UNAVAILABLE}"
    assert unavailable(said("Launched", status, "LaunchFailed", text)) is not None


def test_a_launched_claim_has_no_verdict_and_other_conditions_are_not_read() -> None:
    assert unavailable(said("Launched", "True", "SKUNotAvailable", UNAVAILABLE)) is None
    assert unavailable(said("Registered", "False", "SKUNotAvailable", UNAVAILABLE)) is None
    assert unavailable(()) is None
