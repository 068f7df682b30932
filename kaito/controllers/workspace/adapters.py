"""Fine-tuned adapters beside a model: where they come from and how the engine finds them. Pure.

Each is a directory /mnt/adapter/NAME, and the engine serves it under that name. The transformers
server applies it with its strength, which it reads from a variable called like the adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kaito.api import conditions
from kaito.api.words import shown
from kaito.api.workspace import Adapter, Workspace
from kaito.catalog.model import Model
from kaito.controllers.workspace.presets import preset_of
from kaito.controllers.workspace.pulling import Pull, credentials, pull
from kaito.controllers.workspace.refusal import Advice, Refusal
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.volumes import volume_of
from kaito.runtime import Object

DIRECTORY = "/mnt/adapter"
# A name as Kubernetes calls volumes and containers: an adapter's may be longer, and have dots.
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,45}[a-z0-9])?")
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


def adapters_of(workspace: Workspace) -> tuple[Adapter, ...]:
    """The adapters that are to be served."""
    return workspace.inference.adapters if workspace.inference else ()


def adapter_objections(workspace: Workspace) -> Iterator[Refusal]:
    """Why adapters cannot be served."""
    preset = preset_of(workspace)
    for place, adapter in enumerate(adapters_of(workspace)):
        path, name = f"inference.adapters[{place}].source.name", _name(adapter)
        if preset is not None and name == preset.name:
            yield Refusal(
                path=path,
                reason=conditions.INVALID_SPEC,
                message=f"{path} is {shown(name)}, which is what the model itself is called: "
                "requests could not tell them apart. Give the adapter another name.",
            )
        elif _strength(workspace, adapter) and not VARIABLE.fullmatch(name):
            yield Refusal(
                path=path,
                reason=conditions.INVALID_SPEC,
                message=f"{path} is {shown(name)}, and the strength of an adapter is told under "
                "its name, which must then begin with a letter: give it such a name, or leave its "
                "strength out.",
            )


def adapter_advice(workspace: Workspace) -> Iterator[Advice]:
    """What should be known of adapters."""
    inference = workspace.inference
    if inference is None or not inference.adapters or inference.preset is not None:
        return
    yield Advice(
        reason=conditions.ADAPTERS_WITHOUT_EFFECT,
        message="inference.adapters has no effect with inference.template: mount them there.",
    )


def variables(workspace: Workspace) -> list[Object]:
    """How strongly each applies, where that is said."""
    return [
        {"name": _name(adapter), "value": strength}
        for adapter in adapters_of(workspace)
        if (strength := _strength(workspace, adapter))
    ]


def mounts(workspace: Workspace) -> list[Object]:
    """Where the engine has them."""
    return [
        {"name": _part("adapter", each, place), "mountPath": _directory(each), "readOnly": True}
        for place, each in enumerate(adapters_of(workspace))
    ]


def volumes(workspace: Workspace) -> list[Object]:
    """The volumes that they are in."""
    found: list[Object] = []
    for place, adapter in enumerate(adapters_of(workspace)):
        assert adapter.source is not None
        theirs = adapter.source.volume_source
        kind = {"emptyDir": {}} if theirs is None else theirs
        found.append(volume_of(_part("adapter", adapter, place), kind))
    return found


def pulls(workspace: Workspace, model: Model | None, settings: Settings) -> list[Pull]:
    """What brings those that come in images; one that was trained for another model is refused."""
    preset, found = preset_of(workspace), []
    # A training names its model as its author did.
    names = [*([preset.name] if preset else ()), *([model.name, *model.aliases] if model else ())]
    wanted = [word for name in dict.fromkeys(names) for word in ("--model", name)]
    for place, adapter in enumerate(adapters_of(workspace)):
        source = adapter.source
        if source is None or not source.image:
            continue
        volume = _part("adapter", adapter, place)
        secrets = credentials(f"{volume}-auth", source.image_pull_secrets)
        target: Object = {"name": volume, "mountPath": _directory(adapter)}
        name = _part("puller", adapter, place)
        found.append(pull(name, source.image, target, secrets, settings, *wanted))
    return found


def _name(adapter: Adapter) -> str:
    return adapter.source.name if adapter.source else ""


def _directory(adapter: Adapter) -> str:
    return f"{DIRECTORY}/{_name(adapter)}"


def _strength(workspace: Workspace, adapter: Adapter) -> str:
    """How strongly an adapter applies, "" where nothing is said: fully."""
    return adapter.strength if runtime_of(workspace) == "transformers" else ""


def _part(kind: str, adapter: Adapter, place: int) -> str:
    """The name of a volume or container of an adapter: one that tells which, where that can be."""
    name = _name(adapter)
    # A number alone, or with -auth behind it, could be another one's.
    own = LABEL.fullmatch(name) and not name.isdecimal() and not name.endswith("-auth")
    return f"{kind}-{name if own else place}"
