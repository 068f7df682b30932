"""Keys that KAITO writes on objects or reads from them, each spelled once.

What is in a value is decided elsewhere; here are the names and the limits that Kubernetes sets.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kaito.api.patterns import LABEL_KEY, matches

# Identity. On Machines, Nodes, Deployments, Pods and Services that belong to a Workspace.
WORKSPACE = "kaito.sh/workspace"
WORKSPACE_NAMESPACE = "kaito.sh/workspacenamespace"
RAGENGINE = "kaito.sh/ragengine"
RAGENGINE_NAMESPACE = "kaito.sh/ragenginenamespace"

FINALIZER = "workspace.finalizer.kaito.sh"

# Annotations that users set on a Workspace.
ENABLE_LOAD_BALANCER = "kaito.sh/enablelb"
RUNTIME = "kaito.sh/runtime"
BYPASS_RESOURCE_CHECKS = "kaito.sh/bypass-resource-checks"
NODE_IMAGE_FAMILY = "kaito.sh/node-image-family"
SPOT_MAX_PRICE = "kaito.sh/spot-max-price"
GPU_DRIVER = "kaito.sh/gpu-driver"
OS_DISK_TYPE = "kaito.sh/os-disk-type"
PERFORMANCE_MODE = "kaito.sh/performance-mode"
USE_LOCAL_WEIGHTS = "kaito.sh/use-local-weights"
NODE_CLASS_NAME = "kaito.sh/node-class-name"
INSTANCE_TYPES = "kaito.sh/instance-types"
DISABLE_BENCHMARK = "kaito.sh/disable-benchmark"
MODEL_STREAMING = "kaito.sh/model-streaming"
MODEL_MIRROR_STORAGE_CLASS = "kaito.sh/model-mirror-storage-class"
STREAMING_SERVICE_ACCOUNT = "kaito.sh/streaming-service-account"
API_KEY_SECRET = "kaito.sh/api-key-secret"  # noqa: S105 - a key, no secret
NETWORK_POLICY = "kaito.sh/network-policy"
PROGRESS_DEADLINE = "kaito.sh/progress-deadline-seconds"
KEEP_NODES = "kaito.sh/keep-nodes"

# An annotation that upstream's manager writes while it upgrades a Workspace.
UPGRADE_START_TIME = "kaito.sh/upgrade-start-time"

# On what asks for nodes: the Workspace that it was made for, so that it can go when that went
# unseen; which attempt to get nodes it is part of, from 0, and what was tried before it; whether
# all nodes of its attempt have been there together; when and why a pool was given up.
WORKSPACE_UID = "kaito.sh/workspace-uid"
ATTEMPT = "kaito.sh/attempt"
FAILED_SIZES = "kaito.sh/failed-instance-types"
SIZE_SETTLED = "kaito.sh/instance-type-settled"
GIVEN_UP = "kaito.sh/given-up"

# Machines and nodes.
MACHINE_TYPE = "kaito.sh/machine-type"
PROVISIONER_NAME = "karpenter.sh/provisioner-name"
DEFAULT_PROVISIONER = "default"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
ARCH = "kubernetes.io/arch"
OS = "kubernetes.io/os"
ZONE = "topology.kubernetes.io/zone"
CAPACITY_TYPE = "karpenter.sh/capacity-type"

# What NVIDIA's feature discovery writes on nodes that users bring themselves.
GPU_PRODUCT = "nvidia.com/gpu.product"
GPU_COUNT = "nvidia.com/gpu.count"
GPU_MEMORY = "nvidia.com/gpu.memory"
GPU_RESOURCE = "nvidia.com/gpu"

# A user's labelSelector cannot claim these: they say whose a node is.
RESERVED = frozenset(
    [
        WORKSPACE,
        WORKSPACE_NAMESPACE,
        RAGENGINE,
        RAGENGINE_NAMESPACE,
        "karpenter.kaito.sh/managed-by",
        "karpenter.kaito.sh/workspace-name",
        "karpenter.kaito.sh/workspace-namespace",
        "karpenter.kaito.sh/default",
    ]
)

VALUE_LENGTH = 63  # of a label value and of a Service name
PREFIX_LENGTH = 253  # of the DNS subdomain before the slash of a key
KEY_LENGTH = PREFIX_LENGTH + 1 + 63

LabelValue = Annotated[str, Field(max_length=VALUE_LENGTH)]
"""As long as a label value may be; what it may hold is a rule, which says so in words."""


def is_key(key: str) -> bool:
    """Whether Kubernetes accepts this string as a label key."""
    return len(key) <= KEY_LENGTH and key.find("/") <= PREFIX_LENGTH and matches(LABEL_KEY, key)
