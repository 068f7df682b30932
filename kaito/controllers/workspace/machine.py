"""Nodes asked for by Machines, as karpenter v1alpha5 wants them: one each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaito.api import labels
from kaito.api import machine as api
from kaito.controllers.workspace.ask import (
    GPU_TAINT,
    Ask,
    annotated,
    listed,
    of_cloud,
    one_each,
    storage,
    takes_gpus,
)
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.selector import NODE_IS
from kaito.runtime import Object


@dataclass(frozen=True, slots=True)
class Machines:
    """A Machine for each node."""

    kind: str = api.KIND

    def more(self, kept: Sequence[Ask], short: int, names: Iterator[str]) -> tuple[Ask, ...]:
        return one_each(self.kind, short, names)

    def written(self, plan: Plan, subject: Subject, ask: Ask) -> Object:
        """The Machine. One that exists keeps the disk that it was made with."""
        requirements = {
            labels.INSTANCE_TYPE: plan.instance_type,
            labels.PROVISIONER_NAME: labels.DEFAULT_PROVISIONER,
            labels.MACHINE_TYPE: "gpu" if takes_gpus(plan) else "cpu",
            **NODE_IS,
            **of_cloud(plan),
        }
        return {
            "apiVersion": api.API_VERSION,
            "kind": api.KIND,
            "metadata": {
                "name": ask.name,
                "labels": {
                    **plan.selector,
                    labels.PROVISIONER_NAME: labels.DEFAULT_PROVISIONER,
                    **subject.identity,
                },
                "annotations": annotated(plan, subject, ask),
            },
            "spec": {
                "machineTemplateRef": {"name": ask.name},
                "requirements": listed(requirements),
                "taints": [GPU_TAINT],
                "resources": {"requests": {"storage": storage(plan, ask.order)}},
            },
        }
