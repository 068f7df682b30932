"""What the manager tells the engine is what the engine takes."""

from __future__ import annotations

from typing import Any

from kaito.catalog.arguments import arguments
from kaito.catalog.models import models
from test.unit.controllers.workspace.scene import decided, held, kinds, node, of_kind, seen

SIZE = "Standard_ND96isr_H200_v5"
OURS = frozenset({"kaito-config-file"})  # of the launcher, which the engine never sees


def told(preset: str, annotations: dict[str, str] | None = None, **inference: Any) -> list[str]:
    found = held(
        resource={"instanceType": SIZE},
        inference={
            "preset": {"name": preset, "presetOptions": {"modelAccessSecret": "hf"}},
            **inference,
        },
    )
    found["metadata"]["annotations"] = annotations or {}
    there = node("a", **{"node.kubernetes.io/instance-type": SIZE})
    made = decided(seen(found, nodes=(there,)))
    if "Deployment" not in kinds(made):  # a model that no release of the engine runs any more
        return []
    (container,) = of_kind(made, "Deployment")["spec"]["template"]["spec"]["containers"]
    return [word for word in container["command"] if word.startswith("--")]


def refused(words: list[str]) -> list[str]:
    """Those that the engine would not start with."""

    def taken(word: str) -> bool:
        name, equals, value = word.removeprefix("--").partition("=")
        argument = arguments().find(name)
        return name in OURS or bool(argument and argument.takes(value if equals else None))

    return [word for word in words if not taken(word)]


def test_every_model_is_started_with_arguments_that_the_engine_has() -> None:
    commands = [told(each.name) for each in models()]
    assert sum(map(bool, commands)) > 50
    assert {word for words in commands for word in refused(words)} == set()


def test_so_is_one_with_all_that_a_user_may_add() -> None:
    adapter = {"source": {"name": "law", "image": "registry.example/law:1"}}
    words = told(
        "phi-4", {"kaito.sh/performance-mode": "throughput"}, adapters=[adapter], config="c"
    )
    assert {"--enable-lora", "--performance-mode=throughput"} <= set(words)
    assert refused(words) == []


def test_what_the_engine_does_not_have_is_seen() -> None:
    assert refused(["--max-modle-len=1", "--dtype=tiny", "--seed=1"]) == [
        "--max-modle-len=1",
        "--dtype=tiny",
    ]
