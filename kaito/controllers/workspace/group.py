"""Several nodes that serve one model together: Pods that find each other, and one that leads. Pure.

The first Pod of the StatefulSet starts Ray and the engine, the others join it and work. What they
need to know stands in variables; the script that takes the two ways is the same for everybody, and
what the engine is told are its arguments.
"""

from __future__ import annotations

from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.service import ENGINE_PORT
from kaito.runtime import Object

RAY_PORT = 6379
DOMAIN = "cluster.local"
INDEX, NODES, LEADER, PORT = "POD_INDEX", "KAITO_NODES", "KAITO_RAY_LEADER", "KAITO_RAY_PORT"

SCRIPT = f"""\
serving=/workspace/vllm/multi-node-serving.sh
if [ "${INDEX}" = 0 ]; then
  "$serving" leader --ray_cluster_size="${NODES}" --ray_port="${PORT}" && exec "$@"
else
  exec "$serving" worker --ray_address="${{{LEADER}%:*}}" --ray_port="${PORT}"
fi
"""
HEALTH = ("python3", "/workspace/vllm/multi-node-health-check.py")

PERIOD = 10
# A Python process that asks takes a second or two to begin; a busy node takes longer.
TIMEOUT = 15
FIRST_LOOK = 60  # seconds until Ray can be asked
# Ray knows at once who is dead, so there is nothing to wait for once it has said so three times.
GRACE = 1


def several(plan: Plan) -> bool:
    """Whether it takes more than one node to serve the model once."""
    return plan.model is not None and plan.nodes > 1


def leader_host(subject: Subject) -> str:
    """The name of the Pod that leads, in the cluster's DNS."""
    own = subject.headless.name
    return f"{subject.name}-0.{own}.{subject.namespace}.svc.{DOMAIN}"


def wrapped(command: list[str]) -> list[str]:
    """The command of every Pod: to lead with the engine's command, or to work."""
    return ["/bin/sh", "-c", SCRIPT, "serve", *command]


def variables(plan: Plan, subject: Subject) -> list[Object]:
    """What each Pod must know of the others."""
    # Whole, as the API server keeps it.
    index = {"apiVersion": "v1", "fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}
    return [
        {"name": INDEX, "valueFrom": {"fieldRef": index}},
        {"name": NODES, "value": str(plan.nodes)},
        {"name": LEADER, "value": f"{leader_host(subject)}:{RAY_PORT}"},
        {"name": PORT, "value": str(RAY_PORT)},
    ]


def probes(subject: Subject, start_failures: int) -> Object:
    """Asked of each Pod: the leader is ready when the model answers, a worker at once; all are
    alive while Ray misses nobody."""
    leader = f"--leader-address={leader_host(subject)}"
    ready = [*HEALTH, "readiness", leader, f"--vllm-port={ENGINE_PORT}"]
    alive = [*HEALTH, "liveness", leader, f"--ray-port={RAY_PORT}"]
    return {
        "startupProbe": _probe(ready, failures=start_failures),
        "livenessProbe": {
            **_probe(alive, failures=3),
            "initialDelaySeconds": FIRST_LOOK,
            "terminationGracePeriodSeconds": GRACE,
        },
        "readinessProbe": _probe(ready, failures=3),
    }


def apart(subject: Subject) -> Object:
    """No two of its Pods on one node."""
    own = {"matchLabels": subject.identity}
    term = {"labelSelector": own, "topologyKey": "kubernetes.io/hostname"}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def disruption_budget(subject: Subject) -> Object:
    """At most one of its nodes is drained at a time, and none while another one is out; what does
    not serve anyway keeps no node."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": subject.child(),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": subject.identity},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _probe(command: list[str], *, failures: int) -> Object:
    return {
        "exec": {"command": command},
        "periodSeconds": PERIOD,
        "timeoutSeconds": TIMEOUT,
        "failureThreshold": failures,
    }
