"""Writes what of config/ comes from the code; `git diff --exit-code` after it shows whether it was
current."""

from __future__ import annotations

from pathlib import Path

from kaito.api import crd_files
from kaito.api.manifest import render
from kaito.controllers.workspace.webhook import installation

CONFIG = Path(__file__).parent.parent / "config"
CRDS = CONFIG / "crd"
WEBHOOK = CONFIG / "webhook" / "webhook.yaml"


def main() -> None:
    CRDS.mkdir(parents=True, exist_ok=True)
    files = crd_files()
    files["kustomization.yaml"] = kustomization(sorted(files))
    for stale in set(CRDS.glob("*.yaml")) - {CRDS / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        (CRDS / name).write_text(text)
    WEBHOOK.parent.mkdir(parents=True, exist_ok=True)
    WEBHOOK.write_text(render(installation()))


def kustomization(names: list[str]) -> str:
    """A directory of manifests as kustomize takes it."""
    resources = "".join(f"- {name}\n" for name in names)
    return (
        f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{resources}"
    )


if __name__ == "__main__":
    main()
