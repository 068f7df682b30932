"""The trainer's first process: looks at everything, starts the workers, and ends as they ended.

Nothing here imports PyTorch. What can be found wrong without it is found before a GPU is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server

from kaito.engine.endings import Ended, Ending, run
from kaito.engine.tuning import card, checkpoints, crew, result
from kaito.engine.tuning import config as configs
from kaito.engine.tuning.arguments import Told, parse
from kaito.engine.tuning.config import Config
from kaito.engine.tuning.data.check import Checked, check
from kaito.engine.tuning.data.store import Store
from kaito.engine.tuning.failures import out_of_memory
from kaito.engine.tuning.plan import Plan
from kaito.engine.tuning.progress import Reporter

CONFIG = "KAITO_TRAINING_CONFIG"  # the text where no file is mounted
# Seconds after SIGTERM, in which the step under way ends and a checkpoint of it is written: less
# than the 120 that the Job gives.
GRACE = 115.0
TEMPLATES = (Path("/workspace/chat_templates"), Path("/mnt"))


def main(words: Sequence[str]) -> int:
    """The exit code."""
    return run(lambda: train(words, os.environ), grace=GRACE)


def train(words: Sequence[str], variables: Mapping[str, str]) -> str:
    """Train, as the command line says; a sentence about it. Ended says why it did not work."""
    told = parse(words)
    config = configs.read(
        _text(told, variables),
        method=told.method,
        output=str(told.output),
        own_code=told.own_code,
    )
    template = _chat_template(config)
    reporter = _reporter(told)
    for notice in config.notices:
        _say(notice)
    place = result.scratch(told.output)
    try:
        return _Training(told, config, template, place, reporter).run(variables)
    finally:
        # A disk that is full or has gone must not hide why it ended.
        shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Training:
    told: Told
    config: Config
    template: str
    place: Path
    """For what is removed at the end."""
    reporter: Reporter

    def run(self, variables: Mapping[str, str]) -> str:
        told = self.told
        checked = self._checked()
        plan = self._plan(checked)
        plan.write(self.place / "plan.json")
        Path(plan.result).mkdir()
        try:
            crew.run(
                self.place / "plan.json",
                told.processes,
                hear=self._hear,
                variables={**_DEFAULTS, **variables, **self._variables()},
                full=lambda: out_of_memory(self.config.training, method=told.method, gpu=False),
            )
        finally:
            self.reporter.flush()
        outcome = json.loads((Path(plan.result) / "outcome.json").read_text())
        page = card.card(
            name=told.name,
            base=told.base,
            method=told.method,
            checked=checked,
            settings=self.config.settings,
            outcome=outcome,
        )
        result.publish(Path(plan.result), told.output, page)
        loss = self.reporter.progress.loss
        learned = "" if loss is None else f", with a loss of {loss:.3f} at the end"
        return (
            f"Trained {outcome['steps']} steps on {checked.examples} {checked.described}{learned}."
        )

    def _checked(self) -> Checked:
        self.reporter.phase("checking the data")
        with Store(self.place / "examples.arrow") as store:
            checked = check(
                self.told.data, self.config.dataset, limit=self.told.limit, sink=store.add
            )
        for notice in checked.notices:
            _say(notice)
        _say(f"The data is {checked.examples} {checked.described}.")
        share = self.config.dataset["train_test_split"]
        kept = checked.examples - int(checked.examples * share)
        if share < 1 and kept in (0, checked.examples):
            raise Ended(
                Ending.DATASET_INVALID,
                f"The dataset has {checked.examples} records, too few for DatasetConfig."
                "train_test_split: give more, or set it to 1.",
            )
        return checked

    def _plan(self, checked: Checked) -> Plan:
        told = self.told
        key = checkpoints.key(
            [
                *(told.model, told.revision, told.name, told.method, self.template),
                *(self.config.digest, checked.digest, str(told.processes)),
                json.dumps(card.versions()),
            ]
        )
        place = checkpoints.prepare(told.checkpoints, key)
        last = checkpoints.last_whole(place)
        if last is not None:
            _say(f"It goes on from {last.name}.")
        return Plan(
            model=told.model,
            base=told.base,
            revision=told.revision,
            own_code=told.own_code,
            settings=self.config.settings,
            chat_template=self.template,
            kind=checked.kind,
            examples=str(self.place / "examples.arrow"),
            checkpoints=str(place),
            resume="" if last is None else str(last),
            result=str(self.place / "adapter"),
        )

    def _hear(self, what: str, said: Mapping[str, Any]) -> None:
        match what:
            case "progress":
                self.reporter.hear(said)
            case "phase":
                self.reporter.phase(said["name"])
                _say(f"It is {said['name']}.")
            case "notice":
                _say(said["text"])

    def _variables(self) -> dict[str, str]:
        cache = str(self.place / "cache")
        return {
            "HF_DATASETS_CACHE": cache,
            "HF_DATASETS_OFFLINE": "1",
            "HF_MODULES_CACHE": cache,
            "TORCHINDUCTOR_CACHE_DIR": cache,
            "TRITON_CACHE_DIR": cache,
        }


# What nobody else has said.
_DEFAULTS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning",  # of what libraries will be called one day
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve everybody else on a shared CPU
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",  # as upstream: less lost to fragments
    "TOKENIZERS_PARALLELISM": "false",
}


def _text(told: Told, variables: Mapping[str, str]) -> str:
    if told.config is None:
        return variables.get(CONFIG, "")
    try:
        return told.config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise Ended(
            Ending.CONFIG_INVALID,
            f"{told.config} cannot be read: the ConfigMap needs the key {configs.NAME}, a text.",
        ) from None


def _chat_template(config: Config) -> str:
    """A template is said as its text, or as a file of the image or of a volume."""
    said = str(config.model.get("chat_template") or "")
    if not said or "{" in said:
        return said
    path = Path(said)
    with contextlib.suppress(OSError, ValueError):
        if any(path.resolve().is_relative_to(each) for each in TEMPLATES):
            return path.read_text(encoding="utf-8")
    places = " or ".join(map(str, TEMPLATES))
    raise Ended(
        Ending.CONFIG_INVALID,
        f"{configs.NAME}: ModelConfig.chat_template must be a template, or a file below {places}.",
    )


def _reporter(told: Told) -> Reporter:
    registry = CollectorRegistry()
    try:
        start_http_server(told.port, registry=registry)
    except OSError as error:
        # Nobody's training fails because nobody can look at it.
        _say(f"There is no /metrics, as port {told.port} cannot be had: {error.strerror}.")
    return Reporter(registry, time.monotonic, _tell)


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the manager reads the container's log


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the container's log
