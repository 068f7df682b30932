"""The Deployment that serves a Workspace: the engine with a preset, or the user's own template.

Equal plans give equal Deployments, so that a restart of this daemon restarts no model. The hash
of what is wanted is an annotation: it tells whether the Deployment seen is the one wanted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from math import ceil

from kaito.api import labels
from kaito.controllers.workspace import command
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.service import ENGINE_PORT
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import ANNOTATION, written
from kaito.controllers.workspace.template import placed
from kaito.runtime import Object

HASH = "kaito.sh/spec-hash"
HOSTNAME = "kubernetes.io/hostname"

PROBE_PERIOD = 10
PROBE_TIMEOUT = 5  # a busy engine answers late, and late is not dead
# How long the engine may take to start, seconds: 15 min and 18 s for each GiB of weights, but no
# less than 30 min and no more than 180 min (kaito.md 3.6).
START_BASE, START_PER_GIB, START_LEAST, START_MOST = 900, 18, 1800, 10800
# On top of that, for the image, before the Deployment is said to be stuck.
IMAGE_SECONDS = 1800

TOLERATIONS: tuple[Object, ...] = (
    {"key": labels.GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"},
    {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"},
)
# Models whose kernels are compiled at run time.
DEEP_GEMM_ARCHITECTURES = frozenset(["DeepseekV4ForCausalLM"])


def desired_deployment(plan: Plan, crew: Crew, subject: Subject, settings: Settings) -> Object:
    """The Deployment. The plan must know the GPUs unless it has a template."""
    terms = node_terms(plan, crew, subject)
    inference = plan.workspace.inference
    if inference is not None and inference.template is not None:
        pod = placed(
            inference.template,
            labels=subject.identity,
            terms=terms,
            tolerations=TOLERATIONS,
        )
    else:
        pod = _engine(plan, subject, settings, terms)
    spec = {
        "replicas": plan.nodes,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": start_seconds(plan) + IMAGE_SECONDS,
        "selector": {"matchLabels": {labels.WORKSPACE: subject.name}},
        # A Pod takes a whole node, so the new one fits only where the old one has gone.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
        },
        "template": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": subject.name,
            "namespace": subject.namespace,
            "labels": subject.identity,
            "annotations": {HASH: _hash(spec), **_note(plan)},
            "ownerReferences": [subject.owner],
        },
        "spec": spec,
    }


def _note(plan: Plan) -> Object:
    """What was read of a model that no catalogue knows, so that it need not be read again."""
    return {ANNOTATION: written(plan.model)} if plan.model and plan.stranger else {}


def node_terms(plan: Plan, crew: Crew, subject: Subject) -> list[Object]:
    """Where its Pods may run, as alternatives: on nodes made for it, on nodes counted for it."""
    wanted = [_in(key, [value]) for key, value in plan.selector.items()]
    terms: list[Object] = []
    if crew.brought:
        names = [node.labels.get(HOSTNAME, node.name) for node in crew.brought]
        terms.append({"matchExpressions": [*wanted, _in(HOSTNAME, names)]})
    if len(crew.brought) < plan.nodes:
        own = [_in(key, [value]) for key, value in subject.identity.items()]
        terms.append({"matchExpressions": [*wanted, *own]})
    return terms


def start_seconds(plan: Plan) -> int:
    """How long the engine may take from its start to its first answer."""
    size = (plan.model.weights_gib or 0) if plan.model else 0
    return ceil(min(max(START_BASE + START_PER_GIB * size, START_LEAST), START_MOST))


def _engine(plan: Plan, subject: Subject, settings: Settings, terms: Sequence[Object]) -> Object:
    mounts, volumes = _volumes(plan)
    gpus = {labels.GPU_RESOURCE: str(plan.gpus.count if plan.gpus else 1)}
    container: Object = {
        "name": subject.name,
        "image": settings.image,
        "command": command.command(plan),
        "ports": [{"name": "http", "containerPort": ENGINE_PORT, "protocol": "TCP"}],
        "env": _environment(plan),
        "resources": {"requests": gpus, "limits": gpus},
        "startupProbe": _probe(failures=ceil(start_seconds(plan) / PROBE_PERIOD)),
        "livenessProbe": _probe(failures=3),
        "readinessProbe": _probe(failures=3),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            # The image runs as root over files of other owners; of what root may, forging
            # packets is what serving a model never needs.
            "capabilities": {"drop": ["NET_RAW"]},
        },
        "volumeMounts": mounts,
    }
    return {
        "metadata": {"labels": subject.identity},
        "spec": {
            "containers": [container],
            "volumes": volumes,
            # The engine asks the cluster for nothing, and a Service called `vllm` would set
            # variables that it takes for its own.
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": list(terms)
                    }
                }
            },
            "tolerations": list(TOLERATIONS),
        },
    }


def _volumes(plan: Plan) -> tuple[list[Object], list[Object]]:
    mounts: list[Object] = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - GPUs of a node share memory there
        {"name": "model-weights-volume", "mountPath": command.WEIGHTS},
    ]
    volumes: list[Object] = [
        {"name": "dshm", "emptyDir": {"medium": "Memory"}},
        {"name": "model-weights-volume", "emptyDir": {}},
    ]
    config = plan.workspace.inference.config if plan.workspace.inference else ""
    if config:
        mounts.append({"name": "config-volume", "mountPath": command.CONFIG, "readOnly": True})
        volumes.append({"name": "config-volume", "configMap": {"name": config}})
    return mounts, volumes


def _environment(plan: Plan) -> list[Object]:
    model, inference = plan.model, plan.workspace.inference
    deep = model is not None and model.architecture in DEEP_GEMM_ARCHITECTURES
    found: list[Object] = [
        # The image has no compiler for these kernels.
        {"name": "VLLM_USE_FLASHINFER_SAMPLER", "value": "0"},
        {"name": "VLLM_USE_DEEP_GEMM", "value": "1" if deep else "0"},
    ]
    options = inference.preset.preset_options if inference and inference.preset else None
    if options and options.model_access_secret:
        secret = {"name": options.model_access_secret, "key": "HF_TOKEN"}
        found.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": secret}})
    return found


def _probe(*, failures: int) -> Object:
    return {
        "httpGet": {"path": "/health", "port": ENGINE_PORT},
        "periodSeconds": PROBE_PERIOD,
        "timeoutSeconds": PROBE_TIMEOUT,
        "failureThreshold": failures,
    }


def _in(key: str, values: list[str]) -> Object:
    return {"key": key, "operator": "In", "values": values}


def _hash(spec: Object) -> str:
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
