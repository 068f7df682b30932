"""Condition types, reasons and states of a Workspace: what users and their tools wait for.

ResourceReady, InferenceReady and WorkspaceReady are the contract. The others keep tools working
that were written for upstream KAITO. Reasons are upstream's wherever it has one.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

# Types.
RESOURCE_READY = "ResourceReady"
INFERENCE_READY = "InferenceReady"
WORKSPACE_READY = "WorkspaceReady"
WORKSPACE_SUCCEEDED = "WorkspaceSucceeded"
JOB_STARTED = "JobStarted"
MACHINE_READY = "MachineReady"
NODE_CLAIM_READY = "NodeClaimReady"
NODES_READY = "NodesReady"
WORKSPACE_DELETING = "WorkspaceDeleting"

# Reasons of ResourceReady.
RESOURCE_SUCCESS = "workspaceResourceStatusSuccess"
RESOURCE_NOT_READY = "workspaceResourceStatusNotReady"

# Reasons of MachineReady.
MACHINES_READY = "installNodePluginsSuccess"
MACHINE_PENDING = "CreateMachinePending"
MACHINE_FAILED = "machineFailedCreation"

# Reasons of NodeClaimReady.
NODE_CLAIMS_READY = "NodeClaimsReady"
NODE_CLAIM_NOT_READY = "NodeClaimNotReady"
NODE_CLAIM_FAILED = "LaunchFailed"

# Reasons of NodesReady.
NODES_ARE_READY = "NodesReady"
NODE_NOT_READY = "NodeNotReady"
NODE_PLUGINS_NOT_READY = "NodePluginsNotReady"

# Reasons of InferenceReady; the later ones name what a Pod says of itself.
INFERENCE_SUCCESS = "WorkspaceInferenceStatusSuccess"
INFERENCE_PENDING = "WorkspaceInferenceStatusPending"
CONTAINER_OOM_KILLED = "ContainerOOMKilled"
IMAGE_PULL_ERROR = "ImagePullError"
CONTAINER_START_ERROR = "ContainerStartError"
PODS_REFUSED = "PodsRefused"
CRASH_LOOP = "ContainerCrashLoopBackOff"
POD_EVICTED = "PodEvicted"
EVICTED_TOO_OFTEN = "EvictedTooOften"
VOLUMES_NOT_MOUNTED = "VolumesNotMounted"
UNSCHEDULABLE = "Unschedulable"
REVISION_UNDONE = "RevisionUndone"

# Reasons of JobStarted.
JOB_HAS_STARTED = "WorkspaceTuningJobStatusStarted"
JOB_PENDING = "WorkspaceTuningJobStatusPending"
JOB_FAILED = "WorkspaceTuningJobStatusFailed"

# Reasons of WorkspaceSucceeded for a training that ended badly; see tuning.ENDINGS.
DATASET_INVALID = "DatasetInvalid"
DATASET_TOO_LARGE = "DatasetTooLarge"
DATA_UNAVAILABLE = "DataUnavailable"
ADDRESS_FORBIDDEN = "AddressForbidden"
DISK_FULL = "DiskFull"
OUT_OF_MEMORY = "OutOfMemory"
MODEL_UNUSABLE = "ModelUnusable"
PUSH_REFUSED = "PushRefused"
REGISTRY_UNAVAILABLE = "RegistryUnavailable"
CONFIG_INVALID = "ConfigInvalid"
ARTIFACT_INVALID = "ArtifactInvalid"
SOURCE_UNAVAILABLE = "SourceUnavailable"
NOT_ENOUGH_RESULT = "NotEnoughResult"

# Reason of ResourceReady once a training has ended.
NODES_RELEASED = "NodesReleased"

# Reasons of WorkspaceReady and WorkspaceSucceeded.
READY = "workspaceReady"
SUCCEEDED = "workspaceSucceeded"
PENDING = "workspacePending"
FAILED = "workspaceFailed"

DELETED = "workspaceDeleted"
READING_MODEL = "ReadingModel"

# Reasons that end a Workspace until its author changes something.
INVALID_SPEC = "InvalidSpec"
UNKNOWN_PRESET = "UnknownPreset"
UNKNOWN_INSTANCE_TYPE = "UnknownInstanceType"
MODEL_DOES_NOT_FIT = "ModelDoesNotFit"
CONFIG_NOT_FOUND = "ConfigMapNotFound"
INVALID_CONFIG = "InvalidConfigMap"
NOT_SUPPORTED = "NotSupported"
NAME_TAKEN = "NameTaken"
REFUSED = "RefusedByApiServer"
CONTESTED = "ChangedBackByOthers"
KIND_NOT_SERVED = "KindNotServed"
# Of these: what keeps an object of ours from being written.
OBSTACLES = (NAME_TAKEN, REFUSED, CONTESTED, KIND_NOT_SERVED)

# Reason of the Event that tells of nodes of another size.
INSTANCE_TYPE_CHANGED = "InstanceTypeChanged"

# Reasons of warnings, which end nothing.
ADAPTERS_WITHOUT_EFFECT = "AdaptersWithoutEffect"
ANNOTATION_NOT_UNDERSTOOD = "AnnotationNotUnderstood"
ANNOTATION_WITHOUT_EFFECT = "AnnotationWithoutEffect"
INSTANCE_TYPE_RETIRED = "InstanceTypeRetired"
INSTANCE_TYPE_UNLISTED = "InstanceTypeUnlisted"
INSTANCE_TYPE_UNSUITED = "InstanceTypeUnsuited"
CONFIG_WITHOUT_EFFECT = "ConfigMapWithoutEffect"
COUNT_IGNORED = "CountIgnored"
FLAG_UNKNOWN = "FlagUnknown"
LABELS_RESERVED = "LabelsReserved"
NODES_REPLACED = "NodesReplaced"
PRESET_HISTORICAL = "PresetHistorical"
SECRET_NOT_NEEDED = "SecretNotNeeded"  # noqa: S105 - a reason, no secret
WEIGHTS_CONVERTED = "WeightsConverted"

State: TypeAlias = Literal["Pending", "Ready", "NotReady", "Running", "Succeeded", "Failed"]
