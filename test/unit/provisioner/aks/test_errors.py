"""Azure's codes and words, and the way out of each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.provisioner import Cause, Way
from kaito.provisioner.aks.errors import (
    MAX_WORDS,
    Answer,
    Detail,
    classify,
    pool_failure,
    pool_is_missing,
)
from kaito.provisioner.aks.quota import read_quota
from kaito.provisioner.failure import Quota

FAMILY_QUOTA = (
    "Operation could not be completed as it results in exceeding approved "
    "standardNCADSA100v4Family Cores quota. Additional details - Deployment Model: Resource "
    "Manager, Location: eastus, Current Limit: 24, Current Usage: 24, Additional Required: 48, "
    "(Minimum) New Limit Required: 72. Submit a request for Quota increase at "
    "https://aka.ms/ProdportalCRP/#blade/Microsoft_Azure_Capacity/UsageAndQuota.ReactView/"
    "Parameters/%7B%22subscriptionId%22:%22"
)
REGIONAL_QUOTA = (
    "Operation could not be completed as it results in exceeding approved Total Regional Cores "
    "quota. Additional details - Deployment Model: Resource Manager, Location: KoreaSouth, Current "
    "Limit: 50, Current Usage: 50, Additional Required: 2, (Minimum) New Limit Required: 52."
)
SPOT_QUOTA = (
    "Operation could not be completed as it results in exceeding approved LowPriorityCores quota. "
    "Additional details - Deployment Model: Resource Manager, Location: westus2, Current Limit: 3, "
    "Current Usage: 0, Additional Required: 6"
)
OLD_QUOTA = (
    "Operation results in exceeding quota limits of Core. Maximum allowed: 10, Current in use: 10, "
    "Additional requested: 2. Please read more about quota increase at https://aka.ms/"
)
AKS_FAMILY_QUOTA = (
    "Insufficient vcpu quota requested 24, remaining 6 for family StandardNCADSA100v4Family for "
    "region eastus. Surge nodes would also consume vcpu quota."
)
AKS_REGIONAL_QUOTA = (
    "Insufficient regional vcpu quota left for location westeurope. left regional vcpu quota 4, "
    "requested quota 24."
)
IN_PROGRESS = (
    "Operation is not allowed because there's an in progress create node pool operation on ws1"
)
NOT_ALLOWED = (
    "The VM size of Standard_X is not allowed in your subscription in location 'eastus'. For more "
    "details, please visit https://aka.ms/cpu-quota"
)
NOT_SUPPORTED = "Virtual Machine size: 'Standard_X' is not supported for subscription S in location"

TABLE = [
    (400, "OperationNotAllowed", FAMILY_QUOTA, Cause.FAMILY_QUOTA),
    (400, "QuotaExceeded", FAMILY_QUOTA, Cause.FAMILY_QUOTA),
    (400, "ErrCode_InsufficientVCPUQuota", AKS_FAMILY_QUOTA, Cause.FAMILY_QUOTA),
    (409, "OperationNotAllowed", REGIONAL_QUOTA, Cause.REGIONAL_QUOTA),
    (400, "QuotaExceeded", OLD_QUOTA, Cause.REGIONAL_QUOTA),
    (400, "ErrCode_InsufficientVCPUQuota", AKS_REGIONAL_QUOTA, Cause.REGIONAL_QUOTA),
    (409, "OperationNotAllowed", SPOT_QUOTA, Cause.SPOT_QUOTA),
    (400, "QuotaExceeded", "", Cause.SUBSCRIPTION_QUOTA),
    (400, "OperationNotAllowed", "Submit a request for Quota", Cause.SUBSCRIPTION_QUOTA),
    (409, "OperationNotAllowed", IN_PROGRESS, Cause.BUSY),
    (409, "Conflict", "", Cause.BUSY),
    (412, "PreconditionFailed", "", Cause.BUSY),
    (409, "NicReservedForAnotherVm", "", Cause.BUSY),
    (409, "AllocationFailed", "", Cause.ALLOCATION),
    (409, "ZonalAllocationFailed", "", Cause.ZONAL_ALLOCATION),
    (409, "OverconstrainedAllocationRequest", "", Cause.OVERCONSTRAINED),
    (409, "OverconstrainedZonalAllocationRequest", "", Cause.OVERCONSTRAINED_ZONAL),
    (409, "SkuNotAvailable", "", Cause.SKU),
    (400, "VMSizeNotSupported", "", Cause.SKU),
    (400, "BadRequest", NOT_ALLOWED, Cause.SKU),
    (400, "BadRequest", NOT_SUPPORTED, Cause.SKU),
    (400, "SubnetIsFull", "", Cause.SUBNET),
    (400, "InsufficientSubnetSize", "Pre-allocated IPs 255 exceeds IPs available", Cause.SUBNET),
    (400, "MaxAgentPoolCountReached", "", Cause.POOL_LIMIT),
    (400, "BadRequest", "exceeds the maximum number of agent pools", Cause.POOL_LIMIT),
    (403, "AuthorizationFailed", "", Cause.AUTHORIZATION),
    (403, "", "", Cause.AUTHORIZATION),
    (401, "InvalidAuthenticationToken", "", Cause.AUTHENTICATION),
    (401, "", "", Cause.AUTHENTICATION),
    (403, "RequestDisallowedByPolicy", "", Cause.POLICY),
    (409, "ScopeLocked", "", Cause.LOCK),
    (404, "ResourceGroupNotFound", "", Cause.GROUP),
    (409, "ResourceGroupBeingDeleted", "", Cause.GROUP),
    (404, "ResourceNotFound", "managedClusters/aks was not found", Cause.CLUSTER),
    (404, "SubscriptionNotFound", "", Cause.SUBSCRIPTION),
    (409, "ReadOnlyDisabledSubscription", "", Cause.SUBSCRIPTION),
    (409, "MissingSubscriptionRegistration", "", Cause.REGISTRATION),
    (429, "TooManyRequests", "", Cause.THROTTLED),
    (429, "", "", Cause.THROTTLED),
    (503, "ServiceUnavailable", "", Cause.SERVER),
    (500, "NobodyKnowsThis", "", Cause.SERVER),
    (400, "InvalidParameter", "osDiskSizeGB", Cause.INVALID),
    # Only a code that says so is a request that can never be met.
    (400, "NobodyKnowsThis", "", Cause.UNKNOWN),
    (400, "BadRequest", "Adding agent pools is not allowed", Cause.UNKNOWN),
    (402, "NobodyKnowsThis", "", Cause.UNKNOWN),
]

RETRIED = {Cause.BUSY, Cause.THROTTLED, Cause.SERVER, Cause.NETWORK}


def way_of(cause: Cause) -> Way:
    if cause.unavailable:
        return Way.ANOTHER
    if cause is Cause.INVALID:
        return Way.HOPELESS
    return Way.RETRY if cause in RETRIED else Way.USER


@pytest.mark.parametrize(("status", "code", "message", "cause"), TABLE)
def test_an_answer_is_classified(status: int, code: str, message: str, cause: Cause) -> None:
    failure = classify(Answer(status, Detail(code, message)))
    assert (failure.cause, failure.way) == (cause, way_of(cause))


@pytest.mark.parametrize(
    ("words", "quota"),
    [
        (
            FAMILY_QUOTA,
            Quota(
                name="standardNCADSA100v4Family",
                location="eastus",
                limit=24,
                used=24,
                needed=48,
                raise_to=72,
                left=0,
            ),
        ),
        (
            REGIONAL_QUOTA,
            Quota(
                name="Total Regional",
                location="koreasouth",
                limit=50,
                used=50,
                needed=2,
                raise_to=52,
                left=0,
            ),
        ),
        (
            SPOT_QUOTA,
            Quota(
                name="LowPriorityCores",
                location="westus2",
                limit=3,
                used=0,
                needed=6,
                raise_to=6,
                left=3,
            ),
        ),
        (OLD_QUOTA, Quota(name="Core", limit=10, used=10, needed=2, raise_to=12, left=0)),
        (
            AKS_FAMILY_QUOTA,
            Quota(name="StandardNCADSA100v4Family", location="eastus", needed=24, left=6),
        ),
        (AKS_REGIONAL_QUOTA, Quota(location="westeurope", needed=24, left=4)),
        ("Submit a request for Quota increase", Quota()),
        ("Current Limit: many, Current Usage: 99999999999999", Quota()),
    ],
)
def test_azures_numbers_are_read_in_every_wording(words: str, quota: Quota) -> None:
    assert read_quota(words) == quota
    assert read_quota(words.upper()).needed == quota.needed


@given(st.text())
def test_no_words_about_a_quota_are_too_odd_to_be_read(words: str) -> None:
    read = read_quota(
        f"exceeding approved {words} quota. Location: {words}, Current Limit: {words}"
    )
    assert read.name.isprintable()
    assert read.location == "" or read.location.isalnum()


def test_a_link_that_would_be_cut_is_left_out() -> None:
    failure = classify(Answer(400, Detail("QuotaExceeded", FAMILY_QUOTA)))
    assert failure.message.endswith("Submit a request for Quota increase at ...")


@pytest.mark.parametrize("code", ["RequestDisallowedByPolicy"])
@pytest.mark.parametrize(
    "error",
    [
        {
            "message": "was disallowed by policy",
            "additionalInfo": [
                {"type": "PolicyViolation", "info": {"policyAssignmentDisplayName": "No GPUs"}}
            ],
        },
        {
            "message": 'was disallowed by policy. Policy identifiers: \'[{"policyAssignment":{'
            '"name":"No GPUs","id":"/subscriptions/S"},"policyDefinition":{"name":"x"}}]\'.'
        },
        {
            "message": "see the details",
            "details": [
                {
                    "code": "RequestDisallowedByPolicy",
                    "message": "no",
                    "additionalInfo": [{"info": {"policyAssignmentName": "No GPUs"}}],
                }
            ],
        },
    ],
)
def test_the_policy_is_named_wherever_azure_names_it(code: str, error: dict[str, Any]) -> None:
    failure = classify(Answer(403, Detail.of({"code": code, **error})))
    assert (failure.cause, failure.policy) == (Cause.POLICY, "No GPUs")


@pytest.mark.parametrize(
    "wire",
    [
        {"error": "no object"},
        {"code": None, "message": 7, "details": "none", "additionalInfo": None},
        {"details": [None, "x", {"code": "AllocationFailed"}], "additionalInfo": ["x", {}]},
        {"additionalInfo": [{"info": "policy"}, {"info": {"policyAssignmentName": None}}]},
    ],
)
def test_an_error_of_another_shape_is_read_as_far_as_it_goes(wire: dict[str, Any]) -> None:
    assert classify(Answer(400, Detail.of(wire))).message


def test_nothing_of_azures_words_moves_a_cursor() -> None:
    words = "no\x1b[2J room\u202e here\nat all\x00"
    failure = classify(Answer(400, Detail("Allocation\x07Failed", words)))
    assert failure.message == "no [2J room here at all"
    assert failure.code == "Allocation Failed"


def test_the_code_inside_decides_over_the_generic_one_outside() -> None:
    outer = Detail(
        "CreateVMSSAgentPoolFailed",
        "Unable to create",
        (Detail("BadRequest", "see below", (Detail("OperationNotAllowed", FAMILY_QUOTA),)),),
    )
    failure = classify(Answer(400, outer))
    assert (failure.cause, failure.code) == (Cause.FAMILY_QUOTA, "OperationNotAllowed")
    assert failure.message.startswith("Operation could not be completed")


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
    assert classify(Answer(400, Detail("BadRequest", message))).cause is Cause.ZONAL_ALLOCATION


def test_a_pool_that_failed_for_an_unknown_reason_is_tried_again() -> None:
    assert pool_failure("ws1", Detail("Surprise", "what")).way is Way.RETRY
    assert pool_failure("ws1", Detail("BadRequest", "what")).way is Way.RETRY
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
