"""Settings are complete before anything runs, or each missing one is named."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.pki import ensure_pki
from kaito.provisioner import CredentialKind, SettingsError
from kaito.provisioner.settings import read

CLUSTER = {
    "ARM_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
    "ARM_RESOURCE_GROUP": "rg",
    "AZURE_CLUSTER_NAME": "aks",
}
FILE = {"AZURE_CREDENTIAL": "token-file", "AZURE_TOKEN_FILE": "/var/token"}


def problems(environment: dict[str, str], config: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(environment, config)
    return caught.value.problems


def test_the_environment_comes_before_the_config_map() -> None:
    settings = read({"AZURE_CLUSTER_NAME": "mine"}, {**CLUSTER, **FILE})
    assert (settings.cluster, settings.resource_group) == ("mine", "rg")


def test_a_blank_variable_is_one_that_nobody_filled_in() -> None:
    assert read({"ARM_RESOURCE_GROUP": " "}, {**CLUSTER, **FILE}).resource_group == "rg"


@pytest.mark.parametrize("cloud", ["public", "usgovernment", "china"])
def test_each_cloud_is_where_the_sdk_has_it(cloud: str) -> None:
    core = pytest.importorskip("azure.core", reason="needs the azure extra")
    tools = pytest.importorskip("azure.mgmt.core.tools", reason="needs the azure extra")
    identity = pytest.importorskip("azure.identity", reason="needs the azure extra")
    clouds, authorities = core.AzureClouds, identity.AzureAuthorityHosts
    theirs, authority = {
        "public": (clouds.AZURE_PUBLIC_CLOUD, authorities.AZURE_PUBLIC_CLOUD),
        "usgovernment": (clouds.AZURE_US_GOVERNMENT, authorities.AZURE_GOVERNMENT),
        "china": (clouds.AZURE_CHINA_CLOUD, authorities.AZURE_CHINA),
    }[cloud]
    endpoints = tools.get_arm_endpoints(theirs)
    settings = read({"AZURE_CLOUD": cloud.upper()}, {**CLUSTER, **FILE})
    assert f"{settings.base_url}/" == endpoints["resource_manager"]
    assert [f"{settings.audience}/.default"] == endpoints["credential_scopes"]
    assert settings.authority == f"https://{authority}"


def test_an_address_of_ones_own_comes_before_the_clouds() -> None:
    own = {
        "AZURE_CLOUD": "china",
        "AZURE_RESOURCE_MANAGER_URL": "https://arm.example.com/",
        "AZURE_AUTHORITY_HOST": "https://login.example.com/",
        "AZURE_RESOURCE_MANAGER_AUDIENCE": "https://audience.example.com/",
    }
    settings = read(own, {**CLUSTER, **FILE})
    assert (settings.base_url, settings.authority, settings.audience) == (
        "https://arm.example.com",
        "https://login.example.com",
        "https://audience.example.com",
    )


def test_the_region_is_read_as_people_see_it_too() -> None:
    assert read({"LOCATION": "East US"}, {**CLUSTER, **FILE}).location == "eastus"


@pytest.mark.parametrize(
    ("version", "early"), [("2026-08-01", False), ("2026-07-02-preview", True), ("", False)]
)
def test_only_preview_versions_have_taints_for_the_start_of_a_node(
    version: str, early: bool
) -> None:
    settings = read({"AZURE_API_VERSION": version}, {**CLUSTER, **FILE})
    assert (settings.api_version, settings.pools.starting_taints) == (version, early)


def test_tags_of_all_pools_are_a_list_of_pairs() -> None:
    pools = read({"AZURE_TAGS": " team=ml, cost-centre=4711 ,note=a=b,empty="}, {**CLUSTER, **FILE})
    assert pools.pools.tags == {"team": "ml", "cost-centre": "4711", "note": "a=b", "empty": ""}


def test_what_pools_are_made_of_is_read_in_any_case() -> None:
    subnet = (
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/n"
    )
    asked = {
        "AZURE_OS_DISK_TYPE": "Ephemeral",
        "AZURE_GPU_DRIVER": "None",
        "AZURE_VNET_SUBNET_ID": subnet,
    }
    pools = read(asked, {**CLUSTER, **FILE}).pools
    assert (pools.disk_type, pools.gpu_driver, pools.subnet) == ("ephemeral", "none", subnet)


def test_defaults_are_the_public_cloud_and_a_look_every_fifteen_seconds() -> None:
    settings = read({}, {**CLUSTER, "AZURE_CREDENTIAL": "default"})
    assert settings.base_url == "https://management.azure.com"
    assert settings.poll_seconds == 15.0
    assert settings.credential is CredentialKind.DEFAULT


def test_workload_identity_is_the_default_and_names_all_it_needs() -> None:
    named = [sentence.split()[0] for sentence in problems({}, CLUSTER)]
    assert named == ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"]


def test_every_missing_key_has_one_sentence_that_says_where_to_put_it() -> None:
    found = problems({}, FILE)
    assert [sentence.split()[0] for sentence in found] == list(CLUSTER)
    assert all(sentence.endswith("ConfigMap kaito-system/kaito-provisioner.") for sentence in found)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("AZURE_CREDENTIAL", "password", "workload-identity, default, token-file"),
        ("AZURE_RESOURCE_MANAGER_URL", "http://127.0.0.1:1", "https://"),
        ("AZURE_RESOURCE_MANAGER_URL", "https://", "https://"),
        ("AZURE_RESOURCE_MANAGER_URL", "https://a:b:c", "https://"),
        ("AZURE_RESOURCE_MANAGER_URL", "https://[", "https://"),
        ("AZURE_AUTHORITY_HOST", "login.microsoftonline.com", "https://"),
        ("AZURE_RESOURCE_MANAGER_AUDIENCE", "api", "https://"),
        ("AZURE_CLOUD", "germany", "public, usgovernment, china"),
        ("AZURE_API_VERSION", "latest", "2026-08-01"),
        ("AZURE_API_VERSION", "2026-02-31", "2026-08-01"),
        ("AZURE_API_VERSION", "2026-08-01-beta", "2026-08-01"),
        ("AZURE_API_VERSION", "2024-08-01", "set it to 2024-09-01 or later"),
        ("AZURE_OS_DISK_TYPE", "ssd", "ephemeral or managed"),
        ("AZURE_GPU_DRIVER", "operator", "install or none"),
        ("AZURE_VNET_SUBNET_ID", "aks-subnet", "az network vnet subnet show"),
        ("AZURE_POLL_SECONDS", "soon", "number of seconds above 0"),
        ("AZURE_POLL_SECONDS", "0", "number of seconds above 0"),
        ("AZURE_POLL_SECONDS", "inf", "number of seconds above 0"),
    ],
)
def test_a_wrong_value_is_shown_with_the_way_out(key: str, value: str, words: str) -> None:
    [sentence] = problems({key: value}, {**CLUSTER, **FILE} | {key: value})
    assert key in sentence
    assert repr(value) in sentence
    assert words in sentence


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ("team", "write tags as NAME=VALUE"),
        ("=ml", "write tags as NAME=VALUE"),
        ("a=1,A=2", "the tag 'a' twice"),
        (f"{'n' * 513}=1", "at most 512 characters"),
        (f"n={'v' * 257}", "values 256"),
        ("a/b=1", "leave / out of its name"),
        ("a?b&c=1", "leave & ? out of its name"),
        ("AzureTeam=1", "are Azure's own"),
        (",".join(f"t{number}=" for number in range(51)), "at most 50"),
    ],
)
def test_tags_that_azure_does_not_take_are_refused(tags: str, words: str) -> None:
    [sentence] = problems({"AZURE_TAGS": tags}, {**CLUSTER, **FILE})
    assert sentence.startswith("AZURE_TAGS has")
    assert words in sentence


KEYS = [
    *CLUSTER,
    *("AZURE_CREDENTIAL", "AZURE_TENANT_ID", "AZURE_CLOUD", "AZURE_RESOURCE_MANAGER_URL"),
    *("AZURE_AUTHORITY_HOST", "AZURE_RESOURCE_MANAGER_AUDIENCE", "AZURE_API_VERSION", "LOCATION"),
    *("AZURE_POLL_SECONDS", "AZURE_TAGS", "AZURE_OS_DISK_TYPE", "AZURE_GPU_DRIVER"),
    "AZURE_VNET_SUBNET_ID",
]
VALUES = st.text(max_size=12) | st.sampled_from(
    ["https://[::1", "https://a:99999999", "https://a:x", "1e400", "nan", "2026-13-01", "=,=", "a="]
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_whatever_the_settings_say_they_are_taken_or_refused_in_sentences(
    found: dict[str, str],
) -> None:
    refused: tuple[str, ...] = ()
    try:
        settings = read(found, {**CLUSTER, **FILE})
    except SettingsError as error:
        refused = error.problems
    else:
        assert 0 < settings.poll_seconds < float("inf")
        assert settings.base_url.startswith("https://")
    assert all(sentence.endswith(".") for sentence in refused)


def test_secrets_and_certificates_are_not_shown_in_the_representation(tmp_path: Path) -> None:
    pem = ensure_pki(tmp_path, time.time()).ca_pem()
    settings = read({}, {**CLUSTER, **FILE, "AZURE_CA_DATA": pem})
    assert settings.ca_data == pem.strip()
    assert "CERTIFICATE" not in repr(settings)


def test_a_cluster_has_as_many_pools_as_aks_allows_or_fewer() -> None:
    assert read({}, {**CLUSTER, **FILE}).most_pools == 100
    assert read({"AZURE_MAX_POOLS": "5"}, {**CLUSTER, **FILE}).most_pools == 5


@pytest.mark.parametrize("most", ["0", "-1", "1.5", "many"])
def test_a_number_of_pools_that_is_none_is_refused(most: str) -> None:
    [problem] = problems({"AZURE_MAX_POOLS": most}, {**CLUSTER, **FILE})
    assert problem == f"AZURE_MAX_POOLS is {most!r}: set it to a whole number above 0."


@pytest.mark.parametrize(
    "junk",
    [
        "junk",
        "Zertifikat \u00fc",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_certificates_that_are_none_are_told_by_their_setting(junk: str) -> None:
    [problem] = problems({"AZURE_CA_DATA": junk}, {**CLUSTER, **FILE})
    assert problem.startswith(f"AZURE_CA_DATA is {junk[:40]!r}, which holds no certificates: set")
