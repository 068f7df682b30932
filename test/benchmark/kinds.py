"""The kinds of the comparisons, as our library names them."""

from __future__ import annotations

from kaito.runtime import Object, Resource
from test.benchmark.names import GROUP, KIND, PLURAL, VERSION

WORKSPACES: Resource[Object] = Resource(GROUP, VERSION, PLURAL, KIND)
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")

__all__ = ["CONFIG_MAPS", "GROUP", "KIND", "PLURAL", "VERSION", "WORKSPACES"]
