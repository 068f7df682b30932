"""The card of an adapter, README.md in Hugging Face's form: of what, from what, and how."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from kaito.engine.tuning.data.check import Checked
from kaito.engine.tuning.data.problems import shown

VERSIONS = ("torch", "transformers", "peft", "trl", "bitsandbytes", "accelerate")
LOSSES = 20  # that are listed, spread over the training


def card(
    *,
    name: str,
    base: str,
    method: str,
    checked: Checked,
    settings: Mapping[str, Mapping[str, Any]],
    outcome: Mapping[str, Any],
) -> str:
    """The text. `outcome` is what the worker found (kaito.engine.tuning.worker)."""
    head = {
        "base_model": base,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["kaito", method],
    }
    revision = outcome.get("commit") or "not known: the weights were mounted"
    used = {each: dict(values) for each, values in settings.items() if values}
    # A file may have a name that cannot be written: not every name is text.
    files = ", ".join(map(shown, checked.files[:10]))
    figures = {
        "Base model": base,
        "Revision": revision,
        "Method": method,
        "Data": f"{checked.examples} {checked.described} in {files}",
        "Data's SHA-256": checked.digest,
        "Steps": outcome["steps"],
        "Epochs": f"{outcome['epochs']:g}",
        "Trained in": f"{outcome['dtype']} on {outcome['device']}",
    }
    return "\n".join(
        [
            "---",
            yaml.safe_dump(head, sort_keys=False).strip(),
            "---",
            "",
            f"# A LoRA adapter of {name}",
            "",
            "| | |",
            "| --- | --- |",
            *(f"| {each} | {_cell(value)} |" for each, value in figures.items()),
            *_losses(outcome["history"]),
            "",
            "## Settings",
            "",
            "```yaml",
            yaml.safe_dump(used).strip(),
            "```",
            "",
            "## Versions",
            "",
            *(f"- {each} {version}" for each, version in versions().items()),
            "",
        ]
    )


def versions() -> dict[str, str]:
    """Of the libraries that train, as far as they are installed."""
    found = {}
    for each in VERSIONS:
        try:
            found[each] = importlib.metadata.version(each)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _losses(history: Sequence[Mapping[str, Any]]) -> list[str]:
    if not history:
        return []
    apart = -(-len(history) // LOSSES)
    kept = [each for number, each in enumerate(history) if number % apart == 0]
    if history[-1] is not kept[-1]:
        kept.append(history[-1])
    rows = [
        f"| {each['step']} | {_figure(each, 'loss')} | {_figure(each, 'eval_loss')} |"
        for each in kept
    ]
    return ["", "## Losses", "", "| step | training | validation |", "| --- | --- | --- |", *rows]


def _figure(said: Mapping[str, Any], name: str) -> str:
    return f"{said[name]:.4f}" if name in said else ""


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
