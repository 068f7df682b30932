"""What a Workspace or a claim may wish its nodes to be, in annotations: the words and the price.

On the left is what users write, without regard to case, and on the right what Azure calls it,
whose nodes KAITO makes. Whether a cloud can grant a wish is not decided here.
"""

from __future__ import annotations

import re

# Of the images of AKS those for Linux; CBLMariner, an old name of AzureLinux, is deprecated.
IMAGE_FAMILIES = {
    "ubuntu": "Ubuntu",
    "ubuntu2204": "Ubuntu2204",
    "ubuntu2404": "Ubuntu2404",
    "azurelinux": "AzureLinux",
    "azurelinux3": "AzureLinux3",
    "azurecontainerlinux": "AzureContainerLinux",
}
DISK_TYPES = {"ephemeral": "Ephemeral", "managed": "Managed"}
GPU_DRIVERS = {"install": "Install", "none": "None"}

# Dollars an hour with up to five decimals, or -1; AKS: "Add an Azure Spot node pool", limitations.
_PRICE = re.compile(r"([0-9]{1,6})(\.[0-9]{1,5})?")
ANY_PRICE = "-1"


def spot_price(text: str) -> float | None:
    """Dollars an hour, None for up to the on-demand price. ValueError when it is no price."""
    if text == ANY_PRICE:
        return None
    price = float(text) if _PRICE.fullmatch(text) else 0.0
    if price <= 0:
        raise ValueError(
            f"is {text[:40]!r}: write dollars an hour with up to five decimals, such as 1.25, or "
            f"{ANY_PRICE} for up to the on-demand price"
        )
    return price
