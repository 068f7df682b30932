"""What an administrator writes down for the provisioner: where the cloud is, and how to get in.

The names are those that the provisioner reads, from its environment or from this ConfigMap.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from kaito.local.azure.account import Account
from kaito.runtime import Key, Object

CONFIG_MAP = Key("kaito-system", "kaito-provisioner")
# A local operation takes seconds: the fifteen seconds that suit Azure would be all one sees.
POLL_SECONDS = "0.3"


class Setting(StrEnum):
    """Names of settings."""

    SUBSCRIPTION = "ARM_SUBSCRIPTION_ID"
    RESOURCE_GROUP = "ARM_RESOURCE_GROUP"
    CLUSTER = "AZURE_CLUSTER_NAME"
    LOCATION = "LOCATION"
    TENANT = "AZURE_TENANT_ID"
    CLIENT = "AZURE_CLIENT_ID"
    BASE_URL = "AZURE_RESOURCE_MANAGER_URL"
    CA_DATA = "AZURE_CA_DATA"
    CREDENTIAL = "AZURE_CREDENTIAL"
    TOKEN_FILE = "AZURE_TOKEN_FILE"  # noqa: S105 - the name of a setting
    POLL_SECONDS = "AZURE_POLL_SECONDS"


def config_map(account: Account, *, url: str, ca_pem: str, token_file: Path) -> Object:
    """The ConfigMap for a cloud that is served at `url`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": CONFIG_MAP.namespace, "name": CONFIG_MAP.name},
        "data": {
            Setting.SUBSCRIPTION.value: account.subscription,
            Setting.RESOURCE_GROUP.value: account.resource_group,
            Setting.CLUSTER.value: account.cluster,
            Setting.LOCATION.value: account.location,
            Setting.TENANT.value: account.tenant,
            Setting.CLIENT.value: account.client,
            Setting.BASE_URL.value: url,
            Setting.CA_DATA.value: ca_pem,
            Setting.CREDENTIAL.value: "token-file",
            Setting.TOKEN_FILE.value: str(token_file),
            Setting.POLL_SECONDS.value: POLL_SECONDS,
        },
    }
