"""Containers that fetch something from a registry before the engine starts. Pure.

They run as nobody in particular, on a read-only file system, with the user's pull Secrets mounted
into them alone. No word of a user becomes part of a shell's text: a reference is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.controllers.workspace.security import contained
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

USER = 65532  # nobody's files are this user's; as images without a shell call it, nonroot
SCRATCH = "puller-scratch"
SECRETS = "/mnt/registry"
DOCKER_CONFIG = ".dockerconfigjson"

# $1 is the reference, $2 the directory. An image's layers are archives; what else is beside them
# (its configuration, its manifest) is not, and passed over. The files are wanted as they lie under
# data/, which is how tuning packs them, or as they lie.
UNPACK = """\
set -eu
blobs=$(mktemp -d)
files=$(mktemp -d)
fetch() { skopeo copy "$@" "docker://$reference" "dir:$blobs"; }
reference=$1
fetched=
for config in /mnt/registry/*.json; do
  if [ -e "$config" ] && fetch --src-authfile "$config"; then fetched=yes; break; fi
done
[ -n "$fetched" ] || fetch
for blob in "$blobs"/*; do
  if tar -tf "$blob" >/dev/null 2>&1; then tar --no-same-owner -xf "$blob" -C "$files"; fi
done
if [ -d "$files/data" ]; then files=$files/data; fi
if [ -z "$(ls -A "$files")" ]; then echo "$reference holds no files" >&2; exit 1; fi
cp -R "$files/." "$2"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Docker configurations of Secrets, as files in one directory."""

    paths: tuple[str, ...] = ()
    mounts: tuple[Object, ...] = ()
    volumes: tuple[Object, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A container that fetches, and the volumes that it needs besides its target."""

    container: Object
    volumes: tuple[Object, ...]


def credentials(volume: str, secrets: Sequence[str]) -> Credentials:
    """These Secrets, in their order, in a volume of this name."""
    if not secrets:
        return Credentials()
    names = [f"{place}.json" for place in range(len(secrets))]
    sources = [
        {"secret": {"name": secret, "items": [{"key": DOCKER_CONFIG, "path": path}]}}
        for secret, path in zip(secrets, names, strict=True)
    ]
    return Credentials(
        paths=tuple(f"{SECRETS}/{name}" for name in names),
        mounts=({"name": volume, "mountPath": SECRETS, "readOnly": True},),
        volumes=({"name": volume, "projected": {"sources": sources}},),
    )


def scratch() -> Object:
    """The volume in which they unpack."""
    return {"name": SCRATCH, "emptyDir": {}}


def oras(
    name: str, reference: str, target: Object, secrets: Credentials, settings: Settings
) -> Object:
    """Fetches the files of an OCI artifact, under the names that it gives them."""
    configs = [f"--registry-config={path}" for path in secrets.paths]
    command = ["oras", "pull", *configs, f"--output={target['mountPath']}", reference]
    return _puller(name, settings.oras_image, command, target, secrets, settings)


def skopeo(
    name: str, reference: str, target: Object, secrets: Credentials, settings: Settings
) -> Object:
    """Fetches an image and unpacks what is in it."""
    command = ["/bin/sh", "-c", UNPACK, "unpack", reference, str(target["mountPath"])]
    return _puller(name, settings.skopeo_image, command, target, secrets, settings)


def _puller(
    name: str,
    image: str,
    command: list[str],
    target: Object,
    secrets: Credentials,
    settings: Settings,
) -> Object:
    return {
        "name": name,
        "image": image,
        "command": command,
        "env": [{"name": "TMPDIR", "value": "/tmp"}],  # noqa: S108 - a volume of its own
        "volumeMounts": [
            target,
            {"name": SCRATCH, "mountPath": "/tmp"},  # noqa: S108 - the same
            *secrets.mounts,
        ],
        # What went wrong is read in the Pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            **contained(settings.engine_user or USER),
            "readOnlyRootFilesystem": True,
        },
    }
