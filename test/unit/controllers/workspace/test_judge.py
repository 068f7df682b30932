"""A Workspace is told all that is wrong with it at once, and nothing that was wrong before."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.controllers.workspace.judge import MOST, Judgement, judge
from kaito.controllers.workspace.parameters import Config, Missing
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import CATALOG, SETTINGS, workspace

SIZE = "Standard_NC24ads_A100_v4"
TUNING = {
    "preset": {"name": "phi-3-mini-128k-instruct"},
    "method": "lora",
    "input": {"urls": ["https://a.b/c"]},
    "output": {"image": "r.io/a:1", "imagePushSecret": "push"},
}


def sound(**changes: Any) -> Object:
    return workspace(
        **{**changes, "resource": {"instanceType": SIZE, **changes.get("resource", {})}}
    )


def tuned(**changes: Any) -> Object:
    return sound(inference=None, tuning={**TUNING, **changes})


def noted(**annotations: str) -> Object:
    keys = {f"kaito.sh/{name.replace('_', '-')}": text for name, text in annotations.items()}
    return sound(metadata={"annotations": keys})


def judged(new: Object, old: Object | None = None, config: Config | None = None) -> Judgement:
    return judge(new, old, catalog=CATALOG, settings=SETTINGS, config=config)


def paths(judgement: Judgement) -> list[str]:
    return [each.path for each in judgement.problems]


# All at once


def test_nothing_is_wrong_with_what_is_sound() -> None:
    assert judged(sound()) == Judgement()
    assert judged(tuned()) == Judgement()


def test_what_rules_and_the_catalogue_say_comes_in_one_answer() -> None:
    found = judged(sound(inference={"preset": {"name": "phi-9"}, "adapters": [{}]}))
    assert paths(found) == ["inference.adapters[0].source", "inference.preset.name"]


def test_a_closed_model_that_does_not_fit_and_lacks_its_settings_is_told_all_three() -> None:
    long: Object = {
        "metadata": {"name": "c"},
        "data": {"inference_config.yaml": "vllm: {max_model_len: 131072}\nvLLM: {}"},
    }
    closed = {"preset": {"name": "llama-3.1-8b-instruct"}, "config": "c"}
    found = judged(
        sound(resource={"instanceType": "Standard_NC4as_T4_v3"}, inference=closed), None, long
    )
    secret = "inference.preset.presetOptions.modelAccessSecret"
    assert paths(found) == [secret, "inference.config", "inference.preset.name"]
    missing = judged(sound(inference=closed), None, Missing(name="c"))
    assert paths(missing) == [secret, "inference.config"]


def test_every_label_that_no_node_can_have_is_told() -> None:
    selector = {"matchLabels": {"kubernetes.io/arch": "arm64", "kubernetes.io/os": "windows"}}
    found = judged(sound(resource={"labelSelector": selector}))
    assert [each.message.split(", but")[0] for each in found.problems] == [
        "resource.labelSelector asks for nodes with kubernetes.io/arch=arm64",
        "resource.labelSelector asks for nodes with kubernetes.io/os=windows",
    ]


def test_what_does_not_even_have_its_type_hides_nothing_else() -> None:
    found = judged(
        sound(
            resource={"count": 300, "partition": {"mode": "half"}},
            inference={"preset": {"name": "phi-9"}, "adapters": [{"strength": 1}, {}]},
        )
    )
    assert paths(found) == [
        "resource.count",
        "resource.partition.mode",
        "inference.adapters[0].strength",
        "inference.adapters[0].source",
        "inference.adapters[1].source",
        "inference.preset.name",
    ]


@pytest.mark.parametrize("resource", [None, 5, {}, {"labelSelector": None}])
def test_what_is_missing_hides_nothing_else(resource: Any) -> None:
    found = sound(inference={"preset": {"name": "phi-9"}})
    found["resource"] = resource
    at = "resource" if not isinstance(resource, dict) else "resource.labelSelector"
    assert paths(judged(found)) == [at, "inference.preset.name"]


def test_one_answer_tells_so_many_problems_and_how_many_there_are() -> None:
    found = judged(tuned(input={"urls": ["ftp://a"] * 256})).problems
    assert len(found) == MOST + 1 == 21
    assert found[-1].message == "There are 236 more problems like these."


# Who is not asked


@pytest.mark.parametrize("old", [None, sound()])
def test_what_is_being_deleted_is_not_judged(old: Object | None) -> None:
    wrong = sound(inference={"preset": {"name": "phi-9"}})
    assert judged(wrong, old).problems
    wrong["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert judged(wrong, old) == Judgement()


def test_a_change_of_an_annotation_is_judged() -> None:
    assert paths(judged(noted(runtime="tgi"), sound())) == [
        "metadata.annotations[kaito.sh/runtime]"
    ]
    assert judged(noted(runtime="tgi"), noted(runtime="tgi")) == Judgement()


# What was wrong before

OLD = {
    "count": {"resource": {"count": 300}},
    "preset": {"inference": {"preset": {"name": "phi-9"}}},
    "adapter": {"inference": {"adapters": [{"strength": "9"}]}},
    "size": {"resource": {"instanceType": "p3.2xlarge"}},
    "selector": {"resource": {"labelSelector": {"matchLabels": {"kubernetes.io/os": "windows"}}}},
    "name": {"metadata": {"name": "dotted.name"}},
    "state": {"status": {"state": "Bewildered", "conditions": 5}},
    "annotation": {"metadata": {"annotations": {"kaito.sh/runtime": "tgi"}}},
    "preset options": {"inference": {"preset": {"name": "phi-2", "presetOptions": {"image": "A"}}}},
}


@pytest.mark.parametrize("parts", OLD.values(), ids=OLD)
def test_an_old_fault_is_not_held_against_another_change(parts: dict[str, Any]) -> None:
    old = sound(**parts)
    edited = sound(**{**parts, "resource": {**parts.get("resource", {}), "preferredNodes": ["n"]}})
    assert judged(edited, old).problems == ()


@pytest.mark.parametrize("parts", [v for k, v in OLD.items() if k not in ("state",)])
def test_the_same_fault_is_held_against_a_new_object(parts: dict[str, Any]) -> None:
    assert judged(sound(**parts)).problems


def test_what_is_newly_wrong_is_told_beside_an_old_fault() -> None:
    old = sound(inference={"adapters": [{"strength": "9"}]})
    worse = sound(inference={"adapters": [{"strength": "9"}], "config": "a/b"})
    assert paths(judged(worse, old)) == ["inference.config"]


def test_a_fault_that_is_exchanged_for_another_is_a_new_one() -> None:
    old, new = (tuned(input={"urls": [url]}) for url in ("ftp://a", "ftp://b"))
    assert paths(judged(new, old)) == ["tuning.input.urls[0]"]


def test_an_old_fault_may_move_in_its_list() -> None:
    old = tuned(input={"urls": ["https://a.b/c", "ftp://a"]})
    assert judged(tuned(input={"urls": ["ftp://a"]}), old).problems == ()


def test_a_status_is_never_judged() -> None:
    wrong = sound(status={"state": "Bewildered", "workerNodes": 7})
    assert judged(wrong) == Judgement()


def test_what_cannot_be_changed_is_told_with_what_it_was() -> None:
    (problem,) = judged(sound(resource={"count": 2}), sound()).problems
    assert problem.path == "resource.count"
    assert problem.message.startswith("resource.count cannot be changed from 1 to 2: delete")


def test_what_cannot_be_changed_is_not_spoken_of_before_it_is_stored() -> None:
    (problem,) = judged(sound(resource={"instanceType": "p3.2xlarge"})).problems
    assert "cannot be changed" not in problem.message


# Annotations


@pytest.mark.parametrize(
    ("annotations", "warning"),
    [
        ({"enablelb": "yes"}, "kaito.sh/enablelb is yes, which means nothing: write true"),
        ({"disable_benchmark": "true"}, "kaito.sh/disable-benchmark has no effect in this release"),
        ({"disable_benchmark": "y"}, "kaito.sh/disable-benchmark is y, which means nothing"),
        (
            {"performance_mode": "throughput", "runtime": "transformers"},
            "kaito.sh/performance-mode has no effect with the runtime transformers.",
        ),
        (
            {"network_policy": "namespace", "enablelb": "True"},
            "kaito.sh/network-policy keeps out what comes through the load balancer",
        ),
        ({"model_streaming": "disabled"}, "kaito.sh/model-streaming has no effect"),
        ({"model_streaming": "off"}, "kaito.sh/model-streaming is off, which means nothing"),
        ({"runtme": "vllm"}, "KAITO knows; the nearest that it knows is kaito.sh/runtime."),
        ({"streaming_service_account": "a"}, "kaito.sh/streaming-service-account has no effect"),
    ],
)  # fmt: skip
def test_an_annotation_that_does_nothing_is_told(annotations: dict[str, str], warning: str) -> None:
    found = judged(noted(**annotations))
    assert found.problems == ()
    assert any(warning in each for each in found.warnings), found.warnings


@pytest.mark.parametrize(
    "annotations",
    [
        {"runtime": "vLLM", "enablelb": "True"},
        {"node_image_family": "AzureLinux", "bypass_resource_checks": ""},
        {"upgrade_start_time": "2026-01-01T00:00:00Z"},
    ],
)
def test_an_annotation_that_does_something_is_no_news(annotations: dict[str, str]) -> None:
    assert judged(noted(**annotations)) == Judgement()


def test_somebody_elses_annotations_are_their_own() -> None:
    assert judged(sound(metadata={"annotations": {"example.com/runtime": "x"}})) == Judgement()


@pytest.mark.parametrize(
    "annotations", [{"node_class_name": "a"}, {"performance_mode": "fast"}, {"runtime": "tgi"}]
)
def test_an_annotation_that_asks_for_what_cannot_be_is_refused(annotations: dict[str, str]) -> None:
    (key,) = annotations
    assert paths(judged(noted(**annotations))) == [
        f"metadata.annotations[kaito.sh/{key.replace('_', '-')}]"
    ]


def test_the_choice_of_streaming_stays() -> None:
    (problem,) = judged(noted(model_streaming="disabled"), sound()).problems
    assert problem.path == "metadata.annotations[kaito.sh/model-streaming]"


def test_many_unknown_annotations_are_told_of_a_few() -> None:
    assert len(judged(noted(**{f"x{n}": "" for n in range(1000)})).warnings) == 5


# Presets and sizes


def test_a_private_preset_needs_its_image_and_no_token() -> None:
    private = {"name": "llama-3.1-8b-instruct", "accessMode": "private"}
    assert paths(judged(sound(inference={"preset": private}))) == [
        "inference.preset.presetOptions.image"
    ]
    with_image = {**private, "presetOptions": {"image": "r.io/llama:1"}}
    assert judged(sound(inference={"preset": with_image})).problems == ()


def test_a_token_for_an_open_model_is_only_told() -> None:
    preset = {"name": "phi-4", "presetOptions": {"modelAccessSecret": "token"}}
    found = judged(sound(inference={"preset": preset}))
    assert found.problems == ()
    assert (
        "presetOptions.modelAccessSecret is token, and microsoft/phi-4 is open" in found.warnings[0]
    )


def test_a_preset_of_earlier_releases_is_told() -> None:
    found = judged(sound(inference={"preset": {"name": "phi-2"}}))
    assert "inference.preset.name phi-2 is a model of earlier releases" in found.warnings[0]


def test_gpus_that_the_engine_does_not_run_on_are_told_with_the_cheapest_that_do() -> None:
    found = judged(sound(resource={"instanceType": "Standard_NC6s_v3"}))
    (warning,) = (each for each in found.warnings if "compute capability 7.0" in each)
    assert "the cheapest size that runs it is Standard_N" in warning


def test_weights_that_are_widened_are_told() -> None:
    found = judged(sound(inference={"preset": {"name": "openai/gpt-oss-20b"}}))
    assert any("widens them to 16 bits" in each for each in found.warnings)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"kaito.sh/workspace": "w", "a": "b"}, "kaito.sh/workspace says whose a node is"),
        (
            {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "n", "a": "b"},
            "kaito.sh/workspace and kaito.sh/workspacenamespace say whose a node is",
        ),
    ],
)
def test_labels_that_are_left_out_are_told(labels: dict[str, str], words: str) -> None:
    found = judged(sound(resource={"labelSelector": {"matchLabels": labels}}))
    assert words in found.warnings[0]


@pytest.mark.parametrize("strength", ["0.5", "1e-1", "+0.5", "00.5"])
def test_a_strength_without_a_runtime_is_accepted(strength: str) -> None:
    adapter = {"source": {"name": "a", "image": "r.io/a:1"}, "strength": strength}
    assert judged(sound(inference={"adapters": [adapter]})).problems == ()


def test_the_engine_that_has_no_strengths_is_not_given_one() -> None:
    adapter = {"source": {"name": "a", "image": "r.io/a:1"}, "strength": "0.5"}
    asked = {
        **noted(runtime="vllm"),
        "inference": sound(inference={"adapters": [adapter]})["inference"],
    }
    assert paths(judged(asked)) == ["inference.adapters[0].strength"]
