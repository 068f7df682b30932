"""Workspace, kaito.sh: one model served or tuned on GPU nodes that come with it.

v1alpha1 and v1beta1 share the models below, the superset of both. There is no `spec`: resource,
inference, tuning and status are at the top, as users of upstream KAITO write them. Strings, lists
and maps are bounded, because an API server refuses expressions whose cost it cannot bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue

from kaito.api import conditions as words
from kaito.api.conditions import State
from kaito.api.crd import AGE, Column, Definition, Names, Version, condition_column
from kaito.api.labels import KEY_LENGTH, LabelValue
from kaito.api.meta import Condition, Int32, ObjectMeta, Wire
from kaito.api.workspace_rules import RULES, UPDATE_RULES

GROUP = "kaito.sh"
VERSION = "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Workspace"
PLURAL = "workspaces"

# The default of v1alpha1 only, as upstream has it since v0.3.1.
V1ALPHA1_INSTANCE_TYPE = "Standard_NC24ads_A100_v4"

FreeForm = Annotated[
    Mapping[str, JsonValue],
    Field(json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
]
"""An object that the schema does not look into."""

ObjectName = Annotated[str, Field(max_length=253)]
ImageName = Annotated[str, Field(max_length=512)]
SecretNames = Annotated[tuple[ObjectName, ...], Field(max_length=64)]


class LabelSelectorRequirement(Wire):
    """A requirement on one label."""

    key: Annotated[str, Field(max_length=KEY_LENGTH)]
    """The label that the requirement is about."""
    operator: Annotated[str, Field(max_length=16)]
    """Only In with exactly one value is accepted, because nodes are created with these labels."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=16)] = ()
    """The value that the label must have."""


class LabelSelector(Wire):
    """Labels that the nodes of a Workspace carry."""

    match_labels: Annotated[Mapping[str, LabelValue], Field(max_length=32)] = {}
    """Labels and the values that they must have."""
    match_expressions: Annotated[tuple[LabelSelectorRequirement, ...], Field(max_length=16)] = ()
    """The same in another notation; each must say that one label equals one value."""


class Partition(Wire):
    """Which part of a node's GPUs the workload takes."""

    mode: Literal["mig", "accelerator"]
    """mig takes one slice of a GPU; accelerator takes a number of whole GPUs."""
    profile: Annotated[str, Field(max_length=32)] = ""
    """The MIG profile, such as 3g.40gb; for mode mig."""
    count: Annotated[int | None, Field(ge=1)] = None
    """How many whole GPUs; for mode accelerator."""


class Resource(Wire):
    """The nodes that the workload runs on. It cannot be changed later."""

    count: Annotated[int, Field(ge=1, le=256)] = 1
    """How many nodes a workload with its own Pod template takes. For a preset the number of nodes
    follows from the size of the model, and this field is ignored."""
    instance_type: LabelValue = ""
    """The size of the nodes to bring up, in the cloud's words, such as Standard_NC24ads_A100_v4.
    Empty: nodes that are in the cluster already are used, and none are brought up."""
    label_selector: Annotated[
        LabelSelector, Field(json_schema_extra={"x-kubernetes-map-type": "atomic"})
    ]
    """Labels of the nodes. New nodes are created with them; nodes of the cluster that carry them
    and have the right size are used first."""
    preferred_nodes: Annotated[tuple[ObjectName, ...], Field(max_length=256)] = ()
    """Deprecated: names of nodes to take first where there is a choice."""
    partition: Partition | None = None
    """Which part of a node's GPUs the workload takes; all of them when absent."""


class PresetOptions(Wire):
    """Details of a preset."""

    image: ImageName = ""
    """Deprecated: the image of a private model."""
    image_pull_secrets: SecretNames = ()
    """Deprecated: Secrets with registry credentials for the image."""
    model_access_secret: ObjectName = ""
    """Secret in the Workspace's namespace whose key HF_TOKEN opens a gated model."""


class Preset(Wire):
    """A model that KAITO knows how to run."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """The model: a name such as phi-3-mini-4k-instruct, or its Hugging Face name org/model."""
    access_mode: Literal["public", "private"] = "public"
    """Deprecated: whether the model's image is public."""
    preset_options: PresetOptions | None = None
    """Details of the preset."""


class DataSource(Wire):
    """Where data comes from: exactly one of urls, image and volumeSource."""

    name: ObjectName = ""
    """A name for the data."""
    urls: Annotated[tuple[Annotated[str, Field(max_length=2048)], ...], Field(max_length=256)] = ()
    """Public http or https links to files."""
    volume_source: FreeForm | None = None
    """A volume that holds the data, as in a Pod's volumes."""
    image: ImageName = ""
    """An image that holds the data."""
    image_pull_secrets: SecretNames = ()
    """Secrets with registry credentials for the image."""


class DataDestination(Wire):
    """Where results go: exactly one of image and volumeSource."""

    volume_source: FreeForm | None = None
    """A volume that takes the results, as in a Pod's volumes."""
    image: ImageName = ""
    """An image that the results are pushed to."""
    image_push_secret: ObjectName = ""
    """Secret with registry credentials for the push."""


class Adapter(Wire):
    """A fine-tuned adapter that is served on top of the model."""

    source: DataSource | None = None
    """Where the adapter comes from."""
    strength: Annotated[str, Field(max_length=32)] = ""
    """How strongly the adapter applies, a number from 0 to 1 in a string."""


class Inference(Wire):
    """Serving: exactly one of preset and template."""

    preset: Preset | None = None
    """A model that KAITO knows how to run."""
    template: FreeForm | None = None
    """A Pod template of your own, for models that KAITO does not know."""
    config: ObjectName = ""
    """ConfigMap in the Workspace's namespace with settings of the model server, in its key
    inference_config.yaml."""
    adapters: Annotated[tuple[Adapter, ...], Field(max_length=10)] = ()
    """Fine-tuned adapters that are served on top of the model."""


class Tuning(Wire):
    """Fine-tuning: a model is trained on data, and the result is stored."""

    preset: Preset
    """The model to train."""
    method: Annotated[str, Field(max_length=16)] = ""
    """lora or qlora."""
    config: ObjectName = ""
    """ConfigMap in the Workspace's namespace with training settings, in its key
    training_config.yaml."""
    input: DataSource
    """The data to train on."""
    output: DataDestination
    """Where the result goes."""


class Phase(Wire):
    """A step of the start that has been taken."""

    name: Annotated[str, Field(max_length=64)]
    """Requested, Launched, Joined, GPUsVisible, ImagePulled; then WeightsLoaded and Ready where a
    model is served, DataLoaded, Trained and Stored where one is tuned."""
    reached_at: Annotated[str, Field(max_length=64)] = ""
    """When it was taken, by all nodes or Pods."""
    seconds: Int32 = 0
    """How long it took, counted from the step before it."""


class Training(Wire):
    """How far a training is, and what came of it."""

    pod: ObjectName = ""
    """The Pod of the present attempt, or of the last one."""
    attempts: Int32 = 0
    """How many Pods there were: what an evicted one had reached goes on in the next."""
    step: Int32 = 0
    """The steps that are done."""
    steps: Int32 = 0
    """The steps that there are in all."""
    epoch: Annotated[str, Field(max_length=32)] = ""
    """How often the data has been gone through, a number in a string."""
    loss: Annotated[str, Field(max_length=32)] = ""
    """The loss of the last step that was told, a number in a string."""
    seconds_left: Int32 | None = None
    """How long the training will go on, as far as its trainer can tell."""
    started_at: Annotated[str, Field(max_length=64)] = ""
    """When its Job started."""
    finished_at: Annotated[str, Field(max_length=64)] = ""
    """When its Job ended, well or badly."""
    result: Annotated[str, Field(max_length=2048)] = ""
    """Where the result is: an image with its digest, or a directory of the volume."""


class Status(Wire):
    """What was observed, and what it means."""

    worker_nodes: Annotated[tuple[ObjectName, ...], Field(max_length=1024)] = ()
    """Names of the ready nodes that serve the Workspace."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=64,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = ()
    """ResourceReady, InferenceReady or JobStarted, WorkspaceReady, and what they follow from."""
    state: State | None = None
    """The whole in one word."""
    target_node_count: Int32 | None = None
    """How many nodes the workload needs."""
    max_model_len: Int32 | None = None
    """The longest context, in tokens, that the running model server accepts."""
    endpoint: Annotated[str, Field(max_length=512)] = ""
    """Where the model answers inside the cluster, once it has been deployed."""
    price_per_hour: Annotated[str, Field(max_length=64)] = ""
    """What the nodes that were brought up cost by list price, in US dollars."""
    phases: Annotated[tuple[Phase, ...], Field(max_length=16)] = ()
    """How the last start went, step by step."""
    tuning: Training | None = None
    """How far the training is, and what came of it."""
    performance: FreeForm | None = None
    """Figures measured on the running model."""


class Workspace(Wire):
    """Workspace turns a model's name into a running endpoint, or into a fine-tuning job, on GPU
    nodes that are brought up for it and go away with it."""

    api_version: str = API_VERSION
    kind: str = KIND
    metadata: ObjectMeta = ObjectMeta()
    resource: Resource
    """The nodes that the workload runs on. It cannot be changed later."""
    inference: Inference | None = None
    """Serving a model; exactly one of inference and tuning is set."""
    tuning: Tuning | None = None
    """Fine-tuning a model; exactly one of inference and tuning is set."""
    status: Status = Status()
    """What was observed, and what it means."""

    @classmethod
    def as_written(cls, workspace: Mapping[str, Any]) -> Self:
        """What its users wrote, without its status: that may be another manager's, in words that
        are not ours. ValidationError where it does not fit."""
        return cls.model_validate({k: v for k, v in workspace.items() if k != "status"})


DEFINITION = Definition(
    group=GROUP,
    names=Names(kind=KIND, plural=PLURAL, short_names=("wk", "wks"), categories=("workspace",)),
    namespaced=True,
    versions=(
        Version(name=VERSION, stored=True),
        Version(name="v1alpha1", defaults={"resource.instanceType": V1ALPHA1_INSTANCE_TYPE}),
    ),
    model=Workspace,
    columns=(
        Column(name="Instance", json_path=".resource.instanceType"),
        condition_column(words.RESOURCE_READY),
        condition_column(words.INFERENCE_READY),
        condition_column(words.WORKSPACE_READY),
        AGE,
        condition_column(words.JOB_STARTED, priority=1),
        condition_column(words.WORKSPACE_SUCCEEDED, priority=1),
        Column(
            name="TargetNodeCount",
            json_path=".status.targetNodeCount",
            type="integer",
            priority=1,
        ),
        Column(name="State", json_path=".status.state", priority=1),
    ),
    rules=(*RULES, *UPDATE_RULES),
)


def as_stored(workspace: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of either version as the API server stores it: defaults filled in, in v1beta1.

    Only defaults that differ between versions; the others are the models' own. Parts that do not
    have the shape that they must have stay as they are.
    """
    stored = {**workspace, "apiVersion": API_VERSION}
    written = str(workspace.get("apiVersion", "")).rpartition("/")[2]
    for version in DEFINITION.versions:
        for path, value in version.defaults.items() if version.name == written else ():
            part, _, name = path.partition(".")
            found = stored.get(part)
            if isinstance(found, Mapping):
                stored[part] = {name: value, **found}
    return stored
