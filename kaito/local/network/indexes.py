"""Indexes that Services are resolved with: cheap, for they read headers alone."""

from __future__ import annotations

from kaito.local.network.slices import MANAGED_BY, MANAGER, SERVICE_LABEL
from kaito.runtime import View


def by_label(view: View) -> tuple[str, ...]:
    """Index: "namespace/label=value" for each label of a pod."""
    namespace = view.key.namespace
    return tuple(f"{namespace}/{name}={text}" for name, text in view.header.labels.items())


def by_namespace(view: View) -> tuple[str, ...]:
    """Index: the objects of a namespace."""
    return (view.key.namespace,)


def by_service(view: View) -> tuple[str, ...]:
    """Index: our slices of a Service, as "namespace/name"."""
    labels = view.header.labels
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_LABEL not in labels:
        return ()
    return (f"{view.key.namespace}/{labels[SERVICE_LABEL]}",)
