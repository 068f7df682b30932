"""The built-in kinds that the local cluster's controllers read and write, untyped."""

from __future__ import annotations

from kaito.runtime import Object, Resource

BINDINGS: Resource[Object] = Resource("", "v1", "bindings", "Binding")
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
PERSISTENT_VOLUME_CLAIMS: Resource[Object] = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"
)
PERSISTENT_VOLUMES: Resource[Object] = Resource(
    "", "v1", "persistentvolumes", "PersistentVolume", namespaced=False
)
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
STORAGE_CLASSES: Resource[Object] = Resource(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False
)
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS: Resource[Object] = Resource("", "v1", "serviceaccounts", "ServiceAccount")
SERVICES: Resource[Object] = Resource("", "v1", "services", "Service")
DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SETS: Resource[Object] = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SETS: Resource[Object] = Resource("apps", "v1", "statefulsets", "StatefulSet")
CONTROLLER_REVISIONS: Resource[Object] = Resource(
    "apps", "v1", "controllerrevisions", "ControllerRevision"
)
JOBS: Resource[Object] = Resource("batch", "v1", "jobs", "Job")
ENDPOINT_SLICES: Resource[Object] = Resource(
    "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"
)
