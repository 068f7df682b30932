"""Who has to leave a Node before it is removed, in which order, and how long that may take. Pure.

Karpenter's rules: Pods that serve users go first and system-critical ones last; a Pod that
tolerates the taint, belongs to the Node or is over keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Sequence

from kaito.controllers.kinds import Node
from kaito.controllers.machine.decision import (
    DeletePod,
    Evict,
    PatchNode,
    Policy,
    Tenancy,
    Write,
)
from kaito.controllers.machine.kinds import Pod, Toleration
from kaito.provisioner.claim import TERMINATION, Claim, duration
from kaito.runtime import Object, parse_rfc3339

TAINT = ("karpenter.sh/disrupted", "NoSchedule")
BALANCERS = {"node.kubernetes.io/exclude-from-external-load-balancers": "karpenter"}
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
CRITICAL = {"system-cluster-critical", "system-node-critical"}
OVER = {"Succeeded", "Failed"}
STUCK_SECONDS = 60.0
"""After the end of its own grace period a Pod is not waited for longer: its kubelet is gone."""


def deadline(claim: Claim, policy: Policy) -> float:
    """When the Pods of a claim that is being deleted are not waited for any more."""
    text = claim.metadata.annotations.get(TERMINATION, "")
    try:
        return parse_rfc3339(text)
    except ValueError:
        pass
    grace = duration(claim.spec.termination_grace_period or "")
    return (claim.dying_since or 0.0) + (policy.drain_seconds if grace is None else grace)


def is_closed(node: Node) -> bool:
    """Whether new Pods are kept away from a Node because it is to go."""
    return any((t.get("key"), t.get("effect")) == TAINT for t in node.spec.taints)


def closing(node: Node) -> PatchNode | None:
    """The write that keeps new Pods and users away from a Node; None when it has been made."""
    if is_closed(node):
        return None
    key, effect = TAINT
    kept = [taint for taint in node.spec.taints if taint.get("key") != key]
    patch: Object = {
        "metadata": {
            "resourceVersion": node.metadata.resource_version,
            "labels": BALANCERS,
        },
        "spec": {"taints": [*kept, {"key": key, "effect": effect}]},
    }
    return PatchNode(node.name, patch)


def staying(pods: Sequence[Pod], now: float) -> tuple[Pod, ...]:
    """The Pods that the Node is kept for."""
    return tuple(pod for pod in pods if _matters(pod, now))


def asking(tenancy: Tenancy, now: float, until: float) -> tuple[Write, ...]:
    """The writes that have the next Pods leave: of each group only when the earlier are gone."""
    left = staying(tenancy.pods, now)
    first = min((_rank(pod) for pod in left), default=0)
    writes: list[Write] = []
    for pod in left:
        if pod.metadata.deletion_timestamp is not None:
            continue
        if until - now < pod.spec.termination_grace_period_seconds:
            writes.append(DeletePod(pod, max(0, int(until - now))))
        elif _rank(pod) == first and not _protected(pod):
            writes.append(Evict(pod))
    return tuple(writes)


def told(nodes: Sequence[Node], tenancy: Tenancy, now: float) -> str:
    """Who is waited for, and why, as a sentence."""
    names = ", ".join(node.name for node in nodes)
    if tenancy.trouble:
        return (
            f"The Pods of Node {names} cannot be listed, so they are given all their time to "
            f"leave: {tenancy.trouble}. Let the provisioner list pods."
        )
    left = staying(tenancy.pods, now)
    refused = [
        f"{pod.key.namespace}/{pod.key.name}: {why}" for pod in left if (why := _why(pod, tenancy))
    ]
    said = f"Node {names} is being emptied first; Pods left: {len(left)}"
    return f"{said} ({'; '.join(refused[:3])})." if refused else f"{said}."


def _why(pod: Pod, tenancy: Tenancy) -> str:
    if _protected(pod):
        return f"its annotation {DO_NOT_DISRUPT} keeps it"
    return tenancy.refused.get(pod.metadata.uid, "")


def _matters(pod: Pod, now: float) -> bool:
    leaving = pod.metadata.deletion_timestamp
    stuck = leaving is not None and now > parse_rfc3339(leaving) + STUCK_SECONDS
    over = pod.status.phase in OVER
    tolerant = any(_tolerates(each) for each in pod.spec.tolerations)
    return not (over or stuck or tolerant or "Node" in pod.owners)


def _tolerates(toleration: Toleration) -> bool:
    key, effect = TAINT
    if toleration.effect not in ("", effect):
        return False
    if toleration.operator == "Exists":
        return toleration.key in ("", key)
    return toleration.key == key and not toleration.value


def _rank(pod: Pod) -> int:
    return 2 * (pod.spec.priority_class_name in CRITICAL) + ("DaemonSet" in pod.owners)


def _protected(pod: Pod) -> bool:
    return pod.metadata.annotations.get(DO_NOT_DISRUPT) == "true"
