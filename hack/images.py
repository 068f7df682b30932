"""Builds the images of docker/: `make images REGISTRY=registry.example/kaito TAG=0.5.0 [PUSH=1]`.

With docker, podman or buildah, whichever is there. `--model DIRECTORY NAME` also makes the weights
in a directory an image of their own on top of kaito-base.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parent.parent
BUILDERS = ("docker", "podman", "buildah")
# Names as the manager and the manifests pull them.
IMAGES = {
    "kaito": "daemon.Dockerfile",
    "kaito-base": "vllm.Dockerfile",
    "kaito-transformers": "transformers.Dockerfile",
}


def build(builder: str, file: str, image: str, extra: Sequence[str] = ()) -> list[str]:
    """The command that builds one image."""
    return [builder, "build", "--file", f"docker/{file}", "--tag", image, *extra, "."]


def plan(
    builder: str, registry: str, tag: str, *, push: bool = False, model: Sequence[str] = ()
) -> list[list[str]]:
    """All commands, in their order."""
    names = {name: f"{registry}/{name}:{tag}" for name in IMAGES}
    commands = [build(builder, IMAGES[name], image) for name, image in names.items()]
    made = [*names.values()]
    if model:
        directory, name = model
        extra = ["--build-context", f"weights={directory}"]
        extra += ["--build-arg", f"BASE={names['kaito-base']}"]
        made.append(f"{registry}/{name}:{tag}")
        commands.append(build(builder, "model.Dockerfile", made[-1], extra))
    return commands + [[builder, "push", image] for image in made if push]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", required=True)
    parser.add_argument("--tag", default="0.5.0")
    parser.add_argument("--push", action="store_true")
    parser.add_argument("--model", nargs=2, metavar=("DIRECTORY", "NAME"), default=())
    asked = parser.parse_args()
    builder = next(filter(shutil.which, BUILDERS), None)
    if builder is None:
        print(f"None of {', '.join(BUILDERS)} is on PATH: install one.", file=sys.stderr)
        return 1
    commands = plan(builder, asked.registry, asked.tag, push=asked.push, model=asked.model)
    for command in commands:
        print(*command, flush=True)
        if code := subprocess.run(command, cwd=ROOT).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
