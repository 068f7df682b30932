"""The Job of a training: what its containers are told, and how little they may do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.tuning import FINAL_CODES
from kaito.controllers.workspace.settings import Settings
from kaito.local.pods.expansion import expand
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import SETTINGS, UID, condition, decided, of_kind, seen
from test.unit.controllers.workspace.tuning_scene import TUNING, ready, tuned

VOLUME: Object = {"persistentVolumeClaim": {"claimName": "data"}}
IMAGE: Object = {"image": "registry.example.com/data:1", "imagePullSecrets": ["one", "two"]}


def job(settings: Settings = SETTINGS, **changes: Any) -> Object:
    return of_kind(decided(ready(tuned(**changes)), settings), "Job")


def pod(settings: Settings = SETTINGS, **changes: Any) -> Object:
    found: Object = job(settings, **changes)["spec"]["template"]["spec"]
    return found


def containers(found: Object) -> dict[str, Object]:
    return {each["name"]: each for each in (*found["initContainers"], *found["containers"])}


def mounts(container: Object) -> dict[str, Object]:
    return {each["mountPath"]: each for each in container["volumeMounts"]}


def volumes(found: Object) -> dict[str, Object]:
    return {each["name"]: each for each in found["volumes"]}


def flags(container: Object) -> dict[str, str]:
    words = [each.removeprefix("--") for each in container["command"] if each.startswith("--")]
    return dict(word.partition("=")[::2] for word in words)


def settings_of(output: object) -> Object:
    text = json.dumps({"training_config": {"TrainingArguments": {"output_dir": output}}})
    return {
        "metadata": {"name": "c", "resourceVersion": "1"},
        "data": {"training_config.yaml": text},
    }


def test_data_and_training_come_before_the_push_which_alone_ends_the_job() -> None:
    found = pod()
    assert [each["name"] for each in found["initContainers"]] == ["data-downloader", "trainer"]
    assert [each["name"] for each in found["containers"]] == ["pusher"]
    assert found["restartPolicy"] == "Never"


def test_links_are_fetched_with_a_limit_and_the_networks_that_are_allowed() -> None:
    settings = Settings(data_limit=1024**3, data_networks=("10.1.0.0/16",))
    command = containers(pod(settings))["data-downloader"]["command"]
    assert command == [
        *("python3", "-m", "kaito.engine.moving", "fetch", "--to", "/mnt/data"),
        *("--limit", str(1024**3), "--allow", "10.1.0.0/16"),
        "https://data.example.com/questions.jsonl",
    ]


@pytest.mark.parametrize("path", ["$(HF_TOKEN)", "$$", "a$b", "$(KUBERNETES_SERVICE_HOST)$$$"])
def test_a_link_names_no_variable_of_its_container(path: str) -> None:
    link = f"https://data.example.com/{path}"
    word = containers(pod(input={"urls": [link]}))["data-downloader"]["command"][-1]
    assert expand(word, {"HF_TOKEN": "canary", "KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == link


def test_an_image_of_data_is_pulled_with_its_secrets_in_that_container_alone() -> None:
    found = pod(input=IMAGE)
    puller = containers(found)["data-puller"]
    assert puller["command"][3:] == [
        *("pull", "--to", "/mnt/data", "--limit", str(SETTINGS.data_limit)),
        *("--auth", "/mnt/registry/0.json", "--auth", "/mnt/registry/1.json"),
        "registry.example.com/data:1",
    ]
    assert mounts(puller)["/mnt/registry"]["readOnly"]
    seeing = {
        name: mount["name"]
        for name, each in containers(found).items()
        for path, mount in mounts(each).items()
        if path == "/mnt/registry"
    }
    assert seeing == {"data-puller": "data-puller-auth", "pusher": "pusher-auth"}


def test_a_volume_of_data_needs_nobody_who_fetches_it_and_is_not_written_to() -> None:
    found = pod(input={"volumeSource": VOLUME})
    assert list(containers(found)) == ["trainer", "pusher"]
    assert volumes(found)["data-volume"] == {"name": "data-volume", **VOLUME}
    assert mounts(containers(found)["trainer"])["/mnt/data"]["readOnly"]


def test_the_trainer_is_told_where_everything_is() -> None:
    trainer = containers(pod())["trainer"]
    assert trainer["command"][:2] == ["python3", "/workspace/tfs/fine_tuning.py"]
    assert flags(trainer) == {
        "pretrained_model_name_or_path": "microsoft/Phi-3-mini-128k-instruct",
        "method": "lora",
        "data": "/mnt/data",
        "output": "/mnt/results",
        "checkpoints": "/mnt/results/.checkpoints",
        "num_processes": "1",
        "limit": str(SETTINGS.data_limit),
        "name": "phi-3-mini-128k-instruct",
    }
    assert trainer["resources"]["limits"] == {"nvidia.com/gpu": "1"}


@pytest.mark.parametrize("method", ["lora", "qlora", "LoRA"])
def test_without_a_config_map_the_trainer_gets_the_settings_of_its_method(method: str) -> None:
    trainer = containers(pod(method=method))["trainer"]
    told = {each["name"]: each.get("value", "") for each in trainer["env"]}
    assert told["KAITO_TRAINING_CONFIG"].lstrip().startswith(("training_config", "#"))
    assert ("load_in_4bit" in told["KAITO_TRAINING_CONFIG"]) == (method == "qlora")
    assert flags(trainer)["method"] == method.lower()


def test_a_config_map_is_mounted_and_says_where_results_are() -> None:
    config = settings_of("/mnt/output/run-1/")
    chosen = of_kind(decided(replace(ready(tuned(config="c")), config=config)), "Job")
    both = containers(chosen["spec"]["template"]["spec"])
    assert flags(both["trainer"])["config"] == "/mnt/config/training_config.yaml"
    assert flags(both["trainer"])["output"] == "/mnt/output/run-1"
    assert "KAITO_TRAINING_CONFIG" not in {each["name"] for each in both["trainer"]["env"]}
    assert "/mnt/output/run-1" in mounts(both["pusher"])


@pytest.mark.parametrize(
    "output",
    [
        *("/mnt/data", "/mnt/data/x", "/mnt/config", "/mnt/registry/a", "/mnt", "/", "/etc", "mnt"),
        *(
            "/mnt/../etc",
            "/mnt/a/../data",
            "//mnt/x",
            "/mnt/a:b",
            "/mnt/a b",
            "/mnt/$(id)",
            "/mnt/é",
        ),
        *("/mnt/a\n/b", "/mnt/" + "x" * 64, "/mnt" + "/x" * 9, 7, "", ["/mnt/x"]),
    ],
)
def test_results_go_nowhere_else(output: object) -> None:
    decision = decided(seen(tuned(config="c"), config=settings_of(output)))
    assert decision.objects == ()
    assert condition(decision, "JobStarted")["reason"] == "InvalidConfigMap"
    assert "output_dir" in condition(decision, "ResourceReady")["message"]


def test_an_image_is_pushed_with_its_secret_and_the_name_of_its_model() -> None:
    assert containers(pod())["pusher"]["command"][3:] == [
        *("push", "--from", "/mnt/results", "--auth", "/mnt/registry/0.json"),
        *("--annotation", "sh.kaito.model.name=phi-3-mini-128k-instruct"),
        *("--checkpoints", "/mnt/results/.checkpoints"),
        "registry.example.com/adapters/a:1",
    ]


def test_a_volume_takes_the_result_and_the_checkpoints() -> None:
    found = pod(Settings(checkpoint_class="disks"), output={"volumeSource": VOLUME})
    pusher = containers(found)["pusher"]
    assert pusher["command"][3:] == [
        *("store", "--from", "/mnt/results", "--to", "/kaito/output"),
        *("--checkpoints", f"/kaito/output/.kaito/{UID}"),
    ]
    assert mounts(containers(found)["trainer"])["/kaito/output"]["name"] == "output-volume"
    assert "checkpoints-volume" not in volumes(found)


def test_checkpoints_of_a_pushed_result_lie_on_a_disk_of_their_own() -> None:
    found = pod(Settings(checkpoint_class="disks"))
    claim = volumes(found)["checkpoints-volume"]["persistentVolumeClaim"]
    assert claim == {"claimName": "w-checkpoints"}
    assert flags(containers(found)["trainer"])["checkpoints"] == f"/kaito/checkpoints/{UID}"
    assert "/kaito/checkpoints" in mounts(containers(found)["pusher"])


def test_the_token_of_a_gated_model_is_the_trainers_alone() -> None:
    preset = {**TUNING["preset"], "presetOptions": {"modelAccessSecret": "hf"}}
    found = pod(preset=preset)
    knowing = [n for n, each in containers(found).items() if "HF_TOKEN" in json.dumps(each)]
    assert knowing == ["trainer"]


def test_what_cannot_get_better_ends_the_job_and_an_eviction_does_not_count() -> None:
    first, second = job()["spec"]["podFailurePolicy"]["rules"]
    assert first["action"] == "Ignore"
    assert first["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert second["action"] == "FailJob"
    assert second["onExitCodes"]["values"] == list(FINAL_CODES)
    assert job()["spec"]["backoffLimit"] > 0


@pytest.mark.parametrize("user", [0, 7])
def test_nothing_runs_as_root_or_may_become_it(user: int) -> None:
    found = pod(Settings(engine_user=user), input=IMAGE)
    assert found["securityContext"]["runAsNonRoot"]
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["automountServiceAccountToken"] is False
    for each in containers(found).values():
        context = each["securityContext"]
        assert context["runAsUser"] == (user or 65532)
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
    for name in ("data-puller", "pusher"):
        assert containers(found)[name]["securityContext"]["readOnlyRootFilesystem"]


def test_no_volume_of_a_training_can_fill_a_node() -> None:
    for each in pod()["volumes"]:
        if each["name"] in ("data-volume", "results-volume"):
            assert each["emptyDir"]["sizeLimit"].endswith("Gi")


HOSTILE = st.text(
    st.sampled_from("a;|&$`'\"\\\n\t -=<>(){}*?~#!%@:/.\x00\u202e"), min_size=1, max_size=40
)


@given(url=HOSTILE, image=HOSTILE, name=HOSTILE, claim=HOSTILE, secret=HOSTILE)
def test_no_word_of_a_user_is_more_than_one_argument(
    url: str, image: str, name: str, claim: str, secret: str
) -> None:
    """It is refused, or it is a word of its own where it belongs, and nothing reads it as code."""
    for changes in (
        {"input": {"urls": [f"https://data.example.com/{url}"]}},
        {"input": {"image": image, "imagePullSecrets": [secret]}},
        {"output": {"image": image, "imagePushSecret": secret}},
        {"input": {"volumeSource": {"persistentVolumeClaim": {"claimName": claim}}}},
        {"preset": {"name": name}},
    ):
        decision = decided(seen(tuned(**changes)))
        for made in decision.trial:
            if made["kind"] != "Job":
                continue
            assert made["metadata"]["namespace"] == "default"
            found = made["spec"]["template"]["spec"]
            for each in containers(found).values():
                command = each["command"]
                assert command[0] == "python3"
                assert command[1:3] in (
                    ["-m", "kaito.engine.moving"],
                    ["/workspace/tfs/fine_tuning.py", command[2]],
                )
                assert "args" not in each
                assert "\x00" not in "".join(command)
                # What is a user's comes last, or after an = of ours: none can be an option.
                if command[1] == "-m" and command[3] in ("pull", "push"):
                    assert not command[-1].startswith("-")
                    assert not any(c.isspace() for c in command[-1])
                if command[3] == "fetch":
                    assert command[-1].startswith("https://data.example.com/")


@given(st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5) | st.integers()))
def test_any_volume_keeps_the_name_that_it_is_mounted_by(source: dict[str, Any]) -> None:
    decision = decided(seen(tuned(input={"volumeSource": {**source, "name": "dshm"}})))
    for made in decision.trial:
        names = [each["name"] for each in made["spec"]["template"]["spec"]["volumes"]]
        assert len(names) == len(set(names))
