"""The daemons' service accounts with exactly the roles that config/rbac ships, and their audit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from kaito.local.access import PATH
from kaito.runtime import Call, Client, Object, Resource

CONFIG = Path(__file__).parents[1] / "config"
SYSTEM = "kaito-system"
LASTS = 86_400  # seconds; longer than any test
GROUP = "rbac.authorization.k8s.io"
_KINDS: list[Resource[Object]] = [
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource(GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False),
    Resource(GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    Resource(GROUP, "v1", "roles", "Role"),
    Resource(GROUP, "v1", "rolebindings", "RoleBinding"),
]
KINDS = {each.kind: each for each in _KINDS}
JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def shipped(name: str) -> list[Object]:
    """What a file of config/rbac has, such as `manager` or `provisioner`, which are for these."""
    text = (CONFIG / "rbac" / f"{name}.yaml").read_text()
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def account(daemon: str) -> str:
    return f"kaito-{daemon}"


async def grant(admin: Client, name: str) -> None:
    """Install a file of config/rbac."""
    for manifest in shipped(name):
        await admin.apply(KINDS[manifest["kind"]], manifest)


async def enroll(admin: Client, daemon: str) -> str:
    """Install the daemon's account and roles; a token for it."""
    await grant(admin, daemon)
    call = Call(
        method="POST",
        path=f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account(daemon)}/token",
        headers=JSON,
        body=msgspec.json.encode({"spec": {"expirationSeconds": LASTS}}),
    )
    token: str = msgspec.json.decode(await admin.send(call))["status"]["token"]
    return token


@dataclass(frozen=True, slots=True)
class Access:
    """What an account was granted and has not used, and what it was refused."""

    unused: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


async def access(admin: Client, daemon: str) -> Access:
    """What the local cluster has written down about a daemon."""
    report = msgspec.json.decode(
        await admin.send(Call(method="GET", path=PATH)), type=dict[str, Access]
    )
    return report.get(f"{SYSTEM}:{account(daemon)}", Access())
