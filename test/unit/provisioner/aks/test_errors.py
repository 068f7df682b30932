"""Azure's codes and words, and the way out of each."""

from __future__ import annotations

import pytest

from kaito.provisioner import Cause, Way
from kaito.provisioner.aks.errors import (
    MAX_WORDS,
    Answer,
    Detail,
    classify,
    pool_failure,
    pool_is_missing,
)

FAMILY_QUOTA = (
    "Operation could not be completed as it results in exceeding approved standardNCADSA100v4 "
    "Family Cores quota. Submit a request for Quota increase at https://aka.ms/..."
)
REGIONAL_QUOTA = "results in exceeding approved Total Regional Cores quota"
SPOT_QUOTA = "results in exceeding approved LowPriorityCores limit"
IN_PROGRESS = (
    "Operation is not allowed because there's an in progress create node pool operation on ws1"
)

TABLE = [
    (400, "OperationNotAllowed", FAMILY_QUOTA, Cause.QUOTA),
    (409, "OperationNotAllowed", REGIONAL_QUOTA, Cause.QUOTA),
    (409, "OperationNotAllowed", SPOT_QUOTA, Cause.QUOTA),
    (400, "QuotaExceeded", "", Cause.QUOTA),
    (400, "ErrCode_InsufficientVCPUQuota", "remaining 0", Cause.QUOTA),
    (409, "OperationNotAllowed", IN_PROGRESS, Cause.BUSY),
    (409, "Conflict", "", Cause.BUSY),
    (412, "PreconditionFailed", "", Cause.BUSY),
    (409, "NicReservedForAnotherVm", "", Cause.BUSY),
    (409, "AllocationFailed", "", Cause.CAPACITY),
    (409, "ZonalAllocationFailed", "", Cause.CAPACITY),
    (409, "OverconstrainedAllocationRequest", "", Cause.CAPACITY),
    (409, "OverconstrainedZonalAllocationRequest", "", Cause.CAPACITY),
    (409, "SkuNotAvailable", "", Cause.SKU),
    (400, "VMSizeNotSupported", "", Cause.SKU),
    (400, "BadRequest", "The VM size of Standard_X is not allowed in your subscription", Cause.SKU),
    (400, "SubnetIsFull", "", Cause.LIMIT),
    (400, "MaxAgentPoolCountReached", "", Cause.LIMIT),
    (403, "AuthorizationFailed", "", Cause.ACCESS),
    (401, "InvalidAuthenticationToken", "", Cause.ACCESS),
    (401, "", "", Cause.ACCESS),
    (403, "RequestDisallowedByPolicy", "", Cause.POLICY),
    (409, "ScopeLocked", "", Cause.POLICY),
    (404, "ResourceGroupNotFound", "", Cause.SCOPE),
    (404, "ResourceNotFound", "managedClusters/aks was not found", Cause.SCOPE),
    (404, "SubscriptionNotFound", "", Cause.SCOPE),
    (409, "MissingSubscriptionRegistration", "", Cause.SCOPE),
    (429, "TooManyRequests", "", Cause.THROTTLED),
    (429, "", "", Cause.THROTTLED),
    (503, "ServiceUnavailable", "", Cause.SERVER),
    (500, "NobodyKnowsThis", "", Cause.SERVER),
    (400, "InvalidParameter", "osDiskSizeGB", Cause.INVALID),
    (400, "NobodyKnowsThis", "", Cause.INVALID),
    (402, "NobodyKnowsThis", "", Cause.UNKNOWN),
]

WAYS = {
    Cause.QUOTA: Way.ANOTHER,
    Cause.CAPACITY: Way.ANOTHER,
    Cause.SKU: Way.ANOTHER,
    Cause.BUSY: Way.RETRY,
    Cause.THROTTLED: Way.RETRY,
    Cause.SERVER: Way.RETRY,
    Cause.NETWORK: Way.RETRY,
    Cause.ACCESS: Way.USER,
    Cause.POLICY: Way.USER,
    Cause.SCOPE: Way.USER,
    Cause.LIMIT: Way.USER,
    Cause.UNKNOWN: Way.USER,
    Cause.INVALID: Way.HOPELESS,
}


@pytest.mark.parametrize(("status", "code", "message", "cause"), TABLE)
def test_an_answer_is_classified(status: int, code: str, message: str, cause: Cause) -> None:
    failure = classify(Answer(status, Detail(code, message)))
    assert (failure.cause, failure.way) == (cause, WAYS[cause])


def test_whoever_has_to_act_is_told_what_to_do() -> None:
    for status, code, message, _ in TABLE:
        failure = classify(Answer(status, Detail(code, message)))
        assert failure.advice or failure.way is Way.RETRY


def test_the_code_inside_decides_over_the_generic_one_outside() -> None:
    outer = Detail(
        "CreateVMSSAgentPoolFailed",
        "Unable to create",
        (Detail("BadRequest", "see below", (Detail("OperationNotAllowed", FAMILY_QUOTA),)),),
    )
    failure = classify(Answer(400, outer))
    assert (failure.cause, failure.code) == (Cause.QUOTA, "OperationNotAllowed")
    assert failure.message == FAMILY_QUOTA


def test_a_precise_code_outside_decides_over_a_generic_one_inside() -> None:
    error = Detail("SkuNotAvailable", "not here", (Detail("BadRequest", "bad"),))
    assert classify(Answer(400, error)).cause is Cause.SKU


@pytest.mark.parametrize(
    "message",
    [
        'VMSS create failed: Code="ZonalAllocationFailed" Message="no room"',
        "{'code': 'ZonalAllocationFailed', 'message': 'no room'}",
        "Code: ZonalAllocationFailed, no room",
    ],
)
def test_a_code_inside_the_words_is_found(message: str) -> None:
    assert classify(Answer(400, Detail("BadRequest", message))).cause is Cause.CAPACITY


def test_a_pool_that_failed_for_an_unknown_reason_is_tried_again() -> None:
    assert pool_failure("ws1", Detail("Surprise", "what")).way is Way.RETRY
    assert pool_failure("ws1", None).way is Way.RETRY


def test_a_pool_that_failed_for_lack_of_machines_is_not() -> None:
    assert pool_failure("ws1", Detail("AllocationFailed", "none")).way is Way.ANOTHER


def test_the_time_that_azure_asks_for_is_kept() -> None:
    assert classify(Answer(429, Detail(), retry_after=77.0)).retry_after == 77.0


def test_long_words_are_cut_and_put_on_one_line() -> None:
    failure = classify(Answer(400, Detail("InvalidParameter", "a\n b" * 1000)))
    assert len(failure.message) == MAX_WORDS
    assert "\n" not in failure.message


def test_both_forms_of_an_error_body_are_read() -> None:
    flat = {"code": "NotFound", "message": "m", "details": None, "subcode": ""}
    assert Detail.of(flat) == Detail.of({"error": flat}) == Detail("NotFound", "m")


@pytest.mark.parametrize(
    ("status", "code", "message", "missing"),
    [
        (404, "NotFound", "Agent Pool not found", True),
        (404, "ResourceNotFound", "managedClusters/aks/agentPools/ws1 was not found", True),
        (404, "ResourceNotFound", "managedClusters/aks was not found", False),
        (404, "ResourceGroupNotFound", "", False),
        (404, "SubscriptionNotFound", "", False),
        (403, "NotFound", "", False),
    ],
)
def test_only_a_denial_of_this_very_pool_means_that_it_is_gone(
    status: int, code: str, message: str, missing: bool
) -> None:
    assert pool_is_missing(Answer(status, Detail(code, message)), "ws1") is missing
