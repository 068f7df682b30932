"""The Pod of a preset: where weights and adapters come from, what it may do, who may ask it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api.patterns import NAME, matches
from kaito.api.workspace import Workspace
from kaito.catalog.timing import Known, time_to_ready
from kaito.controllers.workspace.engine import start_seconds
from kaito.controllers.workspace.needs import Needed, needed
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object
from test.unit.controllers.workspace.scene import (
    CATALOG,
    decided,
    held,
    kinds,
    node,
    of_kind,
    own_node,
    ready_machine,
    seen,
    workspace,
)

PHI = "phi-3-mini-4k-instruct"
FAST = "Standard_NC24ads_A100_v4"
MOVER = ("python3", "-m", "kaito.engine.moving")
LOCAL = Settings(nvme_class="local-nvme")


def pod(found: Object, chosen: Settings | None = None) -> Object:
    """The Pod that it becomes on one node."""
    size = found["resource"]["instanceType"]
    observation = seen(found, nodes=(node("a", **{"node.kubernetes.io/instance-type": size}),))
    deployment = of_kind(decided(observation, chosen or Settings()), "Deployment")
    return dict(deployment["spec"]["template"]["spec"])


def engine(found: Object, chosen: Settings | None = None) -> Object:
    return dict(pod(found, chosen)["containers"][0])


def volume(spec: Object, name: str) -> Object:
    (found,) = (each for each in spec["volumes"] if each["name"] == name)
    return dict(found)


def mounts(container: Object) -> dict[str, str]:
    return {each["mountPath"]: each["name"] for each in container["volumeMounts"]}


def values(container: Object) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def noted(**annotations: str) -> Object:
    named = {f"kaito.sh/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return held(metadata={"annotations": named})


def private(*secrets: str) -> Object:
    options = {"image": "r.io/models/phi:1", "imagePullSecrets": list(secrets)}
    return held(
        inference={"preset": {"name": PHI, "accessMode": "private", "presetOptions": options}}
    )


def adapted(*adapters: Object, **annotations: str) -> Object:
    found = noted(**annotations)
    found["inference"]["adapters"] = list(adapters)
    return found


def image(name: str, *secrets: str, strength: str = "") -> Object:
    source = {"name": name, "image": f"r.io/{name}:1", "imagePullSecrets": list(secrets)}
    return {"source": source, "strength": strength}


# Engines


def test_transformers_is_started_with_a_list_of_arguments() -> None:
    assert engine(noted(runtime="transformers"))["command"] == [
        "accelerate",
        "launch",
        "--num_processes=1",
        "--num_machines=1",
        "--machine_rank=0",
        "--gpu_ids=all",
        "/workspace/tfs/inference_api.py",
        "--pipeline=text-generation",
        "--torch_dtype=float16",
        "--pretrained_model_name_or_path=microsoft/Phi-3-mini-4k-instruct",
        "--allow_remote_files",
        "--cache_dir=/workspace/weights",
        f"--served_model_name={PHI}",
    ]


def test_transformers_is_told_nothing_that_is_vllms() -> None:
    found = noted(runtime="transformers", performance_mode="throughput")
    found["inference"]["config"] = "c"
    container = engine(found)
    assert not any(name.startswith("VLLM") for name in values(container))
    assert "/mnt/config" not in mounts(container)
    decision = decided(seen({**found, "metadata": {**found["metadata"], "finalizers": []}}))
    assert {
        "inference.config has no effect with the runtime transformers: it holds settings of vllm.",
        "Annotation kaito.sh/performance-mode has no effect with the runtime transformers.",
    } <= {each.message for each in decision.events}


@pytest.mark.parametrize(
    ("mode", "flag"),
    [("throughput", ["--performance-mode=throughput"]), ("Balanced", []), ("", [])],
)
def test_an_annotation_sets_the_performance_mode(mode: str, flag: list[str]) -> None:
    command = engine(noted(performance_mode=mode))["command"]
    assert [each for each in command if each.startswith("--performance-mode")] == flag


@pytest.mark.parametrize("name", ["phi-4", "deepseek-v3-0324", "meta-llama/Llama-3.3-70B-Instruct"])
def test_the_engine_may_take_as_long_as_the_slowest_start_that_was_measured(name: str) -> None:
    model = CATALOG.find_model(name)
    assert model is not None
    phases = time_to_ready(model, Known(node="ready", image=True))
    slowest = sum(phase.seconds.high for phase in phases if phase.seconds)
    found = workspace(inference={"preset": {"name": name}})
    plan = Plan(
        workspace=Workspace.as_written(found),
        selector={},
        instance_type="",
        nodes=1,
        model=model,
    )
    assert start_seconds(plan) >= slowest


# Weights


def test_private_weights_are_fetched_from_an_artifact_without_a_shell() -> None:
    spec = pod(private("first", "second"))
    (puller,) = spec["initContainers"]
    assert puller["command"] == [
        *MOVER,
        "pull",
        "--to",
        "/workspace/weights",
        "--auth",
        "/mnt/registry/0.json",
        "--auth",
        "/mnt/registry/1.json",
        "r.io/models/phi:1",
    ]
    sources = volume(spec, mounts(puller)["/mnt/registry"])["projected"]["sources"]
    secrets = [each["secret"] for each in sources]
    assert [(each["name"], each["items"][0]["path"]) for each in secrets] == [
        ("first", "0.json"),
        ("first", "0.crt"),
        ("second", "1.json"),
        ("second", "1.crt"),
    ]
    # A registry with an authority that everybody knows has none beside its account.
    assert [each.get("optional", False) for each in secrets] == [False, True, False, True]
    container = spec["containers"][0]
    assert mounts(puller)["/workspace/weights"] == mounts(container)["/workspace/weights"]
    assert "--model=/workspace/weights" in container["command"]
    assert f"--served-model-name={PHI}" in container["command"]
    assert not any(each.startswith("--download-dir") for each in container["command"])


def test_the_engine_itself_has_no_pull_secrets() -> None:
    container = pod(private("first"))["containers"][0]
    assert "/mnt/registry" not in mounts(container)


def test_weights_of_the_nodes_own_disk_are_read_where_they_lie() -> None:
    found = noted(use_local_weights="True")
    spec = pod(found)
    path = "/opt/kaito/models/microsoft-phi-3-mini-4k-instruct"
    assert volume(spec, "model-weights-hostpath")["hostPath"] == {"path": path, "type": "Directory"}
    (mount,) = (m for m in spec["containers"][0]["volumeMounts"] if m["mountPath"] == path)
    assert mount["readOnly"] is True
    command = spec["containers"][0]["command"]
    assert f"--model={path}" in command
    assert "--load-format=runai_streamer" in command


@pytest.mark.parametrize(
    ("size", "chosen", "source"),
    [
        (FAST, LOCAL, "ephemeral"),
        (FAST, Settings(), "emptyDir"),
        ("Standard_NC6s_v3", LOCAL, "emptyDir"),
    ],
)
def test_weights_lie_on_the_nodes_own_disks_where_there_are_any(
    size: str, chosen: Settings, source: str
) -> None:
    found = volume(pod(held(resource={"instanceType": size}), chosen), "model-weights-volume")
    assert source in found
    if source == "ephemeral":
        assert found[source]["volumeClaimTemplate"]["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local-nvme",
            "resources": {"requests": {"storage": "87Gi"}},
        }


def test_shared_memory_is_half_of_the_nodes() -> None:
    spec = pod(held(resource={"instanceType": FAST}))
    assert volume(spec, "dshm")["emptyDir"] == {"medium": "Memory", "sizeLimit": "110Gi"}


# Adapters


def test_an_adapter_of_an_image_is_unpacked_where_the_engine_looks() -> None:
    spec = pod(adapted(image("poet", "pull")))
    (puller,) = spec["initContainers"]
    assert puller["name"] == "puller-poet"
    assert puller["command"] == [
        *MOVER,
        "pull",
        "--to",
        "/mnt/adapter/poet",
        "--auth",
        "/mnt/registry/0.json",
        # Under all its names: a training names its model by one of them.
        *("--model", "phi-3-mini-4k-instruct"),
        *("--model", "microsoft/Phi-3-mini-4k-instruct"),
        "r.io/poet:1",
    ]
    assert puller["image"] == spec["containers"][0]["image"]
    container = spec["containers"][0]
    (mount,) = (m for m in container["volumeMounts"] if m["mountPath"] == "/mnt/adapter/poet")
    assert mount["readOnly"] is True
    assert mounts(puller)["/mnt/adapter/poet"] == mount["name"]
    assert "--enable-lora" in container["command"]


def test_an_adapter_of_a_volume_is_mounted_as_it_is() -> None:
    theirs = {"persistentVolumeClaim": {"claimName": "mine", "readOnly": None}}
    spec = pod(adapted({"source": {"name": "a", "volumeSource": theirs}}))
    assert "initContainers" not in spec
    name = mounts(spec["containers"][0])["/mnt/adapter/a"]
    assert volume(spec, name) == {"name": name, "persistentVolumeClaim": {"claimName": "mine"}}


NAMES = st.one_of(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True).filter(
        lambda name: matches(NAME, name)
    ),
    st.sampled_from(["0", "1", "a", "a-auth", "0-auth", "scratch", "x" * 63, "y.z" * 80]),
)


@settings(max_examples=50)
@given(st.lists(NAMES, min_size=1, max_size=10, unique=True))
def test_adapters_with_any_names_have_parts_of_their_own(names: list[str]) -> None:
    spec = pod(adapted(*(image(name, "s") for name in names)))
    for field in ("volumes", "initContainers"):
        parts = [each["name"] for each in spec[field]]
        assert len(set(parts)) == len(parts)
        assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", part) for part in parts)
    assert len(spec["initContainers"]) == len(names)


@pytest.mark.parametrize(
    ("runtime", "strength", "expected"),
    [("transformers", "0.5", "0.5"), ("transformers", "", None), ("vllm", "1.0", None)],
)
def test_a_strength_is_told_to_the_engine_that_knows_strengths(
    runtime: str, strength: str, expected: str | None
) -> None:
    container = engine(adapted(image("poet", strength=strength), runtime=runtime))
    assert values(container).get("poet") == expected


def test_a_strength_takes_the_engine_that_knows_strengths() -> None:
    assert engine(adapted(image("poet", strength="0.5")))["command"][0] == "accelerate"


def test_the_secrets_that_pods_read_are_known_before_they_start() -> None:
    found = adapted(image("poet", "pull"), api_key_secret="key")
    observation = seen(found, orders=(ready_machine(),), nodes=(own_node(),))
    assert set(needed(decided(observation).objects)) == {
        Needed(object=Key("default", "pull"), key=".dockerconfigjson"),
        Needed(object=Key("default", "key"), key="API_KEY"),
    }


# Rights


def test_no_container_keeps_a_right_that_it_can_do_without() -> None:
    spec = pod(adapted(image("a"), image("b")))
    for container in (*spec["containers"], *spec["initContainers"]):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}


def test_what_fetches_runs_as_nobody_on_a_file_system_that_it_cannot_write() -> None:
    for puller in pod(adapted(image("a"), image("b")))["initContainers"]:
        context = puller["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["readOnlyRootFilesystem"] is True
        assert "add" not in context["capabilities"]


def test_an_engine_with_a_user_of_its_own_is_no_root_and_has_a_home() -> None:
    spec = pod(adapted(image("a")), Settings(engine_user=1000))
    assert spec["securityContext"] == {
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsNonRoot": True,
        "fsGroup": 1000,
    }
    container = spec["containers"][0]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
    }
    assert values(container)["HOME"] in mounts(container)
    assert spec["initContainers"][0]["securityContext"]["runAsUser"] == 1000


# Who may ask


@pytest.mark.parametrize(
    ("runtime", "variable"), [("vllm", "VLLM_API_KEY"), ("transformers", "KAITO_API_KEY")]
)
def test_a_key_comes_from_the_secret_that_the_annotation_names(runtime: str, variable: str) -> None:
    container = engine(noted(api_key_secret="mine", runtime=runtime))
    assert values(container)[variable] == {"secretKeyRef": {"name": "mine", "key": "API_KEY"}}


def policy(found: Object) -> Object | None:
    observation = seen(found, orders=(ready_machine(),), nodes=(own_node(),))
    decision = decided(observation)
    return of_kind(decision, "NetworkPolicy") if "NetworkPolicy" in kinds(decision) else None


def test_one_node_is_open_to_the_cluster_unless_its_author_says_otherwise() -> None:
    assert policy(held()) is None


def test_an_annotation_keeps_other_namespaces_out() -> None:
    found = policy(noted(network_policy="namespace"))
    assert found is not None
    answers, _ = found["spec"]["ingress"]
    assert answers == {
        "ports": [{"protocol": "TCP", "port": 5000}],
        "from": [{"podSelector": {}}],
    }


def test_a_template_keeps_both_ports_of_its_service() -> None:
    found = noted(network_policy="namespace")
    found["inference"] = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
    made = policy(found)
    assert made is not None
    assert [each["port"] for each in made["spec"]["ingress"][0]["ports"]] == [5000, 29500]


def test_what_a_template_does_not_heed_is_told() -> None:
    found = workspace(metadata={"annotations": {"kaito.sh/api-key-secret": "mine"}})
    found["inference"] = {
        "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
        "adapters": [image("a")],
    }
    said = {each.message for each in decided(seen(found)).events}
    assert {
        "Annotation kaito.sh/api-key-secret has no effect with inference.template.",
        "inference.adapters has no effect with inference.template: mount them there.",
    } <= said
