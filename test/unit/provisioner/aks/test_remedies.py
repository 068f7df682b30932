"""What a person is told to do, with the numbers and names of this very cluster."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.provisioner import Cause, CloudSettings, Failure, Way
from kaito.provisioner.aks import errors
from kaito.provisioner.aks.errors import Answer, Detail, classify
from kaito.provisioner.aks.remedies import advised, unstuck
from kaito.provisioner.failure import Quota
from kaito.provisioner.settings import CredentialKind
from test.unit.provisioner.machines import A100

SETTINGS = CloudSettings(
    subscription="11111111-2222-4333-8444-555555555555",
    resource_group="models",
    cluster="aks",
    location="eastus",
    client="66666666-7777-4888-8999-aaaaaaaaaaaa",
)
MEND_THEMSELVES = (
    Cause.BUSY,
    Cause.THROTTLED,
    Cause.SERVER,
    Cause.NETWORK,
    Cause.MAKING_TIMEOUT,
    Cause.JOINING_TIMEOUT,
)
# The controller says what to do about a pool of somebody else, not the cloud.
TOLD_HERE = [c for c in Cause if c not in MEND_THEMSELVES and c is not Cause.NAME_TAKEN]


def failure(cause: Cause, code: str = "Code", quota: Quota | None = None) -> Failure:
    return Failure(way=Way.USER, cause=cause, code=code, message="no", advice="", quota=quota)


def advice(cause: Cause, settings: CloudSettings = SETTINGS, quota: Quota | None = None) -> str:
    return advised(failure(cause, quota=quota), settings, A100).advice


def commands(text: str) -> list[list[str]]:
    return [shlex.split(command) for command in re.findall(r"`([^`]+)`", text)]


@pytest.mark.parametrize("cause", TOLD_HERE)
def test_whoever_has_to_act_is_told_what_to_do(cause: Cause) -> None:
    said = advice(cause)
    assert said
    assert said.isprintable()
    assert not said.endswith(".")


@pytest.mark.parametrize(
    ("credential", "named"),
    [
        (CredentialKind.WORKLOAD_IDENTITY, "federated credential"),
        (CredentialKind.DEFAULT, "`az login`"),
        (CredentialKind.TOKEN_FILE, "AZURE_TOKEN_FILE (/var/token)"),
    ],
)
def test_who_is_not_known_is_told_about_the_credential_of_the_settings(
    credential: CredentialKind, named: str
) -> None:
    settings = replace(SETTINGS, credential=credential, token_file="/var/token")
    assert named in advice(Cause.AUTHENTICATION, settings)


@pytest.mark.parametrize("cause", MEND_THEMSELVES)
def test_what_mends_itself_needs_no_advice(cause: Cause) -> None:
    assert advice(cause) == ""


def test_a_quota_is_to_be_raised_to_what_azure_wants() -> None:
    quota = Quota(name="standardNCADSA100v4Family", location="westus2", raise_to=72)
    said = advice(Cause.FAMILY_QUOTA, quota=quota)
    assert "the quota of standardNCADSA100v4Family in westus2 raised to 72 at least" in said
    [command] = commands(said)
    assert command[:3] == ["az", "vm", "list-usage"]
    assert command[command.index("--location") + 1] == "westus2"


def test_a_quota_whose_limit_is_not_told_is_to_be_raised_by_what_is_missing() -> None:
    said = advice(Cause.REGIONAL_QUOTA, quota=Quota(needed=24, left=6))
    assert "the quota of all vCPUs in eastus raised by 18 at least" in said


def test_a_size_that_is_not_sold_is_looked_up_by_its_name() -> None:
    [command] = commands(advice(Cause.SKU))
    assert command[:4] == ["az", "vm", "list-skus", "--all"]
    assert command[command.index("--size") + 1] == A100


def test_a_missing_right_is_given_by_one_command() -> None:
    [command] = commands(advice(Cause.AUTHORIZATION))
    assert command[:4] == ["az", "role", "assignment", "create"]
    assert command[command.index("--assignee") + 1] == SETTINGS.client
    assert command[command.index("--scope") + 1] == (
        f"/subscriptions/{SETTINGS.subscription}/resourceGroups/models/providers/"
        "Microsoft.ContainerService/managedClusters/aks"
    )


def test_a_policy_is_named() -> None:
    refused = Failure(
        way=Way.USER, cause=Cause.POLICY, code="C", message="no", advice="", policy="No GPUs"
    )
    assert "policy 'No GPUs'" in advised(refused, SETTINGS).advice


def test_words_of_our_own_get_no_second_remedy() -> None:
    ours = errors.invalid("spec.x is 7: set it to 8")
    assert str(advised(ours, SETTINGS)) == "spec.x is 7: set it to 8."


@given(value=st.text(min_size=1, max_size=50).filter(str.strip))
def test_no_value_gets_out_of_its_place_in_a_command(value: str) -> None:
    settings = CloudSettings(subscription="s", resource_group=value, cluster=value, client=value)
    for cause in (Cause.AUTHORIZATION, Cause.SUBNET, Cause.SKU):
        said = advised(failure(cause), settings, value).advice
        assert said.isprintable()
        for command in commands(said):
            options = command[command.index("--subscription") :]
            # Every other word is an option of ours, whatever the values are.
            assert all(re.fullmatch(r"--[a-z-]+", word) for word in options[::2])


def test_a_whole_refusal_reads_as_a_sentence_and_its_way_out() -> None:
    words = (
        "Insufficient vcpu quota requested 24, remaining 0 for family standardNCADSA100v4Family "
        "for region eastus."
    )
    refused = classify(Answer(400, Detail("ErrCode_InsufficientVCPUQuota", words)))
    assert str(advised(refused, SETTINGS, A100)) == (
        "Insufficient vcpu quota requested 24, remaining 0 for family standardNCADSA100v4Family "
        "for region eastus (ErrCode_InsufficientVCPUQuota). Have the quota of "
        "standardNCADSA100v4Family in eastus raised by 24 at least "
        "(https://learn.microsoft.com/azure/quotas/per-vm-quota-requests), or choose another "
        "instance type; `az vm list-usage --subscription 11111111-2222-4333-8444-555555555555 "
        "--location eastus --output table` shows what is used."
    )


def test_a_deletion_that_does_not_end_can_be_stopped() -> None:
    [command] = commands(unstuck("ws1", replace(SETTINGS, resource_group="a b")))
    assert command[:4] == ["az", "aks", "nodepool", "operation-abort"]
    assert command[-6:] == [
        "--resource-group",
        "a b",
        "--cluster-name",
        "aks",
        "--nodepool-name",
        "ws1",
    ]
