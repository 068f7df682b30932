"""Where the cloud is and who we are to it: read once at start, checked before anything runs.

Each setting comes from the environment, or else from the data of the ConfigMap
kaito-system/kaito-provisioner under the same name. Nothing here opens a connection.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from urllib.parse import urlsplit

from kaito.provisioner.pool_settings import PoolSettings, pool_problems, pool_settings

CONFIG_NAMESPACE = "kaito-system"
CONFIG_NAME = "kaito-provisioner"

# The first api-version of Microsoft.ContainerService whose agent pools heed If-Match and
# If-None-Match (SDK 33.0.0). Before it a creation overwrites whatever has its name.
FIRST_API_VERSION = "2024-09-01"
_API_VERSION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(-preview)?")
POLL_SECONDS = 15.0
"""Default pause between two looks at a pool that is being made: nodes take minutes, and the
cluster's budget of Azure reads is shared with everything else that manages it."""

MOST_POOLS = 100
"""Agent pools that AKS allows a cluster."""


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


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where one of Azure's clouds is. Without final slashes."""

    resource_manager: str
    authority: str
    """Who gives out tokens."""
    audience: str
    """For whom the tokens are."""


# azure.mgmt.core.tools.get_arm_endpoints and azure.identity.AzureAuthorityHosts.
CLOUDS: Mapping[str, Addresses] = {
    "public": Addresses(
        "https://management.azure.com",
        "https://login.microsoftonline.com",
        "https://management.azure.com",
    ),
    "usgovernment": Addresses(
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://management.core.usgovcloudapi.net",
    ),
    "china": Addresses(
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
    ),
}
PUBLIC = CLOUDS["public"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """One AKS cluster and our way to it. Make it with `read`."""

    subscription: str
    resource_group: str
    """The group of the cluster itself, not the one of its nodes."""
    cluster: str
    location: str = ""
    """The cluster's region as zones begin with it (eastus); "" when unknown."""
    base_url: str = PUBLIC.resource_manager
    """Azure Resource Manager, without a final slash."""
    authority: str = PUBLIC.authority
    audience: str = PUBLIC.audience
    api_version: str = ""
    """Of Microsoft.ContainerService, "" for the SDK's own."""
    ca_data: str = field(default="", repr=False)
    """PEM certificates to trust instead of the system's, "" for the system's."""
    credential: CredentialKind = CredentialKind.WORKLOAD_IDENTITY
    tenant: str = ""
    client: str = ""
    federated_token_file: str = ""
    token_file: str = ""
    poll_seconds: float = POLL_SECONDS
    most_pools: int = MOST_POOLS
    """How many agent pools the cluster can have. From nine tenths of it on claims share pools."""
    pools: PoolSettings = field(default_factory=PoolSettings)

    def __str__(self) -> str:
        return f"{self.base_url}/{self.subscription}/{self.resource_group}/{self.cluster}"


def read(environment: Mapping[str, str], config: Mapping[str, str]) -> CloudSettings:
    """The settings. SettingsError names everything that is missing or wrong, at once."""
    found = {**_filled(config), **_filled(environment)}
    problems = tuple(_problems(found))
    if problems:
        raise SettingsError(problems)
    cloud = CLOUDS[_cloud(found)]
    return CloudSettings(
        subscription=found["ARM_SUBSCRIPTION_ID"],
        resource_group=found["ARM_RESOURCE_GROUP"],
        cluster=found["AZURE_CLUSTER_NAME"],
        # "East US" is the name that people see.
        location=found.get("LOCATION", "").replace(" ", "").lower(),
        base_url=found.get("AZURE_RESOURCE_MANAGER_URL", cloud.resource_manager).rstrip("/"),
        authority=found.get("AZURE_AUTHORITY_HOST", cloud.authority).rstrip("/"),
        audience=found.get("AZURE_RESOURCE_MANAGER_AUDIENCE", cloud.audience).rstrip("/"),
        api_version=found.get("AZURE_API_VERSION", ""),
        ca_data=found.get("AZURE_CA_DATA", ""),
        credential=_credential(found),
        tenant=found.get("AZURE_TENANT_ID", ""),
        client=found.get("AZURE_CLIENT_ID", ""),
        federated_token_file=found.get("AZURE_FEDERATED_TOKEN_FILE", ""),
        token_file=found.get("AZURE_TOKEN_FILE", ""),
        poll_seconds=float(found.get("AZURE_POLL_SECONDS", POLL_SECONDS)),
        most_pools=int(found.get("AZURE_MAX_POOLS", MOST_POOLS)),
        pools=pool_settings(found),
    )


_ADDRESSES = (
    "AZURE_RESOURCE_MANAGER_URL",
    "AZURE_AUTHORITY_HOST",
    "AZURE_RESOURCE_MANAGER_AUDIENCE",
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
    if _cloud(found) not in CLOUDS:
        yield f"AZURE_CLOUD is {found['AZURE_CLOUD']!r}: set it to one of {', '.join(CLOUDS)}."
    for key in _ADDRESSES:
        if key in found and not _is_https(found[key]):
            yield f"{key} is {found[key]!r}: set it to an https:// address."
    yield from _version_problems(found.get("AZURE_API_VERSION", ""))
    if "AZURE_CA_DATA" in found and not _are_certificates(found["AZURE_CA_DATA"]):
        yield (
            f"AZURE_CA_DATA is {found['AZURE_CA_DATA'][:40]!r}, which holds no certificates: set "
            "it to the text of a PEM file (-----BEGIN CERTIFICATE-----), or leave it out."
        )
    yield from pool_problems(found)
    seconds = found.get("AZURE_POLL_SECONDS", "1")
    if not _is_positive(seconds):
        yield f"AZURE_POLL_SECONDS is {seconds!r}: set it to a number of seconds above 0."
    most = found.get("AZURE_MAX_POOLS", "1")
    if not (most.isdecimal() and int(most)):
        yield f"AZURE_MAX_POOLS is {most!r}: set it to a whole number above 0."


def _credential(found: Mapping[str, str]) -> CredentialKind:
    return CredentialKind(found.get("AZURE_CREDENTIAL", CredentialKind.WORKLOAD_IDENTITY))


def _cloud(found: Mapping[str, str]) -> str:
    return found.get("AZURE_CLOUD", "public").lower()


def _are_certificates(pem: str) -> bool:
    """Whether TLS can be told to trust them."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, TypeError, ValueError):
        return False
    return True


def _is_https(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        return False


def _version_problems(version: str) -> Iterator[str]:
    match = _API_VERSION.fullmatch(version)
    if version and (match is None or not _is_date(match[1])):
        yield (
            f"AZURE_API_VERSION is {version!r}: write it as 2026-08-01 or 2026-07-02-preview, "
            "or leave it out."
        )
    elif match is not None and match[1] < FIRST_API_VERSION:
        yield (
            f"AZURE_API_VERSION is {version!r}, which lets a creation overwrite somebody else's "
            f"node pool: set it to {FIRST_API_VERSION} or later, or leave it out."
        )


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
