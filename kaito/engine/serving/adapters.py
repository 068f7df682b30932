"""Adapters beside the model: each is served, or left out with the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peft import PeftType
from peft.tuners.lora import LoraLayer

from kaito.engine.tensors import torn

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OTHER_SIZES = "ignore_mismatched_sizes"  # what transformers advises where sizes differ


class Broken(Exception):
    """An adapter cannot be served; the message is the end of a sentence."""


def load(
    model: Any, root: Path, variables: Mapping[str, str], taken: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Load the adapters in the folders of a directory into a model whose own name is `taken`; a
    variable called like an adapter is its strength. What PEFT calls those that are served, and why
    others are not, by the names of the folders."""
    served: dict[str, str] = {}
    broken: dict[str, str] = {}
    folders = sorted(each for each in root.iterdir() if each.is_dir()) if root.is_dir() else []
    for number, folder in enumerate(each for each in folders if (each / CONFIG).is_file()):
        # PEFT makes attributes of names, which must have no dots then.
        name = f"adapter_{number}"
        try:
            if folder.name == taken:
                raise Broken("it has the name of the model")
            _check(folder)
            strength = _strength(folder.name, variables)
            _load(model, folder, name, strength)
            served[folder.name] = name
        except Exception as error:  # noqa: BLE001 - whatever PEFT meets in the files
            broken[folder.name] = _why(error)
            if name in getattr(model, "peft_config", {}):
                model.delete_adapter(name)
    if served:
        model.disable_adapters()
    return served, broken


def _check(folder: Path) -> None:
    try:
        said = json.loads((folder / CONFIG).read_bytes())
    except (ValueError, RecursionError):
        raise Broken(f"it has no JSON in {CONFIG}") from None
    kinds = [each.value for each in PeftType]
    if not isinstance(said, dict) or said.get("peft_type") not in kinds:
        raise Broken(f"it has no peft_type in {CONFIG} that PEFT knows")
    weights = folder / WEIGHTS
    if weights.is_file() and (why := torn(weights)):
        raise Broken(f"it {why}")


def _strength(name: str, variables: Mapping[str, str]) -> float:
    try:
        found = float(variables.get(name) or 1)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        # Without what it says: it may be another's variable.
        raise Broken(f"its strength, the variable {name}, is no number")
    return found


def _load(model: Any, folder: Path, name: str, strength: float) -> None:
    found = model.load_adapter(str(folder), adapter_name=name)
    # What adapters loaded before have is reported as missing from this one.
    missing = [each for each in found.missing_keys if f".{name}." in each]
    wrong = [*missing, *found.unexpected_keys, *found.mismatched_keys]
    if wrong:
        raise Broken(
            f"it is of another model: {len(wrong)} of its weights are missing or do not fit"
        )
    if strength == 1.0:
        return
    layers = [each for each in model.modules() if isinstance(each, LoraLayer)]
    if not layers:
        raise Broken("it has a strength, which only LoRA adapters can have")
    for layer in layers:
        if name in layer.scaling:
            layer.set_scale(name, strength)


def _why(error: Exception) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return "it is of another model: its weights have other sizes" if OTHER_SIZES in said else said
