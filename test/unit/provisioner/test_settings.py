"""Settings are complete before anything runs, or each missing one is named."""

from __future__ import annotations

import pytest

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


def test_secrets_and_certificates_are_not_shown_in_the_representation() -> None:
    settings = read({}, {**CLUSTER, **FILE, "AZURE_CA_DATA": "PEM"})
    assert "PEM" not in repr(settings)
