"""What the containers of a preset may do: as little as their image allows. Pure."""

from __future__ import annotations

from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

# An image without a user of its own runs as root over files of other owners: reading and writing
# them is the one right of root that it needs.
FILES_OF_OTHERS = "DAC_OVERRIDE"
HOME = "/home/engine"


def contained(user: int) -> Object:
    """The security context of a container that runs as this user; 0 is the image's own, root where
    it names none."""
    found: Object = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    if user == 0:
        found["capabilities"]["add"] = [FILES_OF_OTHERS]
        return found
    return {**found, "runAsNonRoot": True, "runAsUser": user, "runAsGroup": user}


def pod_context(settings: Settings) -> Object:
    """The security context of the Pod."""
    found: Object = {"seccompProfile": {"type": "RuntimeDefault"}}
    if settings.engine_user:
        # Volumes are this group's, so that the weights can be written.
        found |= {"runAsNonRoot": True, "fsGroup": settings.engine_user}
    return found


def home(settings: Settings) -> tuple[list[Object], list[Object], list[Object]]:
    """Variables, mounts and volumes of a user that the image does not know: a home for caches, and
    a name for libraries that ask for one."""
    if not settings.engine_user:
        return [], [], []
    variables = [{"name": "HOME", "value": HOME}, {"name": "USER", "value": "engine"}]
    mounts = [{"name": "home", "mountPath": HOME}]
    return variables, mounts, [{"name": "home", "emptyDir": {}}]
