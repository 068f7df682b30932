"""Failures that are injected into a running system, and what `kaito why` has to say of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaito.runtime import Object
from kaito.why import Verdict

PRESET = "phi-3-mini-4k-instruct"
V100, A100 = "Standard_NC6s_v3", "Standard_NC24ads_A100_v4"
FAULT = "local.kaito.sh/fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an explanation has to hold."""

    verdict: Verdict
    reason: str
    cause: str
    """What the sentence has to have in it."""
    fix: str = ""
    """What one of the commands has to have in it, or what is to be done; "" where nothing is."""
    last: str = ""
    """The kind of the last link that fails; "" where it does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One Workspace that fails in one way."""

    expected: Expected
    size: str = V100
    cloud: str = ""
    """The fault that its node pool meets, or its Node."""
    pods: str = ""
    """The fault that its Pods meet."""
    code: int = 0
    """The exit code of containers that crash, where it is not 1."""
    asks: Object = field(default_factory=lambda: {"inference": {"preset": {"name": PRESET}}})
    """What is to run."""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def namespace(self, name: str) -> Object:
        """The namespace that it has for itself."""
        noted = {FAULT: self.pods} if self.pods else {}
        noted |= {"local.kaito.sh/exit-code": str(self.code)} if self.code else {}
        return {"metadata": {"name": name, "annotations": noted, "labels": {"case": name}}}

    def workspace(self, name: str) -> Object:
        """The Workspace, called like its namespace."""
        labels = {"apps": name} | ({FAULT: self.cloud} if self.cloud else {})
        return {
            "apiVersion": "kaito.sh/v1beta1",
            "kind": "Workspace",
            "metadata": {"name": name, "namespace": name, "annotations": dict(self.annotations)},
            "resource": {"instanceType": self.size, "labelSelector": {"matchLabels": labels}},
            **self.asks,
        }


def template(annotations: Mapping[str, str] | None = None, **container: Any) -> Object:
    """A Pod template."""
    runs = {"name": "engine", "image": "example/engine:1", **container}
    metadata = {"annotations": dict(annotations or {})}
    spec = {"containers": [runs]}
    return {"inference": {"template": {"metadata": metadata, "spec": spec}}}


def preset(name: str = PRESET, *, more: Object | None = None, **options: Any) -> Object:
    """A preset, and `more` of its inference."""
    chosen = {"name": name, **({"presetOptions": options} if options else {})}
    return {"inference": {"preset": chosen, **(more or {})}}


NEEDS_YOU, RETRYING, HOPELESS = Verdict.NEEDS_YOU, Verdict.RETRYING, Verdict.HOPELESS
PROGRESSING = Verdict.PROGRESSING
PULLED = "registry.example/adapters/mine:1"
TUNING = {
    "tuning": {
        "preset": {"name": PRESET},
        "method": "lora",
        "input": {"urls": ["https://data.example.com/train.json"]},
        "output": {"image": PULLED, "imagePushSecret": "push"},
    }
}

FAILURES: Mapping[str, Failure] = {
    "quota": Failure(
        cloud="quota",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="SKUFamilyQuotaReached",
            cause="Insufficient vcpu quota requested 6, remaining 0",
            fix=f"kaito.sh/instance-types={V100},",
            last="Event",
        ),
    ),
    "quota-of-the-region": Failure(
        cloud="quota-region",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="RegionalQuotaReached",
            cause="quota",
            fix="az vm list-usage",
        ),
    ),
    "size-retired": Failure(
        cloud="sku-retired",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="SKUNotAvailable",
            cause=f"The VM size of {V100} is not allowed in your subscription",
            fix="az vm list-skus",
        ),
    ),
    "size-not-in-region": Failure(
        cloud="sku-not-available",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="SKUNotAvailable",
            cause="currently not available in location 'eastus'",
            fix=f"kaito.sh/instance-types={V100},",
        ),
    ),
    "zone-full": Failure(
        cloud="zonal-allocation-failed",
        expected=Expected(
            verdict=RETRYING,
            reason="ZonalAllocationFailure",
            cause="sufficient capacity for the requested VM size in this zone",
            fix=f"kaito.sh/instance-types={V100},",
        ),
    ),
    "policy": Failure(
        cloud="policy",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="DisallowedByPolicy",
            cause="disallowed by policy",
            fix="az policy assignment list",
        ),
    ),
    "locked": Failure(
        cloud="locked",
        expected=Expected(
            verdict=NEEDS_YOU, reason="ResourceLocked", cause="lock", fix="az lock list"
        ),
    ),
    "credentials": Failure(
        cloud="unauthenticated",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="AuthenticationFailed",
            cause="The access token has expired",
            fix="configmap kaito-provisioner",
        ),
    ),
    "rights": Failure(
        cloud="unauthorized",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="AuthorizationFailed",
            cause="does not have authorization to perform action",
            fix="az role assignment create",
        ),
    ),
    "cluster-gone": Failure(
        cloud="cluster-gone",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="ClusterNotFound",
            cause="Check AZURE_CLUSTER_NAME",
            fix="az aks list",
        ),
    ),
    "cloud-down": Failure(
        cloud="server-error",
        expected=Expected(
            verdict=RETRYING,
            reason="CloudFailure",
            cause="Encountered an internal server error",
            fix="Nothing yet",
        ),
    ),
    "device-plugin": Failure(
        cloud="no-gpu",
        expected=Expected(
            verdict=PROGRESSING,
            reason="DevicePluginMissing",
            cause="the NVIDIA device plugin has to run on it",
            fix="kubectl get daemonsets",
        ),
    ),
    "image": Failure(
        pods="image-pull",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="ImagePullError",
            cause="kaito-base:0.5.0: not found",
            fix="kubectl -n image describe pod",
            last="Event",
        ),
    ),
    "out-of-memory": Failure(
        pods="out-of-memory",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="ContainerOOMKilled",
            cause="container out-of-memory, ran out of memory",
            fix="-c out-of-memory --previous",
            last="Event",
        ),
    ),
    "crash": Failure(
        pods="crash",
        expected=Expected(
            verdict=RETRYING,
            reason="ContainerCrashLoopBackOff",
            cause="its last exit code was 1",
            fix="-c crash --previous",
            last="Event",
        ),
    ),
    "secret-of-a-variable": Failure(
        size=A100,
        asks=preset("llama-3.1-8b-instruct", modelAccessSecret="hugging-face"),
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="ContainerStartError",
            cause='secret "hugging-face" not found',
            fix="create secret generic hugging-face --from-literal=HF_TOKEN=VALUE",
        ),
    ),
    "secret-of-a-volume": Failure(
        asks=preset(
            more={
                "adapters": [
                    {
                        "source": {"name": "a", "image": PULLED, "imagePullSecrets": ["registry"]},
                        "strength": "1.0",
                    }
                ]
            }
        ),
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="VolumesNotMounted",
            cause='secret "registry" not found',
            fix="create secret docker-registry registry",
            last="Event",
        ),
    ),
    "settings-missing": Failure(
        asks=preset(more={"config": "settings"}),
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="ConfigMapNotFound",
            cause="inference.config names the ConfigMap settings",
            fix="create configmap settings",
            last="Workspace",
        ),
    ),
    "no-room": Failure(
        asks=template(resources={"requests": {"cpu": "1000"}}),
        expected=Expected(
            verdict=RETRYING,
            reason="Unschedulable",
            cause="Insufficient cpu",
            fix="kubectl -n no-room describe pod",
            last="Event",
        ),
    ),
    "pods-over-quota": Failure(
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="PodsRefused",
            cause="exceeded quota: none",
            fix="kubectl -n pods-over-quota get resourcequotas",
            last="Deployment",
        ),
    ),
    "pods-of-a-set-over-quota": Failure(
        size=A100,
        asks=preset("llama-3.3-70b-instruct", modelAccessSecret="hugging-face"),
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="PodsRefused",
            cause="No Pods can be made for StatefulSet pods-of-a-set-over-quota",
            fix="get resourcequotas",
            last="StatefulSet",
        ),
    ),
    "webhook-down": Failure(
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="PodsRefused",
            cause='failed calling webhook "pods.example.com"',
            fix="kubectl get validatingwebhookconfigurations",
            last="Deployment",
        ),
    ),
    "name-taken": Failure(
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="NameTaken",
            cause="Deployment name-taken exists already",
            fix="kubectl delete deployment name-taken -n name-taken",
            last="Deployment",
        ),
    ),
    "model-too-large": Failure(
        asks=preset("deepseek-r1-0528"),
        expected=Expected(
            verdict=HOPELESS,
            reason="ModelDoesNotFit",
            cause="does not fit on",
            fix="kaito models deepseek-r1-0528",
            last="Workspace",
        ),
    ),
    "model-unknown": Failure(
        asks=preset("phi-3-mini-4k-instrukt"),
        expected=Expected(
            verdict=HOPELESS,
            reason="UnknownPreset",
            cause="names like it are phi-3-mini-4k-instruct",
            fix="kubectl -n model-unknown delete workspace model-unknown",
        ),
    ),
    "size-unknown": Failure(
        size="Standrad_NC6s_v3",
        expected=Expected(
            verdict=HOPELESS,
            reason="UnknownInstanceType",
            cause="names like it are Standard_NC6s_v3",
            fix="kaito skus",
        ),
    ),
    "training-secret": Failure(
        size=A100,
        asks=TUNING,
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="VolumesNotMounted",
            cause='secret "push" not found',
            fix="kubectl -n training-secret create secret docker-registry push",
            last="Event",
        ),
    ),
    "training-data": Failure(
        size=A100,
        asks=TUNING,
        pods="crash",
        code=11,
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="DatasetTooLarge",
            cause="There is more data than may be loaded (container",
            fix="kubectl -n training-data delete job training-data",
        ),
    ),
    "training-killed": Failure(
        size=A100,
        asks=TUNING,
        pods="out-of-memory",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="ContainerOOMKilled",
            cause="memory does not suffice",
            fix="kaito models",
        ),
    ),
    # It is tried three times, so this takes the longest.
    "node-never-joins": Failure(
        cloud="no-node",
        expected=Expected(
            verdict=NEEDS_YOU,
            reason="LaunchStopped",
            cause="3 agent pools were made for this Machine and none brought a usable Node",
            fix="kaito.sh/useless-pools-",
            last="Event",
        ),
    ),
}
"""Those that are there from the start."""

SERVES: Mapping[str, Failure] = {
    name: Failure(expected=expected, **shape)
    for name, expected, shape in (
        (
            "node-lost",
            Expected(
                verdict=RETRYING,
                reason="NodeStatusUnknown",
                cause="is not ready",
                fix="kubectl delete machines.karpenter.sh",
            ),
            {},
        ),
        (
            "evicted",
            Expected(
                verdict=RETRYING,
                reason="PodEvicted",
                cause="was evicted",
                fix="kubectl describe node",
            ),
            {},
        ),
        (
            "edited-and-undone",
            Expected(
                verdict=NEEDS_YOU,
                reason="RevisionUndone",
                cause="did not answer in its time and was undone",
                fix="kaito rollback edited-and-undone -n edited-and-undone",
            ),
            {
                "asks": template(),
                "annotations": {"kaito.sh/progress-deadline-seconds": "1"},
            },
        ),
        (
            "scaled-away",
            Expected(
                verdict=NEEDS_YOU,
                reason="WorkspaceInferenceStatusPending",
                cause="is scaled to no replicas by somebody else",
                fix="kubectl scale deployment scaled-away -n scaled-away --replicas=1",
            ),
            {},
        ),
        (
            "kept",
            Expected(
                verdict=NEEDS_YOU,
                reason="KeptByFinalizer",
                cause="the finalizer example.com/keep of somebody else",
                fix="kubectl -n kept edit workspace kept",
            ),
            {},
        ),
    )
}
"""Those that befall a Workspace which has served."""
