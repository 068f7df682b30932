"""What an administrator chooses about Workspaces; one value for the whole daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

NodeRequest: TypeAlias = Literal["machine", "nodeclaim", "nodepool", "byo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeClass:
    """The class of nodes that another provisioner than KAITO's is asked for."""

    group: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the workspace daemon."""

    registry: str = "mcr.microsoft.com/aks/kaito"
    """Where the engine's image is pulled from."""
    tag: str = "0.5.0"
    """Which version of the engine's image runs."""
    cloud: str = "azure"
    """Whose node sizes resource.instanceType names: azure, aws or arc."""
    reads_models: bool = True
    """Whether the daemon reads models that are in no catalogue from Hugging Face."""
    node_request: NodeRequest = "machine"
    """What asks for nodes; byo: nothing, they are brought."""
    node_class: NodeClass | None = None
    """Of NodeClaims and NodePools; None for the provisioner's usual one (see ways.py)."""
    engine_user: int = 0
    """The user that the engine runs as; 0 for the one of its image, which is root in upstream's."""
    nvme_class: str = ""
    """The storage class of nodes' own NVMe disks, for weights; "" where there is none."""
    checkpoint_class: str = ""
    """The storage class of disks that keep the checkpoints of trainings whose result is an image;
    "" where there is none, and such a training begins anew when its Pod is evicted."""
    data_networks: tuple[str, ...] = ()
    """Private networks, as CIDR, that links to training data may lead to all the same."""
    data_limit: int = 20 * 1024**3
    """How much training data may be loaded, in bytes."""

    @property
    def image(self) -> str:
        """The engine's image."""
        return f"{self.registry}/kaito-base:{self.tag}"
