"""Nodes from AKS agent pools.

`connect` loads the Azure SDK; importing this package does not.
"""

from __future__ import annotations

from kaito.provisioner.aks.source import AksNodeSource, connect

__all__ = ["AksNodeSource", "connect"]
