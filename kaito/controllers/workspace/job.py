"""The Job that tunes a model: data and training as init containers, the push of the result as the
only container, so that its exit code is the Job's. Pure.

Nothing is pushed unless all before it ended well. A Job's template cannot be changed: another run
is another Job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kaito.api import labels, tuning
from kaito.api.workspace import Tuning
from kaito.catalog.tuning import WRITTEN
from kaito.controllers.workspace import weights
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.defaults import default_parameters
from kaito.controllers.workspace.deployment import HASH, node_terms
from kaito.controllers.workspace.engine import tolerations
from kaito.controllers.workspace.mover import USER, literal, mover
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.parameters import TRAINING_KEY
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.pulling import credentials
from kaito.controllers.workspace.run import Run
from kaito.controllers.workspace.security import contained, home, pod_context
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import ANNOTATION, written
from kaito.controllers.workspace.volumes import volume_of
from kaito.runtime import Object

PLACE_HASH = "kaito.sh/place-hash"
"""An annotation of Jobs: tells the nodes that it may run on from others."""
ENTRY = ("python3", "/workspace/tfs/fine_tuning.py")
# Tries after the first, of what may go better another time; a Pod that is evicted counts as none.
RETRIES = 3
# For the step under way to end, and a checkpoint of it to be written.
GRACE_SECONDS = 120
CHECKPOINTS_GIB = 16  # two of some 3 times the largest adapter
RESULTS_GIB = 16  # of adapters, beside what the trainer writes of the data
GIB = 1024**3
DATA, RESULTS, OUTPUT, SETTINGS = "data-volume", "results-volume", "output-volume", "config-volume"
CHECKPOINTS, SCRATCH = "checkpoints-volume", "scratch-volume"
# Where inference finds the name of the model that an adapter belongs to, as upstream writes it.
MODEL_ANNOTATION = "sh.kaito.model.name"


def desired_job(plan: Plan, crew: Crew, subject: Subject, settings: Settings, run: Run) -> Object:
    """The Job of this run. The plan must know the GPUs."""
    settings = replace(settings, engine_user=settings.engine_user or USER)
    terms = node_terms(plan, crew, subject)
    note = {ANNOTATION: written(plan.model)} if plan.model and plan.stranger else {}
    place = hashlib.sha256(json.dumps(terms, sort_keys=True).encode()).hexdigest()[:16]
    child = subject.child()
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**child, "annotations": {HASH: str(run), PLACE_HASH: place, **note}},
        "spec": {
            "backoffLimit": RETRIES,
            "podFailurePolicy": {"rules": _rules()},
            "template": {
                "metadata": {"labels": subject.identity},
                "spec": _pod(plan, subject, settings, terms),
            },
        },
    }


def desired_claim(plan: Plan, subject: Subject, settings: Settings) -> Object | None:
    """The claim of the disk for checkpoints; None where they lie elsewhere."""
    if not _has_disk(plan, settings):
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": subject.child(subject.checkpoints.name),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": settings.checkpoint_class,
            "resources": {"requests": {"storage": weights.gib(CHECKPOINTS_GIB)}},
        },
    }


def _rules() -> list[Object]:
    """The first that matches decides; what matches none counts as a try."""
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    codes = {"operator": "In", "values": list(tuning.FINAL_CODES)}
    return [
        # Evicted, preempted, its node gone: whatever its containers said of it.
        {"action": "Ignore", "onPodConditions": [disrupted]},
        {"action": "FailJob", "onExitCodes": codes},
    ]


@dataclass(frozen=True, slots=True)
class _Step:
    """A container, and the volumes that it alone needs."""

    container: Object
    volumes: tuple[Object, ...] = ()


def _pod(plan: Plan, subject: Subject, settings: Settings, terms: list[Object]) -> Object:
    asked = _asked(plan)
    pulled = weights.pull(plan, settings)
    steps = [
        *([_Step(pulled.container, pulled.volumes)] if pulled else ()),
        *_loading(asked, settings),
        _training(plan, asked, subject, settings),
    ]
    last = _pushing(plan, asked, subject, settings)
    _, _, own_volumes = home(settings)
    return {
        "restartPolicy": "Never",
        "initContainers": [each.container for each in steps],
        "containers": [last.container],
        "volumes": [
            *_volumes(plan, asked, subject, settings),
            *own_volumes,
            *(volume for each in (*steps, last) for volume in each.volumes),
            {"name": SCRATCH, "emptyDir": {}},
        ],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_context(settings),
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
            }
        },
        "tolerations": tolerations(plan),
    }


def _loading(asked: Tuning, settings: Settings) -> Iterator[_Step]:
    """What brings the data; nothing for a volume."""
    target: Object = {"name": DATA, "mountPath": tuning.DATA}
    if asked.input.urls:
        allowed = [word for each in settings.data_networks for word in ("--allow", each)]
        arguments = ["fetch", "--to", tuning.DATA, "--limit", str(settings.data_limit), *allowed]
        arguments += asked.input.urls
        yield _Step(mover(tuning.DOWNLOADER, arguments, [target], settings))
    elif asked.input.image:
        secrets = credentials(f"{tuning.PULLER}-auth", asked.input.image_pull_secrets)
        limit = ["--limit", str(settings.data_limit)]
        arguments = ["pull", "--to", tuning.DATA, *limit, *secrets.arguments, asked.input.image]
        mounts = [target, *secrets.mounts]
        yield _Step(mover(tuning.PULLER, arguments, mounts, settings), secrets.volumes)


def _training(plan: Plan, asked: Tuning, subject: Subject, settings: Settings) -> _Step:
    own_variables, own_mounts, _ = home(settings)
    gpus = {labels.GPU_RESOURCE: str(plan.gpus.count if plan.gpus else 1)}
    mounts: list[Object] = [
        {"name": "dshm", "mountPath": "/dev/shm"},  # noqa: S108 - GPUs of a node share memory there
        weights.mount(plan),
        {"name": DATA, "mountPath": tuning.DATA, "readOnly": True},
        {"name": RESULTS, "mountPath": plan.results},
        *_checkpoint_mounts(plan, asked, settings),
        *own_mounts,
        {"name": SCRATCH, "mountPath": "/tmp"},  # noqa: S108 - a volume of its own
    ]
    if asked.config:
        mounts.append({"name": SETTINGS, "mountPath": tuning.CONFIG, "readOnly": True})
    container: Object = {
        "name": tuning.TRAINER,
        "image": settings.image,
        "command": _command(plan, asked, subject, settings),
        "ports": [{"name": "http", "containerPort": tuning.METRICS_PORT, "protocol": "TCP"}],
        "env": [*_environment(plan, asked), *own_variables],
        "resources": {"requests": gpus, "limits": gpus},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": contained(settings.engine_user),
        "volumeMounts": mounts,
    }
    return _Step(container)


def _command(plan: Plan, asked: Tuning, subject: Subject, settings: Settings) -> list[str]:
    model, source = plan.model, weights.weights(plan)
    assert model is not None
    told = [("pretrained_model_name_or_path", source.model)]
    if plan.stranger and model.revision and source.origin == "hub":
        # The files that the plan was made from, and no later ones.
        told.append(("revision", model.revision))
    told += [("method", asked.method.lower()), ("data", tuning.DATA)]
    if asked.config:
        told.append(("config", f"{tuning.CONFIG}/{TRAINING_KEY}"))
    told += [
        ("output", plan.results),
        ("checkpoints", _checkpoints(plan, asked, subject, settings)),
        ("num_processes", str(plan.gpus.count if plan.gpus else 1)),
        ("limit", str(settings.data_limit)),
        ("name", asked.preset.name),
    ]
    flags = [literal(f"--{name}={value}") for name, value in told]
    return [*ENTRY, *flags, *(["--trust_remote_code"] if model.remote_code else ())]


def _environment(plan: Plan, asked: Tuning) -> list[Object]:
    # What it downloads lies with the weights; where there are no others, nothing needs a place.
    downloads = weights.weights(plan).origin != "host"
    found: list[Object] = [
        {"name": "HF_HOME", "value": weights.DIRECTORY if downloads else "/tmp"},  # noqa: S108
        # Batches differ in length; without it the memory goes to pieces.
        {"name": "PYTORCH_CUDA_ALLOC_CONF", "value": "expandable_segments:True"},
    ]
    if not asked.config:
        settings = default_parameters(asked.method)
        found.append({"name": tuning.CONFIG_VARIABLE, "value": settings})
    options = asked.preset.preset_options
    if options and options.model_access_secret:
        key: Object = {"name": options.model_access_secret, "key": "HF_TOKEN"}
        found.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": key}})
    return found


def _pushing(plan: Plan, asked: Tuning, subject: Subject, settings: Settings) -> _Step:
    source: Object = {"name": RESULTS, "mountPath": plan.results}
    kept = ["--checkpoints", _checkpoints(plan, asked, subject, settings)]
    mounts = [source, *_checkpoint_mounts(plan, asked, settings)]
    if asked.output.volume_source is not None:
        arguments = ["store", "--from", plan.results, "--to", tuning.OUTPUT, *kept]
        return _Step(mover(tuning.PUSHER, arguments, mounts, settings))
    secret = asked.output.image_push_secret
    secrets = credentials(f"{tuning.PUSHER}-auth", [secret] if secret else [])
    noted = ["--annotation", f"{MODEL_ANNOTATION}={asked.preset.name}"]
    arguments = ["push", "--from", plan.results, *secrets.arguments, *noted, *kept]
    container = mover(
        tuning.PUSHER, [*arguments, asked.output.image], [*mounts, *secrets.mounts], settings
    )
    return _Step(container, secrets.volumes)


def _checkpoints(plan: Plan, asked: Tuning, subject: Subject, settings: Settings) -> str:
    """The directory of the checkpoints. Another Workspace may write to the same volume."""
    if asked.output.volume_source is not None:
        return f"{tuning.OUTPUT}/.kaito/{subject.uid}"
    if _has_disk(plan, settings):
        return f"{tuning.CHECKPOINTS}/{subject.uid}"
    return f"{plan.results}/.checkpoints"


def _checkpoint_mounts(plan: Plan, asked: Tuning, settings: Settings) -> list[Object]:
    if asked.output.volume_source is not None:
        return [{"name": OUTPUT, "mountPath": tuning.OUTPUT}]
    if _has_disk(plan, settings):
        return [{"name": CHECKPOINTS, "mountPath": tuning.CHECKPOINTS}]
    return []


def _volumes(plan: Plan, asked: Tuning, subject: Subject, settings: Settings) -> list[Object]:
    shared: Object = {"medium": "Memory"}
    if plan.sku is not None:
        shared["sizeLimit"] = weights.gib(plan.sku.ram_gib // 2)
    limit = -(-settings.data_limit // GIB)
    given = asked.input.volume_source
    found: list[Object] = [
        {"name": "dshm", "emptyDir": shared},
        weights.volume(plan, settings),
        # A Pod that takes more is evicted, which counts as a try: a disk that is full would evict
        # it without end.
        {"name": DATA, "emptyDir": {"sizeLimit": weights.gib(limit + 1)}}
        if given is None
        else volume_of(DATA, given),
        {
            "name": RESULTS,
            "emptyDir": {"sizeLimit": weights.gib(WRITTEN * limit + RESULTS_GIB)},
        },
    ]
    if asked.output.volume_source is not None:
        found.append(volume_of(OUTPUT, asked.output.volume_source))
    elif _has_disk(plan, settings):
        claim = {"claimName": subject.checkpoints.name}
        found.append({"name": CHECKPOINTS, "persistentVolumeClaim": claim})
    if asked.config:
        found.append({"name": SETTINGS, "configMap": {"name": asked.config}})
    return found


def _has_disk(plan: Plan, settings: Settings) -> bool:
    """Whether checkpoints lie on a disk of their own."""
    return bool(settings.checkpoint_class) and _asked(plan).output.volume_source is None


def _asked(plan: Plan) -> Tuning:
    assert plan.workspace.tuning is not None
    return plan.workspace.tuning
