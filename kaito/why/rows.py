"""What is known beforehand of each reason: the verdict, what to do, and the commands. Data.

Names in braces are blanks, which remedies.py fills in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kaito.api import conditions as c
from kaito.api.launch import STOPPED, Cause
from kaito.api.tuning import ENDINGS
from kaito.controllers.machine import conditions as m
from kaito.why.chain import Verdict
from kaito.why.daemons import INSTALL

READY, PROGRESSING, RETRYING = Verdict.READY, Verdict.PROGRESSING, Verdict.RETRYING
NEEDS_YOU, HOPELESS = Verdict.NEEDS_YOU, Verdict.HOPELESS


class Row(NamedTuple):
    """What is known of a reason beforehand."""

    verdict: Verdict
    what: str = ""
    commands: tuple[str, ...] = ()


EDIT = "kubectl -n {ns} edit workspace {name}"
DELETE = "kubectl -n {ns} delete workspace {name}"
DESCRIBE = "kubectl -n {ns} describe pod {pod}"
LAST_WORDS = "kubectl -n {ns} logs {pod} -c {container} --previous"
LOG = "kubectl -n {ns} logs {pod} -c {container}"
NODE = "kubectl describe node {node}"
OTHER_SIZES = (
    "kubectl -n {ns} annotate workspace {name} kaito.sh/instance-types={sizes} --overwrite"
)
SETTINGS = "kubectl -n kaito-system get configmap kaito-provisioner -o yaml"
WEBHOOKS = "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations"

_MEND = (
    "Mend what the cause says, in the Workspace or where it points to; a training that failed is "
    "begun anew when its Job has gone."
)
AGAIN = "kubectl -n {ns} delete job {name}"
_AGAIN = "KAITO asks again by itself, so nothing is to be done here afterwards."
_QUOTA = Row(
    NEEDS_YOU,
    f"Have the quota raised, or let the Workspace take other sizes, too. {_AGAIN}",
    (OTHER_SIZES,),
)
_SCARCE = Row(
    RETRYING,
    "Wait, or let the Workspace take other sizes, too; another zone or region may have some.",
    (OTHER_SIZES,),
)
_WAIT = Row(RETRYING, "Nothing yet: it is tried again by itself.")

WORKSPACE: Mapping[str, Row] = {
    c.READY: Row(READY),
    c.SUCCEEDED: Row(READY),
    c.RESOURCE_SUCCESS: Row(READY),
    c.MACHINES_READY: Row(READY),
    c.NODE_CLAIMS_READY: Row(READY),
    c.NODES_ARE_READY: Row(READY),
    c.INFERENCE_SUCCESS: Row(READY),
    c.JOB_HAS_STARTED: Row(PROGRESSING),
    c.NODES_RELEASED: Row(PROGRESSING),
    c.RESOURCE_NOT_READY: Row(PROGRESSING),
    c.MACHINE_PENDING: Row(PROGRESSING),
    c.NODE_CLAIM_NOT_READY: Row(PROGRESSING),
    c.NODE_NOT_READY: Row(PROGRESSING),
    c.NODE_PLUGINS_NOT_READY: Row(PROGRESSING),
    c.INFERENCE_PENDING: Row(PROGRESSING),
    c.JOB_PENDING: Row(PROGRESSING),
    c.PENDING: Row(PROGRESSING),
    c.READING_MODEL: Row(PROGRESSING),
    c.DELETED: Row(PROGRESSING),
    c.MACHINE_FAILED: _WAIT,
    c.NODE_CLAIM_FAILED: _WAIT,
    c.FAILED: Row(NEEDS_YOU, "Do what the cause says.", (EDIT,)),
    c.JOB_FAILED: Row(NEEDS_YOU, _MEND, (AGAIN, EDIT, LOG)),
    c.INVALID_SPEC: Row(
        HOPELESS,
        "Correct the field that the cause names; where it cannot be changed, delete the Workspace "
        "and create it again.",
        (EDIT, DELETE),
    ),
    c.UNKNOWN_PRESET: Row(
        HOPELESS,
        "A preset's name cannot be changed: delete the Workspace, and create it with the name of a "
        "model that there is.",
        ("kaito models", DELETE),
    ),
    c.UNKNOWN_INSTANCE_TYPE: Row(
        HOPELESS,
        "resource.instanceType cannot be changed: delete the Workspace, and create it with a size "
        "that there is.",
        ("kaito skus", DELETE),
    ),
    c.MODEL_DOES_NOT_FIT: Row(
        HOPELESS,
        "Delete the Workspace, and create it with a size that holds the model; kaito plan tells "
        "beforehand.",
        ("kaito models {preset}", DELETE),
    ),
    c.INSTANCE_TYPE_UNSUITED: Row(
        HOPELESS,
        "Delete the Workspace, and create it with a size on which the engine runs.",
        ("kaito models {preset}", DELETE),
    ),
    c.CONFIG_NOT_FOUND: Row(
        NEEDS_YOU,
        "Create the ConfigMap, or name another one.",
        ("kubectl -n {ns} create configmap {config} --from-file=FILE", EDIT),
    ),
    c.INVALID_CONFIG: Row(
        NEEDS_YOU,
        "Correct the ConfigMap: it is read again by itself.",
        ("kubectl -n {ns} edit configmap {config}",),
    ),
    c.NOT_SUPPORTED: Row(HOPELESS, "Delete the Workspace, and create it without that.", (DELETE,)),
    c.NAME_TAKEN: Row(
        NEEDS_YOU,
        "Delete that object if nobody needs it, or create the Workspace under another name.",
        ("kubectl get {object} -o yaml", "kubectl delete {object}"),
    ),
    c.REFUSED: Row(
        NEEDS_YOU,
        "Have whoever refuses it let it pass; the cause has the API server's words.",
        (WEBHOOKS,),
    ),
    c.CONTESTED: Row(
        NEEDS_YOU,
        "Find out who changes it back, and keep one of both.",
        ("kubectl get {object} -o yaml --show-managed-fields",),
    ),
    c.KIND_NOT_SERVED: Row(
        NEEDS_YOU,
        "Install what serves that kind and restart the manager, or start it with another way to "
        "ask for nodes.",
        ("kubectl get customresourcedefinitions",),
    ),
    c.REVISION_UNDONE: Row(
        NEEDS_YOU,
        "Mend what the cause says and change the Workspace again, or take the edit back.",
        ("kaito rollback {name} -n {ns}", "kaito history {name} -n {ns}"),
    ),
}
"""By the reason of a Workspace's condition, Pods and tunings apart."""

PODS: Mapping[str, Row] = {
    c.CONTAINER_OOM_KILLED: Row(
        NEEDS_YOU,
        "Give it more memory, or less to hold: a shorter max-model-len in inference.config, higher "
        "limits in a template, or a Workspace on a larger size.",
        (LAST_WORDS, "kaito models {preset}"),
    ),
    c.IMAGE_PULL_ERROR: Row(
        NEEDS_YOU,
        "See that the image is there under this name and tag, and that the nodes may pull it; then "
        "it is pulled by itself.",
        (DESCRIBE, EDIT),
    ),
    c.CONTAINER_START_ERROR: Row(
        NEEDS_YOU,
        "Create what the container lacks; then it starts by itself.",
        (DESCRIBE,),
    ),
    c.PODS_REFUSED: Row(
        NEEDS_YOU,
        "Have the quota, Pod Security or webhook that the cause names let the Pods in; they are "
        "tried again by themselves.",
        ("kubectl -n {ns} get resourcequotas", WEBHOOKS),
    ),
    c.VOLUMES_NOT_MOUNTED: Row(
        NEEDS_YOU,
        "Create what the Pod mounts and is not there; then it starts by itself.",
        (DESCRIBE,),
    ),
    c.CRASH_LOOP: Row(
        RETRYING,
        "Read its last words and mend what they say; it is started again by itself.",
        (LAST_WORDS, EDIT),
    ),
    c.POD_EVICTED: Row(
        RETRYING,
        "Free what the node ran short of, or take a size with more; another Pod follows by itself.",
        (NODE, DESCRIBE),
    ),
    c.UNSCHEDULABLE: Row(
        RETRYING,
        "Make room for it: the cause says what each node lacks. It is tried again by itself.",
        (DESCRIBE, EDIT),
    ),
}
"""By the reason of a Pod that does not serve."""

TUNING: Mapping[str, Row] = {
    **{
        each.reason: Row(NEEDS_YOU if each.final else RETRYING, _MEND, (AGAIN, EDIT, LOG))
        for each in ENDINGS.values()
    },
    c.EVICTED_TOO_OFTEN: Row(
        NEEDS_YOU,
        "Train with less at once (per_device_train_batch_size, max_length, less data), which is "
        "begun anew by itself, or create it again on a larger size.",
        (EDIT,),
    ),
}
"""By the reason of a training that ended badly."""

NODES: Mapping[str, Row] = {
    Cause.FAMILY_QUOTA: _QUOTA,
    Cause.REGIONAL_QUOTA: _QUOTA,
    Cause.SPOT_QUOTA: _QUOTA,
    Cause.SUBSCRIPTION_QUOTA: _QUOTA,
    Cause.SKU: Row(
        NEEDS_YOU,
        "Let the Workspace take other sizes, too, or have this one sold to the subscription.",
        (OTHER_SIZES,),
    ),
    Cause.ALLOCATION: _SCARCE,
    Cause.ZONAL_ALLOCATION: _SCARCE,
    Cause.OVERCONSTRAINED: _SCARCE,
    Cause.OVERCONSTRAINED_ZONAL: _SCARCE,
    Cause.POLICY: Row(NEEDS_YOU, f"Ask whoever owns the policy to allow it. {_AGAIN}"),
    Cause.LOCK: Row(NEEDS_YOU, f"Have the lock removed. {_AGAIN}"),
    Cause.AUTHENTICATION: Row(
        NEEDS_YOU, f"Renew the credentials of the provisioner. {_AGAIN}", (SETTINGS,)
    ),
    Cause.AUTHORIZATION: Row(NEEDS_YOU, f"Give the provisioner's identity that right. {_AGAIN}"),
    Cause.CLUSTER: Row(
        NEEDS_YOU,
        "Correct AZURE_CLUSTER_NAME and ARM_RESOURCE_GROUP in the provisioner's settings, and "
        "restart it.",
        (SETTINGS,),
    ),
    Cause.GROUP: Row(
        NEEDS_YOU,
        "Correct ARM_RESOURCE_GROUP in the provisioner's settings, and restart it.",
        (SETTINGS,),
    ),
    Cause.SUBSCRIPTION: Row(
        NEEDS_YOU,
        "Have the subscription enabled again, or correct ARM_SUBSCRIPTION_ID in the provisioner's "
        "settings and restart it.",
        (SETTINGS,),
    ),
    Cause.REGISTRATION: Row(NEEDS_YOU, f"Have the resource provider registered. {_AGAIN}"),
    Cause.SUBNET: Row(NEEDS_YOU, f"Enlarge the subnet, or delete pools nobody needs. {_AGAIN}"),
    Cause.POOL_LIMIT: Row(NEEDS_YOU, f"Delete node pools that nobody needs. {_AGAIN}"),
    Cause.NAME_TAKEN: Row(
        NEEDS_YOU,
        "Delete that pool if nobody needs it, or the claim, which is then made anew.",
        ("kubectl delete {plural} {claim}",),
    ),
    Cause.INVALID: Row(
        HOPELESS,
        "Correct the Workspace; where the field cannot be changed, create it again.",
        (EDIT, DELETE),
    ),
    Cause.BUSY: _WAIT,
    Cause.THROTTLED: _WAIT,
    Cause.SERVER: _WAIT,
    Cause.NETWORK: Row(
        RETRYING,
        "See whether the provisioner's Pod reaches Azure; it is tried again by itself.",
    ),
    Cause.MAKING_TIMEOUT: _WAIT,
    Cause.JOINING_TIMEOUT: Row(
        RETRYING,
        "Find out what keeps nodes from joining, often the way to the API server or to the "
        "registry: each try may cost money, and after three of them no further one is made.",
        ("kubectl describe {plural} {claim}",),
    ),
    Cause.UNKNOWN: _WAIT,
    STOPPED: Row(
        NEEDS_YOU,
        "Mend what keeps the nodes from joining, then let KAITO try again.",
        ("kubectl annotate {plural} {claim} kaito.sh/useless-pools-",),
    ),
    m.LAUNCHING: Row(PROGRESSING),
    m.NODE_NOT_FOUND: Row(PROGRESSING),
    m.MULTIPLE_NODES: Row(NEEDS_YOU, "Scale the pool to one node.", ("kubectl get nodes",)),
    m.WRONG_TYPE: Row(
        NEEDS_YOU,
        "Have the node replaced by one of the size that was asked for.",
        ("kubectl delete {plural} {claim}",),
    ),
    m.NODE_NOT_READY: Row(
        PROGRESSING,
        "Look what the kubelet says, or have the node replaced.",
        (NODE, "kubectl delete {plural} {claim}"),
    ),
    m.STARTUP_TAINTS: Row(
        PROGRESSING, "Whoever prepares the node has to remove its startup taint.", (NODE,)
    ),
    m.EPHEMERAL_TAINTS: Row(PROGRESSING, "Look why Kubernetes keeps the taint.", (NODE,)),
    m.RESOURCE_MISSING: Row(
        PROGRESSING, "Install what provides that resource on the node.", (NODE,)
    ),
    m.PLUGIN_MISSING: Row(
        PROGRESSING,
        "Install NVIDIA's device plugin, a DaemonSet that tolerates the node's taints.",
        ("kubectl get daemonsets --all-namespaces", NODE),
    ),
    m.GPUS_UNHEALTHY: Row(
        PROGRESSING,
        "Read the device plugin's log, or have the node replaced.",
        (NODE, "kubectl delete {plural} {claim}"),
    ),
}
"""By the reason of a claim's condition. For what is PROGRESSING: once it has lasted."""

NODE_LOST = Row(
    RETRYING,
    "Find out what became of the machine, or have it replaced by another one.",
    (NODE, "kubectl delete {plural} {claim}"),
)
CLAIM_UNSEEN = Row(
    NEEDS_YOU,
    "Do what the cause says; where a size cannot be had, let the Workspace take others, too.",
    (OTHER_SIZES,),
)
NODES_LACKING = Row(
    NEEDS_YOU,
    "Bring a node with GPUs that nobody else uses, and give it the labels of the selector.",
    ("kubectl label node NODE {selector}", "kubectl get nodes --show-labels"),
)
SCALED_AWAY = Row(
    NEEDS_YOU,
    "Somebody scaled it to nothing: scale it up again.",
    ("kubectl scale {object} --replicas=1",),
)
SUSPENDED = Row(
    NEEDS_YOU,
    "Somebody suspended it: let it go on.",
    ('kubectl patch {object} --type merge -p \'{{"spec":{{"suspend":false}}}}\'',),
)
KIND_MISSING = Row(
    NEEDS_YOU,
    "Install KAITO's definitions, and restart both daemons.",
    (INSTALL,),
)
