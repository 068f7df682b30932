"""What users write and read: the kinds, their defaults, their rules and their CRDs."""

from __future__ import annotations

from typing import Any

__all__ = ["crd_files", "crds"]


def crds() -> list[dict[str, Any]]:
    """Every CustomResourceDefinition that KAITO installs, in the order they are printed."""
    # Imported here, so that a daemon that uses one kind does not build the models of the others.
    from kaito.api import machine, nodeclaim, workspace
    from kaito.api.crd import crd

    return [crd(d) for d in (workspace.DEFINITION, machine.DEFINITION, nodeclaim.DEFINITION)]


def crd_files() -> dict[str, str]:
    """What config/crd holds: file name to YAML text, one file for each definition."""
    from kaito.api.manifest import render

    return {
        f"{definition['spec']['group']}_{definition['spec']['names']['plural']}.yaml": render(
            [definition]
        )
        for definition in crds()
    }
