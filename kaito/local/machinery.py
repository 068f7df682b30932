"""Everything in a cluster but the API server: its controllers, wired to one manager."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kaito.local.furnishing import ACCOUNT, CA_CONFIG_MAP, Furnishing, to_namespace
from kaito.local.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    STATEFUL_SETS,
)
from kaito.local.network.forwarding import Forwarding
from kaito.local.network.indexes import by_label, by_namespace, by_service
from kaito.local.network.resolver import Resolver
from kaito.local.network.slices import EndpointSlices
from kaito.local.nodes.departure import Departure, by_node
from kaito.local.nodes.eviction import Eviction
from kaito.local.nodes.health import NodeHealth
from kaito.local.pods.accounts import Accounts
from kaito.local.pods.images import Images
from kaito.local.pods.kubelet import Kubelet
from kaito.local.pods.objects import Objects
from kaito.local.pods.outfit import Api, Outfitter
from kaito.local.profile import Profile
from kaito.local.rehearsal import Rehearsal
from kaito.local.scheduling.scheduler import Scheduler
from kaito.local.storage.claims import Claims
from kaito.local.storage.volumes import Volumes
from kaito.local.workloads.claims import (
    CONTROLLER,
    ORPHAN,
    SELECTOR,
    by_controller,
    by_orphan,
    by_selector,
    to_owners,
)
from kaito.local.workloads.deployment import Deployments
from kaito.local.workloads.job import Jobs, by_job, to_job
from kaito.local.workloads.replicaset import ReplicaSets
from kaito.local.workloads.statefulset import StatefulSets
from kaito.runtime import (
    Backoff,
    Change,
    Client,
    Clock,
    Controller,
    EventRecorder,
    Informer,
    Key,
    Manager,
    Object,
    Reconcile,
    Store,
    Transport,
    watch,
)

# Tighter than the library's default of a thousand seconds: somebody sits and watches.
BACKOFF = Backoff(first=0.005, cap=10.0)
SCHEDULER = "default-scheduler"  # as it calls itself in Events


@dataclass(frozen=True, slots=True)
class Machinery:
    """What others need of it."""

    kubelet: Kubelet
    resolver: Resolver


def assemble(
    manager: Manager,
    transport: Transport,
    *,
    images: Images,
    profile: Profile,
    clock: Clock,
    directory: Path,
    api: Api,
) -> Machinery:
    """Add every controller to `manager`. What pods are made of lies under `directory`."""
    parts = _Parts(manager, transport, clock)
    parts.namespaces(api.ca_pem)
    parts.workloads(profile)
    parts.scheduling()
    parts.nodes(profile)
    parts.storage(directory / "claims")
    services = parts.services()
    return parts.kubelet(images, profile, directory, api, services)


class _Parts:
    def __init__(self, manager: Manager, transport: Transport, clock: Clock) -> None:
        self._manager = manager
        self._transport = transport
        self._clock = clock
        self._pods = manager.informer(
            PODS,
            indexes={
                CONTROLLER: by_controller,
                ORPHAN: by_orphan,
                "job": by_job,
                "node": by_node,
                "label": by_label,
            },
        )
        self._nodes = manager.informer(NODES)
        self._kubelet_recorder = self._recorder("kubelet")
        self._replica_sets = manager.informer(
            REPLICA_SETS,
            indexes={CONTROLLER: by_controller, ORPHAN: by_orphan, SELECTOR: by_selector},
        )

    def namespaces(self, ca_pem: str) -> None:
        namespaces = self._manager.informer(NAMESPACES)
        accounts = self._manager.informer(SERVICE_ACCOUNTS, fields=f"metadata.name={ACCOUNT}")
        config_maps = self._manager.informer(CONFIG_MAPS, fields=f"metadata.name={CA_CONFIG_MAP}")
        client = self._client("kube-controller-manager")
        furnishing = Furnishing(client, namespaces, accounts, config_maps, ca_pem)
        self._manager.add(
            Controller(
                "namespace-furnishing",
                furnishing.reconcile,
                primary=watch(namespaces),
                watches=[watch(each, to=to_namespace) for each in (accounts, config_maps)],
                backoff=BACKOFF,
            )
        )

    def workloads(self, profile: Profile) -> None:
        manager, pods, sets = self._manager, self._pods, self._replica_sets
        client = self._client("kube-controller-manager")
        deployments = manager.informer(DEPLOYMENTS, indexes={SELECTOR: by_selector})
        recorder = self._recorder("deployment-controller")
        rollouts = Deployments(client, deployments, sets, recorder, self._clock)
        self._add("deployment", rollouts.reconcile, deployments, owned=sets)
        recorder = self._recorder("replicaset-controller")
        replicas = ReplicaSets(client, sets, pods, recorder, self._clock)
        self._add("replicaset", replicas.reconcile, sets, owned=pods)
        stateful = manager.informer(STATEFUL_SETS, indexes={SELECTOR: by_selector})
        recorder = self._recorder("statefulset-controller")
        ordinals = StatefulSets(client, stateful, pods, recorder, self._clock)
        self._add("statefulset", ordinals.reconcile, stateful, owned=pods)
        jobs = manager.informer(JOBS, indexes={SELECTOR: by_selector})
        recorder = self._recorder("job-controller")
        runs = Jobs(client, jobs, pods, recorder, profile, self._clock)
        manager.add(
            Controller(
                "job",
                runs.reconcile,
                primary=watch(jobs),
                watches=[watch(pods, to=to_job), watch(pods, to=to_owners(jobs))],
                backoff=BACKOFF,
            )
        )

    def scheduling(self) -> None:
        client, recorder = self._client("kube-scheduler"), self._recorder(SCHEDULER)
        scheduler = Scheduler(client, self._pods, self._nodes, recorder, self._clock)
        self._manager.add(scheduler.controller())

    def nodes(self, profile: Profile) -> None:
        kubelet, controller = self._kubelet_recorder, self._recorder("node-controller")
        health = NodeHealth(
            self._client("kubelet"),
            self._nodes,
            self._pods,
            kubelet=kubelet,
            controller=controller,
            profile=profile,
            clock=self._clock,
        )
        self._add("node-lifecycle", health.reconcile, self._nodes)
        eviction = Eviction(
            self._client("kubelet"),
            self._nodes,
            self._pods,
            kubelet=kubelet,
            controller=self._recorder("taint-eviction-controller"),
            profile=profile,
            clock=self._clock,
        )
        self._manager.add(
            Controller(
                "eviction",
                eviction.reconcile,
                primary=watch(self._nodes, to=eviction.node_changed),
                watches=[watch(self._pods, to=eviction.pod_changed)],
                backoff=BACKOFF,
            )
        )
        client = self._client("kube-controller-manager")
        departure = Departure(client, self._nodes, self._pods, self._clock)
        self._manager.add(
            Controller(
                "pod-garbage",
                departure.reconcile,
                primary=watch(self._nodes, to=departure.node_changed),
                # A pod may have been bound to a Node that went at the same moment.
                watches=[watch(self._pods, to=departure.pod_changed)],
                backoff=BACKOFF,
            )
        )

    def storage(self, directory: Path) -> None:
        client = self._client("kube-controller-manager")
        claims = self._manager.informer(PERSISTENT_VOLUME_CLAIMS)
        volumes = self._manager.informer(PERSISTENT_VOLUMES)
        recorder = self._recorder("persistentvolume-controller")
        bound = Claims(client, claims, self._pods, recorder)
        made = Volumes(client, volumes, claims, directory)
        for name, reconcile, primary, other in (
            (
                "persistentvolumeclaim",
                bound.reconcile,
                claims,
                watch(self._pods, to=bound.pod_changed),
            ),
            ("persistentvolume", made.reconcile, volumes, watch(claims, to=made.claim_changed)),
        ):
            self._manager.add(
                Controller(
                    name, reconcile, primary=watch(primary), watches=[other], backoff=BACKOFF
                )
            )

    def services(self) -> Store[Object]:
        services = self._manager.informer(SERVICES, indexes={"namespace": by_namespace})
        slices = self._manager.informer(ENDPOINT_SLICES, indexes={"service": by_service})
        client = self._client("kube-controller-manager")
        endpoints = EndpointSlices(client, services, self._pods, slices)
        self._manager.add(
            Controller(
                "endpointslice",
                endpoints.reconcile,
                primary=watch(services),
                owned=[watch(slices)],
                watches=[watch(self._pods, to=endpoints.to_services)],
                backoff=BACKOFF,
            )
        )
        return services.store

    def kubelet(
        self,
        images: Images,
        profile: Profile,
        directory: Path,
        api: Api,
        services: Store[Object],
    ) -> Machinery:
        client, clock = self._client("kubelet"), self._clock

        def wake(pod: Key) -> None:
            controller.wake(pod)

        # Programs are told of Services, which lead to programs.
        resolver = Resolver(services, self._pods.store, lambda *pod: kubelet.local_port(*pod))
        forwarding = Forwarding(resolver, services, api.port)
        objects, accounts = Objects(client, clock, wake), Accounts(client, clock)
        kubelet = Kubelet(
            client,
            self._pods,
            self._nodes,
            images=images,
            objects=objects,
            accounts=accounts,
            outfitter=Outfitter(
                objects=objects,
                accounts=accounts,
                names=forwarding,
                api=api,
                clock=clock,
                directory=directory,
            ),
            recorder=self._kubelet_recorder,
            profile=profile,
            rehearsal=Rehearsal(self._manager.informer(NAMESPACES).store),
            clock=clock,
            wake=wake,
        )
        controller = Controller(
            "kubelet",
            kubelet.reconcile,
            primary=watch(self._pods),
            watches=[watch(self._nodes, when=_node_came_or_was_asked, to=self._pods_of_node)],
            backoff=BACKOFF,
        )
        self._manager.add(controller)
        self._manager.add_task("forwarding", forwarding.run)
        self._manager.add_task("kubelet", kubelet.run)
        return Machinery(kubelet, resolver)

    def _pods_of_node(self, change: Change) -> tuple[Key, ...]:
        return self._pods.store.by("node", change.key.name)

    def _add(
        self,
        name: str,
        reconcile: Reconcile,
        primary: Informer[Object],
        owned: Informer[Object] | None = None,
    ) -> None:
        self._manager.add(
            Controller(
                name,
                reconcile,
                primary=watch(primary),
                owned=[watch(owned)] if owned is not None else [],
                watches=[watch(owned, to=to_owners(primary))] if owned is not None else [],
                backoff=BACKOFF,
            )
        )

    def _client(self, field_manager: str) -> Client:
        return Client(self._transport, field_manager=field_manager, clock=self._clock)

    def _recorder(self, component: str) -> EventRecorder:
        client = self._client("kube-controller-manager")
        # The scheduler alone writes the newer form, here as in Kubernetes.
        core = component != SCHEDULER
        recorder = EventRecorder(client, component=component, clock=self._clock, core=core)
        self._manager.add_task(f"events/{component}", recorder.run)
        return recorder


def _node_came_or_was_asked(change: Change) -> bool:
    old = change.old
    return old is None or old.annotations_hash != change.header.annotations_hash
