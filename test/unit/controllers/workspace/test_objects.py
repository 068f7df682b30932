"""The objects that a Workspace becomes, field by field where others rely on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object
from test.unit.controllers.workspace.scene import (
    FIRST,
    UID,
    decided,
    held,
    node,
    of_kind,
    own_node,
    ready_machine,
    seen,
)

IDENTITY = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"}
OWNER = {
    "apiVersion": "kaito.sh/v1beta1",
    "kind": "Workspace",
    "name": "w",
    "uid": UID,
    "controller": True,
    "blockOwnerDeletion": True,
}


def made(kind: str, found: Object | None = None, settings: Settings | None = None) -> Object:
    observation = seen(found or held(), orders=(ready_machine(),), nodes=(own_node(),))
    return of_kind(decided(observation, settings or Settings()), kind)


def engine(found: Object | None = None, settings: Settings | None = None) -> Object:
    (container,) = made("Deployment", found, settings)["spec"]["template"]["spec"]["containers"]
    return dict(container)


def flags(found: Object) -> list[str]:
    return list(engine(found)["command"])


def on(size: str, preset: str, **inference: Any) -> Object:
    return held(
        resource={"instanceType": size}, inference={"preset": {"name": preset}, **inference}
    )


def asked_for(found: Object) -> Object:
    return of_kind(decided(seen(found)), "Machine")


def test_a_machine_asks_for_a_node_as_karpenter_wants_it() -> None:
    assert asked_for(held()) == {
        "apiVersion": "karpenter.sh/v1alpha5",
        "kind": "Machine",
        "metadata": {
            "name": FIRST,
            "labels": {"apps": "phi-3", "karpenter.sh/provisioner-name": "default", **IDENTITY},
            "annotations": {"kaito.sh/workspace-uid": UID},
        },
        "spec": {
            "machineTemplateRef": {"name": FIRST},
            "requirements": [
                {"key": key, "operator": "In", "values": [value]}
                for key, value in [
                    ("node.kubernetes.io/instance-type", "Standard_NC6s_v3"),
                    ("karpenter.sh/provisioner-name", "default"),
                    ("kaito.sh/machine-type", "gpu"),
                    ("kubernetes.io/arch", "amd64"),
                    ("kubernetes.io/os", "linux"),
                ]
            ],
            "taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
            "resources": {"requests": {"storage": "87Gi"}},
        },
    }


def test_a_machines_name_fits_a_pool_and_follows_from_uid_and_index() -> None:
    assert FIRST == "ws18eeecfe0"
    assert len(FIRST) <= 12


def test_labels_that_say_whose_a_node_is_cannot_be_claimed() -> None:
    stolen = {"kaito.sh/workspace": "other", "a": "b"}
    labels = asked_for(held(resource={"labelSelector": {"matchLabels": stolen}}))["metadata"][
        "labels"
    ]
    assert labels["kaito.sh/workspace"] == "w"
    assert labels["a"] == "b"


def test_what_only_the_cloud_can_give_is_asked_of_it() -> None:
    zoned = {"topology.kubernetes.io/zone": "eastus-1"}
    requirements = asked_for(held(resource={"labelSelector": {"matchLabels": zoned}}))["spec"][
        "requirements"
    ]
    assert requirements[-1] == {
        "key": "topology.kubernetes.io/zone",
        "operator": "In",
        "values": ["eastus-1"],
    }


def test_the_operating_system_of_a_node_can_be_chosen() -> None:
    chosen = {"annotations": {"kaito.sh/node-image-family": "AzureLinux"}}
    annotations = asked_for(held(metadata=chosen))["metadata"]["annotations"]
    assert annotations["kaito.sh/node-image-family"] == "azurelinux"


def test_what_a_node_is_made_of_is_passed_on_to_its_machine() -> None:
    wishes = {
        "kaito.sh/spot-max-price": "1.25",
        "kaito.sh/gpu-driver": "None",
        "kaito.sh/os-disk-type": "Ephemeral",
    }
    annotations = asked_for(held(metadata={"annotations": wishes}))["metadata"]["annotations"]
    assert annotations.items() >= {key: value.lower() for key, value in wishes.items()}.items()


def test_a_node_without_gpus_is_said_to_be_one() -> None:
    found = held(resource={"instanceType": "Standard_D4s_v5"})
    found["inference"] = {"template": {"spec": {"containers": [{"name": "c"}]}}}
    machine = asked_for(found)
    assert machine["spec"]["requirements"][2]["values"] == ["cpu"]
    assert machine["spec"]["resources"] == {"requests": {"storage": "0"}}


def test_the_service_has_exactly_two_ports() -> None:
    assert made("Service") == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "w",
            "namespace": "default",
            "labels": IDENTITY,
            "ownerReferences": [OWNER],
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"kaito.sh/workspace": "w"},
            "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 5000},
                {"name": "torch", "protocol": "TCP", "port": 29500, "targetPort": 29500},
            ],
        },
    }


@pytest.mark.parametrize(("value", "kind"), [("True", "LoadBalancer"), ("False", "ClusterIP")])
def test_an_annotation_asks_for_a_load_balancer(value: str, kind: str) -> None:
    found = held(metadata={"annotations": {"kaito.sh/enablelb": value}})
    assert made("Service", found)["spec"]["type"] == kind


def test_the_deployment_is_the_workspaces_own_and_replaces_its_pod_in_place() -> None:
    deployment = made("Deployment")
    assert deployment["metadata"]["ownerReferences"] == [OWNER]
    assert deployment["metadata"]["labels"] == IDENTITY
    spec = deployment["spec"]
    assert spec["replicas"] == 1
    assert spec["selector"] == {"matchLabels": {"kaito.sh/workspace": "w"}}
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert spec["template"]["metadata"]["labels"] == IDENTITY


TEMPLATE = {"template": {"spec": {"containers": [{"name": "c"}]}}}


@pytest.mark.parametrize("inference", [None, TEMPLATE])
def test_pods_go_to_spot_nodes_where_these_are_asked_for(inference: Object | None) -> None:
    def tolerated(annotations: dict[str, str]) -> list[str]:
        found = held(metadata={"annotations": annotations})
        found["inference"] = inference or found["inference"]
        pod = made("Deployment", found)["spec"]["template"]["spec"]
        return [toleration["key"] for toleration in pod["tolerations"]]

    plain = tolerated({})
    spot = tolerated({"kaito.sh/spot-max-price": "-1"})
    assert spot == [*plain, "kubernetes.azure.com/scalesetpriority"]


def test_the_engine_is_run_with_all_gpus_of_a_node() -> None:
    container = engine(settings=Settings(registry="r.io/k", tag="9"))
    assert container["image"] == "r.io/k/kaito-base:9"
    assert container["resources"] == {
        "requests": {"nvidia.com/gpu": "1"},
        "limits": {"nvidia.com/gpu": "1"},
    }
    assert container["ports"] == [{"name": "http", "containerPort": 5000, "protocol": "TCP"}]
    assert [m["mountPath"] for m in container["volumeMounts"]] == ["/dev/shm", "/workspace/weights"]


def test_the_command_is_a_list_in_a_fixed_order() -> None:
    assert engine()["command"] == [
        "python3",
        "/workspace/vllm/inference_api.py",
        "--model=microsoft/Phi-3-mini-4k-instruct",
        "--served-model-name=phi-3-mini-4k-instruct",
        "--download-dir=/workspace/weights",
        "--dtype=float16",
        "--max-model-len=auto",
        "--gpu-memory-utilization=0.84",
        "--tensor-parallel-size=1",
    ]


@pytest.mark.parametrize(
    ("size", "preset", "expected"),
    [
        ("Standard_NC24ads_A100_v4", "phi-4", ["--dtype=bfloat16"]),
        ("Standard_NV72ads_A10_v5", "phi-4", ["--gpu-memory-utilization=0.82"]),
        (
            "Standard_NC96ads_A100_v4",
            "phi-4-mini-instruct",
            ["--data-parallel-size=4", "--tensor-parallel-size=1"],
        ),
        (
            "Standard_NC96ads_A100_v4",
            "qwen2.5-coder-32b-instruct",
            [
                "--tensor-parallel-size=4",
                "--compilation-config.pass_config.fuse_allreduce_rms=False",
            ],
        ),
        (
            "Standard_NC64as_T4_v3",
            "phi-4",
            ["--tensor-parallel-size=2", "--pipeline-parallel-size=2", "--dtype=float16"],
        ),
        (
            "Standard_ND96isr_H200_v5",
            "deepseek-ai/DeepSeek-V4-Flash-0731",
            ["--kv-cache-dtype=fp8", "--tokenizer-mode=deepseek_v4"],
        ),
        (
            "Standard_NC24ads_A100_v4",
            "gpt-oss-20b",
            [
                "--dtype=auto",
                "--tool-call-parser=openai",
                "--enable-auto-tool-choice",
                "--reasoning-parser=openai_gptoss",
            ],
        ),
        (
            "Standard_NC24ads_A100_v4",
            "mistral-7b-instruct",
            ["--load-format=mistral", "--config-format=mistral", "--tokenizer-mode=mistral"],
        ),
        (
            "Standard_NC24ads_A100_v4",
            "Qwen/Qwen3.5-2B",
            ["--gdn-prefill-backend=triton", "--served-model-name=Qwen/Qwen3.5-2B"],
        ),
        (
            "Standard_NC24ads_A100_v4",
            "qwen2.5-coder-7b-instruct",
            ["--chat-template=/workspace/chat_templates/tool-chat-hermes.jinja"],
        ),
        (
            "Standard_NC24ads_A100_v4",
            "nvidia/NVIDIA-Nemotron-Nano-9B-v2",
            ["--trust-remote-code"],
        ),
    ],
)
def test_a_model_brings_its_flags(size: str, preset: str, expected: list[str]) -> None:
    observation = seen(on(size, preset), nodes=(node("a", **{INSTANCE: size}),))
    spec = of_kind(decided(observation), "Deployment")["spec"]["template"]["spec"]
    command = spec["containers"][0]["command"]
    assert [flag for flag in expected if flag not in command] == []


INSTANCE = "node.kubernetes.io/instance-type"


def test_a_word_of_a_user_is_one_argument_and_never_a_command() -> None:
    found = held(inference={"preset": {"name": "PHI-3-mini-4k-instruct"}})
    assert "--served-model-name=PHI-3-mini-4k-instruct" in flags(found)
    assert "sh" not in flags(found)


def test_a_config_map_is_mounted_and_pointed_to() -> None:
    found = held(inference={"config": "my-settings"})
    container = engine(found)
    assert container["command"][-1] == "--kaito-config-file=/mnt/config/inference_config.yaml"
    assert container["volumeMounts"][-1]["mountPath"] == "/mnt/config"
    volumes = made("Deployment", found)["spec"]["template"]["spec"]["volumes"]
    assert volumes[-1] == {"name": "config-volume", "configMap": {"name": "my-settings"}}


def test_a_gated_model_is_opened_with_the_secret() -> None:
    options = {"modelAccessSecret": "token"}
    found = held(
        resource={"instanceType": "Standard_NC24ads_A100_v4"},
        inference={"preset": {"name": "llama-3.1-8b-instruct", "presetOptions": options}},
    )
    observation = seen(found, nodes=(node("a", **{INSTANCE: "Standard_NC24ads_A100_v4"}),))
    spec = of_kind(decided(observation), "Deployment")["spec"]["template"]["spec"]
    assert spec["containers"][0]["env"][-1] == {
        "name": "HF_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "token", "key": "HF_TOKEN"}},
    }


def test_probes_give_the_model_the_time_that_its_size_needs() -> None:
    container = engine()
    assert container["startupProbe"]["failureThreshold"] == 180
    assert container["startupProbe"]["httpGet"] == {"path": "/health", "port": 5000}
    large = on("Standard_ND96isr_H200_v5", "deepseek-r1-0528")
    observation = seen(large, nodes=(node("a", **{INSTANCE: "Standard_ND96isr_H200_v5"}),))
    deployment = of_kind(decided(observation), "Deployment")
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    assert probe["failureThreshold"] == 1080
    assert deployment["spec"]["progressDeadlineSeconds"] > 1080 * 10


def test_a_pod_has_no_more_rights_than_it_needs() -> None:
    spec = made("Deployment")["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def required_terms(deployment: Object) -> list[Object]:
    spec = deployment["spec"]["template"]["spec"]
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return list(required["nodeSelectorTerms"])


def expressions(**values: str) -> Object:
    return {
        "matchExpressions": [
            {"key": key, "operator": "In", "values": [value]} for key, value in values.items()
        ]
    }


def test_pods_run_on_the_workspaces_own_nodes() -> None:
    assert required_terms(made("Deployment")) == [expressions(apps="phi-3", **IDENTITY)]


def test_pods_run_on_the_very_nodes_that_are_counted_for_it() -> None:
    brought = node("a", **{"kubernetes.io/hostname": "host-a"})
    deployment = of_kind(decided(seen(held(), nodes=(brought,))), "Deployment")
    assert required_terms(deployment) == [
        expressions(apps="phi-3", **{"kubernetes.io/hostname": "host-a"})
    ]


def test_pods_tolerate_the_taints_of_gpu_nodes() -> None:
    spec = made("Deployment")["spec"]["template"]["spec"]
    assert spec["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
    ]


def test_equal_plans_have_equal_hashes_and_others_have_others() -> None:
    def hash_of(found: Object) -> str:
        return str(made("Deployment", found)["metadata"]["annotations"]["kaito.sh/spec-hash"])

    assert hash_of(held()) == hash_of(held(metadata={"generation": 5}))
    assert hash_of(held()) != hash_of(held(inference={"config": "c"}))


# Templates


def templated(template: Object) -> Object:
    found = held()
    found["inference"] = {"template": template}
    return dict(made("Deployment", found)["spec"]["template"])


def test_a_template_is_passed_through_with_what_places_it() -> None:
    pod = templated(
        {
            "metadata": {"labels": {"mine": "yes", "kaito.sh/workspace": "stolen"}},
            "spec": {
                "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}],
                "tolerations": [{"key": "mine", "operator": "Exists"}],
            },
        }
    )
    assert pod["metadata"]["labels"] == {"mine": "yes", **IDENTITY}
    assert pod["spec"]["containers"] == [
        {"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}
    ]
    assert [t["key"] for t in pod["spec"]["tolerations"]] == ["mine", "nvidia.com/gpu", "sku"]
    required = pod["spec"]["affinity"]["nodeAffinity"]
    assert required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
        expressions(apps="phi-3", **IDENTITY)
    ]


def test_nodes_that_a_template_requires_are_required_too() -> None:
    terms = [expressions(disk="ssd"), {"matchFields": [{"key": "metadata.name"}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    affinity = {"nodeAffinity": required, "podAffinity": {"x": 1}}
    pod = templated({"spec": {"containers": [{"name": "c"}], "affinity": affinity}})
    assert pod["spec"]["affinity"]["podAffinity"] == {"x": 1}
    placed = pod["spec"]["affinity"]["nodeAffinity"]
    ours = expressions(apps="phi-3", **IDENTITY)["matchExpressions"]
    assert placed["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] == [
        {"matchExpressions": [*terms[0]["matchExpressions"], *ours]},
        {**terms[1], "matchExpressions": ours},
    ]


def test_the_users_template_itself_is_not_written_to() -> None:
    template: Object = {"spec": {"containers": []}}
    found = held()
    found["inference"] = {"template": template}
    observation = seen(found, orders=(ready_machine(),), nodes=(own_node(),))
    decided(observation)
    assert template == {"spec": {"containers": []}}
    assert decided(replace(observation)) == decided(observation)


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ({}, "spec is missing"),
        ({"spec": None}, "spec is missing"),
        ({"spec": {}, "metadata": "x"}, "metadata must be an object"),
        ({"spec": {}, "metadata": {"labels": []}}, "metadata.labels must be an object"),
        ({"spec": {}}, "spec.containers is empty: write at least one"),
        ({"spec": {"containers": []}}, "spec.containers is empty"),
        ({"spec": {"containers": {}}}, "spec.containers must be a list"),
        ({"spec": {"tolerations": {}}}, "spec.tolerations must be a list"),
        ({"spec": {"tolerations": ["x"]}}, "spec.tolerations must be a list"),
        ({"spec": {"affinity": 1}}, "spec.affinity must be an object"),
        (
            {
                "spec": {
                    "affinity": {
                        "nodeAffinity": {
                            "requiredDuringSchedulingIgnoredDuringExecution": {
                                "nodeSelectorTerms": [{"matchExpressions": "x"}]
                            }
                        }
                    }
                }
            },
            "matchExpressions must be a list",
        ),
    ],
)
def test_a_template_that_cannot_be_added_to_is_refused(template: Object, path: str) -> None:
    found = held()
    found["inference"] = {"template": template}
    decision = decided(seen(found))
    assert decision.objects == ()
    assert path in (decision.status or {})["conditions"][0]["message"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [(1, "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), ("1000m", "1"), ("1e3", "1e3"), ("a", "a")],
)
def test_amounts_in_a_template_are_spelled_as_the_server_keeps_them(
    written: object, kept: str
) -> None:
    container = {"name": "c", "command": None, "resources": {"limits": {"memory": written}}}
    found = held(inference=None)
    found["inference"] = {"template": {"metadata": None, "spec": {"containers": [container]}}}
    (made_of_it,) = made("Deployment", found)["spec"]["template"]["spec"]["containers"]
    assert made_of_it == {"name": "c", "resources": {"limits": {"memory": kept}}}
