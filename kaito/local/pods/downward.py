"""What a pod may learn about itself: the fields of fieldRef and resourceFieldRef. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from kaito.local.apiserver.quantity import value
from kaito.runtime import Object

HERE = "127.0.0.1"
"""The address of everything that runs as a local process."""
_ENTRY = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_ADDRESSES = {"status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"}


class UnknownField(Exception):
    """The pod has no such field to be told of."""


@dataclass(frozen=True, slots=True)
class Downward:
    """The facts about one pod. `allocatable` is its Node's, which stands for unset limits."""

    pod: Object
    allocatable: Mapping[str, str]

    def field(self, path: str) -> str:
        """The text of a field. Addresses are this machine's. Raises UnknownField."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        if path in _ADDRESSES:
            return HERE
        if found := _ENTRY.fullmatch(path):
            return str((metadata.get(found[1]) or {}).get(found[2], ""))
        match path:
            case "metadata.name" | "metadata.namespace" | "metadata.uid":
                return str(metadata[path.removeprefix("metadata.")])
            case "metadata.labels" | "metadata.annotations":
                return _lines(metadata.get(path.removeprefix("metadata.")) or {})
            case "spec.nodeName" | "spec.serviceAccountName":
                return str(spec.get(path.removeprefix("spec."), ""))
        raise UnknownField(f"unsupported fieldPath: {path}")

    def resource(self, reference: Mapping[str, Any], container: Mapping[str, Any]) -> str:
        """An amount in units of the divisor, rounded up. Raises UnknownField."""
        wanted = str(reference.get("resource", ""))
        part, _, name = wanted.partition(".")
        if part not in ("limits", "requests") or not name:
            raise UnknownField(f"unsupported container resource: {wanted}")
        held = container.get("resources") or {}
        amount = (held.get(part) or {}).get(name)
        if amount is None and part == "requests":
            amount = (held.get("limits") or {}).get(name, "0")
        if amount is None:
            amount = self.allocatable.get(name, "0")
        divisor = value(str(reference.get("divisor") or "1")) or Decimal(1)
        return str((value(str(amount)) / divisor).to_integral_value(ROUND_CEILING))


def _lines(entries: Mapping[str, str]) -> str:
    """One `key="value"` a line, in the order of the keys."""
    return "\n".join(
        f"{key}={json.dumps(entries[key], ensure_ascii=False)}" for key in sorted(entries)
    )
