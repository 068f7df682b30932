"""Where the cloud is and who we are to it: read once at start, checked before anything runs.

Each setting comes from the environment, or else from the data of the ConfigMap
kaito-system/kaito-provisioner under the same name. Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

CONFIG_NAMESPACE = "kaito-system"
CONFIG_NAME = "kaito-provisioner"

PUBLIC_CLOUD = "https://management.azure.com"
POLL_SECONDS = 15.0
"""Default pause between two looks at a pool that is being made: nodes take minutes, and the
cluster's budget of Azure reads is shared with everything else that manages it."""


class SettingsError(Exception):
    """The settings cannot be used. `.problems` has one sentence for each thing to mend."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class CredentialKind(StrEnum):
    """How we prove who we are."""

    WORKLOAD_IDENTITY = "workload-identity"
    """A service account token exchanged for an Azure one; what a pod on AKS has."""
    DEFAULT = "default"
    """Azure's chain: environment, workload identity, managed identity, Azure CLI."""
    TOKEN_FILE = "token-file"  # noqa: S105  the name of a kind, not a token
    """A bearer token in a file that somebody else renews; what the local cluster writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """One AKS cluster and our way to it. Make it with `read`."""

    subscription: str
    resource_group: str
    """The group of the cluster itself, not the one of its nodes."""
    cluster: str
    location: str = ""
    """The cluster's region, for messages; "" when unknown."""
    base_url: str = PUBLIC_CLOUD
    """Azure Resource Manager, without a final slash."""
    ca_data: str = field(default="", repr=False)
    """PEM certificates to trust instead of the system's, "" for the system's."""
    credential: CredentialKind = CredentialKind.WORKLOAD_IDENTITY
    tenant: str = ""
    client: str = ""
    federated_token_file: str = ""
    token_file: str = ""
    poll_seconds: float = POLL_SECONDS

    def __str__(self) -> str:
        return f"{self.base_url}/{self.subscription}/{self.resource_group}/{self.cluster}"


def read(environment: Mapping[str, str], config: Mapping[str, str]) -> CloudSettings:
    """The settings. SettingsError names everything that is missing or wrong, at once."""
    found = {**_filled(config), **_filled(environment)}
    problems = tuple(_problems(found))
    if problems:
        raise SettingsError(problems)
    return CloudSettings(
        subscription=found["ARM_SUBSCRIPTION_ID"],
        resource_group=found["ARM_RESOURCE_GROUP"],
        cluster=found["AZURE_CLUSTER_NAME"],
        location=found.get("LOCATION", ""),
        base_url=found.get("AZURE_RESOURCE_MANAGER_URL", PUBLIC_CLOUD).rstrip("/"),
        ca_data=found.get("AZURE_CA_DATA", ""),
        credential=_credential(found),
        tenant=found.get("AZURE_TENANT_ID", ""),
        client=found.get("AZURE_CLIENT_ID", ""),
        federated_token_file=found.get("AZURE_FEDERATED_TOKEN_FILE", ""),
        token_file=found.get("AZURE_TOKEN_FILE", ""),
        poll_seconds=float(found.get("AZURE_POLL_SECONDS", POLL_SECONDS)),
    )


_ALWAYS = {
    "ARM_SUBSCRIPTION_ID": "the subscription of the AKS cluster",
    "ARM_RESOURCE_GROUP": "the resource group of the AKS cluster",
    "AZURE_CLUSTER_NAME": "the name of the AKS cluster",
}
_FOR_CREDENTIAL: Mapping[CredentialKind, Mapping[str, str]] = {
    CredentialKind.WORKLOAD_IDENTITY: {
        "AZURE_TENANT_ID": "the tenant of the provisioner's identity",
        "AZURE_CLIENT_ID": "the client ID of the provisioner's identity",
        "AZURE_FEDERATED_TOKEN_FILE": (
            "the file that the workload identity webhook mounts "
            "(label the Pod azure.workload.identity/use=true)"
        ),
    },
    CredentialKind.DEFAULT: {},
    CredentialKind.TOKEN_FILE: {"AZURE_TOKEN_FILE": "the file that holds the bearer token"},
}


def _filled(source: Mapping[str, str]) -> dict[str, str]:
    """Without blanks: an empty variable of a manifest means that nobody filled it in."""
    return {key: value.strip() for key, value in source.items() if value.strip()}


def _problems(found: Mapping[str, str]) -> Iterator[str]:
    needed = dict(_ALWAYS)
    try:
        needed.update(_FOR_CREDENTIAL[_credential(found)])
    except ValueError:
        kinds = ", ".join(CredentialKind)
        yield f"AZURE_CREDENTIAL is {found['AZURE_CREDENTIAL']!r}: set it to one of {kinds}."
    for key, meaning in needed.items():
        if key not in found:
            yield (
                f"{key} is missing: set it, {meaning}, in the environment "
                f"or in the ConfigMap {CONFIG_NAMESPACE}/{CONFIG_NAME}."
            )
    url = found.get("AZURE_RESOURCE_MANAGER_URL", PUBLIC_CLOUD)
    if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
        yield f"AZURE_RESOURCE_MANAGER_URL is {url!r}: set it to an https:// address."
    seconds = found.get("AZURE_POLL_SECONDS", "1")
    if not _is_positive(seconds):
        yield f"AZURE_POLL_SECONDS is {seconds!r}: set it to a number of seconds above 0."


def _credential(found: Mapping[str, str]) -> CredentialKind:
    return CredentialKind(found.get("AZURE_CREDENTIAL", CredentialKind.WORKLOAD_IDENTITY))


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
