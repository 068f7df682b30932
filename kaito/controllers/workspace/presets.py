"""The preset of a Workspace: which model it is, and why that cannot be had. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kaito.api import conditions
from kaito.api.words import instead, shown
from kaito.api.workspace import Preset, Workspace
from kaito.catalog.catalog import Catalog
from kaito.catalog.hub import is_model_name
from kaito.catalog.model import Model
from kaito.controllers.workspace.refusal import Advice, Refusal
from kaito.controllers.workspace.settings import Settings


def preset_of(workspace: Workspace) -> Preset | None:
    """The preset that is served or tuned."""
    if workspace.tuning is not None:
        return workspace.tuning.preset
    return workspace.inference.preset if workspace.inference else None


def model_of(workspace: Workspace, catalog: Catalog) -> Model | None:
    """The model of its preset; None when it has none, or one that nobody knows."""
    preset = preset_of(workspace)
    return catalog.find_model(preset.name) if preset else None


def preset_objections(
    workspace: Workspace, catalog: Catalog, settings: Settings
) -> Iterator[Refusal]:
    """Why the model of its preset cannot be had."""
    preset, model = preset_of(workspace), model_of(workspace, catalog)
    if preset is None:
        return
    path = _path(workspace)
    if model is None:
        yield Refusal(
            path=f"{path}.name",
            reason=conditions.UNKNOWN_PRESET,
            message=f"{path}.name is {shown(preset.name)}, which is no model that KAITO "
            f"knows{instead(catalog.models_like(preset.name), catalog.short_names)}.",
            open=is_stranger(preset, catalog, settings),
        )
    elif model.access == "gated" and preset.access_mode == "public" and not _secret(preset):
        field = f"{path}.presetOptions.modelAccessSecret"
        yield Refusal(
            path=field,
            reason=conditions.INVALID_SPEC,
            message=f"{field} is not set, and {model.name} is gated: create a Secret with a "
            "Hugging Face token under the key HF_TOKEN in this namespace and name it there.",
        )


def is_stranger(preset: Preset, catalog: Catalog, settings: Settings) -> bool:
    """Whether a preset is in no catalogue and may be on Hugging Face."""
    return (
        settings.reads_models
        and catalog.find_model(preset.name) is None
        and is_model_name(preset.name)
    )


def preset_advice(workspace: Workspace, catalog: Catalog, settings: Settings) -> Iterator[Advice]:
    """What should be known of its preset."""
    preset, model = preset_of(workspace), model_of(workspace, catalog)
    if preset is not None and is_stranger(preset, catalog, settings):
        yield Advice(
            reason=conditions.READING_MODEL,
            message=f"{_path(workspace)}.name {preset.name} is in no catalogue: its configuration "
            "is read from Hugging Face, and the status says whether it can be served.",
        )
    if preset is None or model is None:
        return
    if model.historical:
        yield Advice(
            reason=conditions.PRESET_HISTORICAL,
            message=f"{_path(workspace)}.name {shown(preset.name)} is a model of earlier releases, "
            "which is kept for Workspaces that have it and not looked after.",
        )
    if model.access == "open" and _secret(preset):
        yield Advice(
            reason=conditions.SECRET_NOT_NEEDED,
            message=f"{_path(workspace)}.presetOptions.modelAccessSecret is "
            f"{shown(_secret(preset))}, and {model.name} is open to everybody: it can be left out.",
        )


def _secret(preset: Preset) -> str:
    return preset.preset_options.model_access_secret if preset.preset_options else ""


def _path(workspace: Workspace) -> str:
    return "tuning.preset" if workspace.tuning is not None else "inference.preset"
