"""The Pod that serves a preset: the engine with its weights, adapters, probes and rights. Pure.

Equal plans give equal Pods.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from kaito.api import labels
from kaito.controllers.workspace import adapters, group, weights
from kaito.controllers.workspace.ask import asks_for_spot
from kaito.controllers.workspace.command import CONFIG, command
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.runtimes import runtime_of
from kaito.controllers.workspace.security import contained, home, pod_context
from kaito.controllers.workspace.service import ENGINE_PORT
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object

PROBE_PERIOD = 10
PROBE_TIMEOUT = 5  # a busy engine answers late, and late is not dead
# How long the engine may take to start, seconds: 15 min and 18 s for each GiB of weights, but no
# less than 30 min and no more than 180 min (kaito.md 3.6).
START_BASE, START_PER_GIB, START_LEAST, START_MOST = 900, 18, 1800, 10800

TOLERATIONS: tuple[Object, ...] = (
    {"key": labels.GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"},
    {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
)
# AKS's own taint on spot nodes.
SPOT_TOLERATION: Object = {
    "key": "kubernetes.azure.com/scalesetpriority",
    "operator": "Equal",
    "value": "spot",
    "effect": "NoSchedule",
}
# Models whose kernels are compiled at run time.
DEEP_GEMM_ARCHITECTURES = frozenset(["DeepseekV4ForCausalLM"])
# How each engine is told the key that its clients must bring, and where that is in the Secret.
API_KEY_VARIABLES = {"vllm": "VLLM_API_KEY", "transformers": "KAITO_API_KEY"}
API_KEY = "API_KEY"
# An annotation of Pods: other settings in the ConfigMap take other Pods.
SETTINGS_HASH = "kaito.sh/settings-hash"


def tolerations(plan: Plan) -> list[Object]:
    """Of the taints of its nodes."""
    return [*TOLERATIONS, *([SPOT_TOLERATION] if asks_for_spot(plan) else [])]


def start_seconds(plan: Plan) -> int:
    """How long the engine may take from its start to its first answer."""
    size = (plan.model.weights_gib or 0) if plan.model else 0
    return ceil(min(max(START_BASE + START_PER_GIB * size, START_LEAST), START_MOST))


def engine(plan: Plan, subject: Subject, settings: Settings, terms: Sequence[Object]) -> Object:
    """The Pod's template, for nodes that match one of `terms`. The plan must know the GPUs."""
    workspace = plan.workspace
    fetched = [
        *filter(None, [weights.pull(plan, settings)]),
        *adapters.pulls(workspace, plan.model, settings),
    ]
    own_variables, own_mounts, own_volumes = home(settings)
    container: Object = {
        "name": subject.name,
        "image": settings.image,
        "command": _command(plan),
        "ports": _ports(plan),
        "env": [*_environment(plan, subject), *own_variables],
        "resources": _resources(plan),
        **_probes(plan, subject),
        # What went wrong is read in the Pod's status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": contained(settings.engine_user),
        "volumeMounts": [*_mounts(plan), *own_mounts],
    }
    spec: Object = {
        "containers": [container],
        "volumes": [
            *_volumes(plan, settings),
            *own_volumes,
            *(volume for each in fetched for volume in each.volumes),
        ],
        # The engine asks the cluster for nothing, and a Service called `vllm` would set variables
        # that it takes for its own.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_context(settings),
        "affinity": _affinity(plan, subject, terms),
        "tolerations": tolerations(plan),
    }
    if fetched:
        spec["initContainers"] = [each.container for each in fetched]
    metadata: Object = {"labels": subject.identity}
    if plan.settings_hash:
        # The engine reads its settings once, when it starts.
        metadata["annotations"] = {SETTINGS_HASH: plan.settings_hash}
    return {"metadata": metadata, "spec": spec}


def _command(plan: Plan) -> list[str]:
    found = command(plan)
    return group.wrapped(found) if group.several(plan) else found


def _ports(plan: Plan) -> list[Object]:
    found: list[Object] = [{"name": "http", "containerPort": ENGINE_PORT, "protocol": "TCP"}]
    if group.several(plan):
        found.append({"name": "ray", "containerPort": group.RAY_PORT, "protocol": "TCP"})
    return found


def _resources(plan: Plan) -> Object:
    gpus = {labels.GPU_RESOURCE: str(plan.gpus.count if plan.gpus else 1)}
    return {"requests": gpus, "limits": gpus}


def _probes(plan: Plan, subject: Subject) -> Object:
    start = ceil(start_seconds(plan) / PROBE_PERIOD)
    if group.several(plan):
        return group.probes(subject, start)
    return {
        "startupProbe": _probe(failures=start),
        "livenessProbe": _probe(failures=3),
        "readinessProbe": _probe(failures=3),
    }


def _probe(*, failures: int) -> Object:
    return {
        "httpGet": {"path": "/health", "port": ENGINE_PORT},
        "periodSeconds": PROBE_PERIOD,
        "timeoutSeconds": PROBE_TIMEOUT,
        "failureThreshold": failures,
    }


def _mounts(plan: Plan) -> list[Object]:
    found: list[Object] = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - GPUs of a node share memory there
        weights.mount(plan),
        *adapters.mounts(plan.workspace),
    ]
    if _config(plan):
        found.append({"name": "config-volume", "mountPath": CONFIG, "readOnly": True})
    return found


def _volumes(plan: Plan, settings: Settings) -> list[Object]:
    shared: Object = {"medium": "Memory"}
    if plan.sku is not None:
        # Half of the node's memory, which is what Linux gives a file system in memory; without a
        # limit it could take all of it.
        shared["sizeLimit"] = weights.gib(plan.sku.ram_gib // 2)
    found: list[Object] = [
        {"name": "dshm", "emptyDir": shared},
        weights.volume(plan, settings),
        *adapters.volumes(plan.workspace),
    ]
    if config := _config(plan):
        found.append({"name": "config-volume", "configMap": {"name": config}})
    return found


def _config(plan: Plan) -> str:
    """The ConfigMap that the engine reads, "" for none: its format is vLLM's."""
    inference = plan.workspace.inference
    return inference.config if inference and runtime_of(plan.workspace) == "vllm" else ""


def _environment(plan: Plan, subject: Subject) -> list[Object]:
    model, workspace, runtime = plan.model, plan.workspace, runtime_of(plan.workspace)
    found: list[Object] = []
    if runtime == "vllm":
        deep = model is not None and model.architecture in DEEP_GEMM_ARCHITECTURES
        found += [
            # The image has no compiler for these kernels.
            {"name": "VLLM_USE_FLASHINFER_SAMPLER", "value": "0"},
            {"name": "VLLM_USE_DEEP_GEMM", "value": "1" if deep else "0"},
        ]
    if group.several(plan):
        found += group.variables(plan, subject)
    found += adapters.variables(workspace)
    options = (
        workspace.inference.preset.preset_options
        if workspace.inference and workspace.inference.preset
        else None
    )
    if options and options.model_access_secret:
        found.append(_secret("HF_TOKEN", options.model_access_secret, "HF_TOKEN"))
    if guard := workspace.metadata.annotations.get(labels.API_KEY_SECRET, ""):
        found.append(_secret(API_KEY_VARIABLES[runtime], guard, API_KEY))
    return found


def _secret(variable: str, name: str, key: str) -> Object:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def _affinity(plan: Plan, subject: Subject, terms: Sequence[Object]) -> Object:
    found: Object = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}
        }
    }
    if group.several(plan):
        found["podAntiAffinity"] = group.apart(subject)
    return found
