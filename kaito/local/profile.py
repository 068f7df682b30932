"""How long things take in the local cluster, and what goes wrong in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from kaito.catalog import timing
from kaito.local.azure.faults import PoolFault
from kaito.local.azure.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Timings in seconds. The defaults let a person watch a GPU node come up in a few seconds,
    where Azure takes five to ten minutes."""

    pool_create: float = 1.5
    """From the PUT of an agent pool until it has succeeded and its Node is there."""
    pool_delete: float = 0.8
    """From the DELETE of an agent pool until it and its Nodes are gone."""
    node_ready: float = 0.5
    """From the appearance of a Node until it is Ready."""
    gpu_ready: float = 0.4
    """From then until the device plugin reports its GPUs."""
    node_grace: float = 1.0
    """From the last sign of a lost kubelet until its Node is Unknown (a real cluster waits 50)."""
    patience: float = 1 / 60
    """What a second of a pod's tolerationSeconds lasts here, in seconds."""
    image_pull: float = 0.8
    """From the binding of a pod until its image is there, where its size is not known."""
    pull_rate: float = 0.0
    """Bytes of an image a second, where the annotation local.kaito.sh/image-size tells its size;
    0: the size does not matter."""
    download_rate: float = 0.0
    """Bytes of a model's weights a second, where the annotation local.kaito.sh/weights tells how
    many there are; 0: they do not matter."""
    container_start: float = 0.2
    """From then until a simulated container runs and is ready."""
    job_run: float = 1.0
    """How long a simulated container of a Job runs before it exits with 0."""
    probe_period: float = 0.2
    """Ceiling for the probe period of a pod that is not ready yet, so that nobody waits out
    delays that were written for engines that load for minutes."""
    restart_backoff: float = 1.0
    """Before a container is started again the first time; doubled each time (a real kubelet
    begins with 10)."""
    restart_backoff_cap: float = 30.0
    processes: bool = True
    """Whether pods with a known image run as local processes; otherwise all are simulated."""
    faults: tuple[PoolFault, ...] = ()
    limits: Limits = field(default_factory=Limits)
    """How much the cloud takes."""

    @classmethod
    def instant(
        cls,
        *,
        processes: bool = False,
        faults: tuple[PoolFault, ...] = (),
        limits: Limits | None = None,
    ) -> Self:
        """Everything happens as soon as it can: for tests, which await events."""
        return cls(
            pool_create=0,
            pool_delete=0,
            node_ready=0,
            gpu_ready=0,
            node_grace=0,
            patience=0,
            image_pull=0,
            container_start=0,
            job_run=0,
            probe_period=0.05,
            restart_backoff=0.05,
            restart_backoff_cap=0.5,
            processes=processes,
            faults=faults,
            limits=limits or Limits(),
        )

    @classmethod
    def azure(cls) -> Self:
        """As it takes on AKS in minutes: the node as fast, the rest as slow as was published."""
        return cls(
            pool_create=timing.NODE.low,
            pool_delete=180,  # no published figure: AKS takes a few minutes
            node_ready=10,
            gpu_ready=timing.DEVICE.low,
            node_grace=50,  # the controller manager's default
            patience=1,
            image_pull=timing.IMAGE_GIB / timing.IMAGE_SPEED[0],
            pull_rate=timing.IMAGE_SPEED[0] * 2**30,
            download_rate=timing.DOWNLOAD_SPEED[0] * 2**30,
            container_start=timing.FRAMEWORK.high + timing.ENGINE.high,
            job_run=1800,
            probe_period=10,
            restart_backoff=10,
            restart_backoff_cap=300,
        )

    def scaled(self, factor: float) -> Self:
        """The same with everything `factor` times as long. ValueError unless that is positive."""
        if not factor > 0:
            raise ValueError(f"scale {factor:g}: must be more than 0.")
        longer = {name: getattr(self, name) * factor for name in SECONDS}
        faster = {name: getattr(self, name) / factor for name in RATES}
        return replace(self, **longer, **faster)


RATES = ("pull_rate", "download_rate")
SECONDS = (
    "pool_create",
    "pool_delete",
    "node_ready",
    "gpu_ready",
    "node_grace",
    "patience",
    "image_pull",
    "container_start",
    "job_run",
    "probe_period",
    "restart_backoff",
    "restart_backoff_cap",
)
