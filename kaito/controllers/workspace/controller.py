"""The workspace controller: which changes wake it, and the three steps of each turn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kaito.api import labels, nodepool
from kaito.catalog.catalog import Catalog, load
from kaito.catalog.hub import is_model_name
from kaito.controllers.kinds import CONFIG_MAPS, NODE_PARTS, NODES
from kaito.controllers.workspace.apply import Writer
from kaito.controllers.workspace.configs import Configs
from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.decision import Decision, Finalizer
from kaito.controllers.workspace.following import Following
from kaito.controllers.workspace.kinds import (
    CLAIMS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    JOBS,
    NETWORK_POLICIES,
    POD_PARTS,
    PODS,
    REVISIONS,
    SERVICES,
    STATEFUL_SETS,
    WORKSPACES,
)
from kaito.controllers.workspace.observation import Observation, Subject, preset_name
from kaito.controllers.workspace.observe import (
    CONFIG,
    INDEXES,
    WORKER,
    Stores,
    by_wish,
    by_workspace,
    free_nodes,
    observe,
    waiting_for,
    workers,
)
from kaito.controllers.workspace.order import ORDERS
from kaito.controllers.workspace.revisions import restored
from kaito.controllers.workspace.rollout import way_back
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import Strangers, Unread, noted
from kaito.controllers.workspace.ways import KINDS
from kaito.runtime import (
    Again,
    Applier,
    Change,
    Clock,
    Controller,
    EventRecorder,
    Key,
    Manager,
    annotations_changed,
    any_of,
    finalizers_changed,
    generation_changed,
    watch,
)

WORKERS = 5  # upstream's


class Reconciler:
    """Observes, decides and applies, for one key at a time."""

    def __init__(
        self,
        stores: Stores,
        configs: Configs,
        writer: Writer,
        recorder: EventRecorder,
        clock: Clock,
        catalog: Catalog,
        settings: Settings,
        strangers: Strangers | None,
        following: Following,
    ) -> None:
        self._stores = stores
        self._configs = configs
        self._writer = writer
        self._recorder = recorder
        self._clock = clock
        self._catalog = catalog
        self._settings = settings
        self._strangers = strangers
        self._following = following

    async def reconcile(self, key: Key) -> Again | None:
        """Bring one Workspace a step further."""
        workspace = self._stores.workspaces.object(key)
        if workspace is None:
            self._following.listen(key, None)
            await self._writer.orphans(key)
            return None
        # What is being deleted is not judged, and must not wait for a read that may fail.
        subject = Subject(workspace)
        leaving = subject.deleting
        config = None if leaving else await self._configs.of(workspace)
        observation = observe(self._stores, workspace, self._clock.now(), config)
        catalog, unread = self._known(observation)
        observation = replace(observation, unread=unread, progress=self._following.heard(key))
        if not (leaving or subject.tunes) and (good := way_back(observation)) is not None:
            earlier = restored(workspace, good.content)
            observation = replace(observation, good_config=await self._configs.of(earlier))
        decision = decide(observation, catalog, self._settings)
        self._following.listen(key, decision.listens)
        if decision.finalizer is Finalizer.ADD:
            if not await self._writer.hold(observation):
                return None
        elif await self._writer.too_late(decision, observation):
            return None  # the cache will hear of it, and wake us
        if decision.announces:
            await self._writer.status(decision, observation)
            self._tell(observation, decision)
        obstacles = await self._writer.objects(decision, observation)
        if obstacles:
            observation = replace(observation, obstacles=obstacles)
            decision = replace(decide(observation, catalog, self._settings), announces=False)
        await self._writer.rest(decision, observation)
        if not decision.announces:
            self._tell(observation, decision)
        return None if decision.look_again is None else Again.after(decision.look_again)

    def _tell(self, observation: Observation, decision: Decision) -> None:
        for event in decision.events:
            self._recorder.event(
                observation.workspace,
                type=event.type,
                reason=event.reason,
                message=event.message,
            )

    def _known(self, observation: Observation) -> tuple[Catalog, Unread | None]:
        """The catalogue with the Workspace's model in it, or why that is not known."""
        name = preset_name(observation.workspace)
        if not is_model_name(name) or self._catalog.find_model(name) is not None:
            return self._catalog, None
        subject = Subject(observation.workspace)
        known = noted(observation.workload, name)
        if known is not None:
            return self._catalog.with_model(known), None
        if self._strangers is None or subject.deleting:
            return self._catalog, None
        answer = self._strangers.ask(name)
        if isinstance(answer, Unread):
            return self._catalog, answer
        return self._catalog.with_model(answer), None


class Wakes:
    """Whom a change concerns."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def labelled(self, change: Change) -> Iterable[Key]:
        """The Workspace that the object's labels name."""
        return [Key(*named.split("/", 1)) for named in by_workspace(change)]

    def node(self, change: Change) -> Iterable[Key]:
        """The Workspace that a node was made for; for a node of nobody those that count it, and
        those that wait for one like it."""
        counted = self._stores.workspaces.by(WORKER, change.key.name)
        waiting = waiting_for(self._stores.workspaces, change.header.labels)
        return {*self.labelled(change), *counted, *waiting}

    def config(self, change: Change) -> Iterable[Key]:
        """Workspaces that name the ConfigMap."""
        return self._stores.workspaces.by(CONFIG, str(change.key))

    def rivals(self, change: Change) -> Iterable[Key]:
        """Workspaces that count the same nodes, or some that it may just have given up; of one that
        has gone, those that wait for them."""
        workspaces, nodes = self._stores.workspaces, self._stores.nodes
        found: set[Key] = set()
        for name in workers(change.object):
            found.update(workspaces.by(WORKER, name))
            header = nodes.header(Key("", name)) if change.kind == "deleted" else None
            if header is not None:
                found |= waiting_for(workspaces, header.labels)
        if not list(by_wish(change)):
            return found - {change.key}
        for node in free_nodes(nodes, change.object):
            found.update(workspaces.by(WORKER, node.name))
        # Itself as well: a node that is counted may be used once the claim to it is seen.
        return found


def build(
    manager: Manager,
    settings: Settings,
    catalog: Catalog | None = None,
    strangers: Strangers | None = None,
    kinds: Iterable[str] | None = None,
) -> None:
    """Add the workspace controller to a manager.

    `catalog` None takes the one KAITO comes with; without `strangers` no other model is served.
    `kinds` are those that ask for nodes and that the API server has, None where nobody knows: what
    was asked for in other ways than the one chosen is kept, and deleted with its Workspace. Kinds
    of the chosen way that come with KAITO are waited for; those of another provisioner may never
    come, and Workspaces say so.
    """
    mine = labels.WORKSPACE
    # A list from before an edit would have it taken back, and rolled out once more.
    workspaces = manager.informer(WORKSPACES, indexes=INDEXES["workspaces"], fill="pages")
    chosen, there = KINDS[settings.node_request], frozenset(kinds or ())
    awaited = kinds is None or nodepool.KIND not in chosen
    read = there.union(chosen) if awaited else there
    orders = {
        # As they are now, also after a restart: a cache of the past would have a model that serves
        # rolled out for nodes that it has left.
        kind: manager.informer(ORDERS[kind], labels=mine, indexes=INDEXES["orders"], fill="stream")
        for kind in ORDERS
        if kind in read
    }
    # Nodes that users bring carry labels of their own, so all nodes are seen, but little of each.
    nodes = manager.informer(NODES, indexes=INDEXES["nodes"], transform=NODE_PARTS)
    deployments = manager.informer(DEPLOYMENTS, labels=mine)
    stateful_sets = manager.informer(STATEFUL_SETS, labels=mine)
    jobs = manager.informer(JOBS, labels=mine)
    claims = manager.informer(CLAIMS, labels=mine)
    services = manager.informer(SERVICES, labels=mine)
    budgets = manager.informer(DISRUPTION_BUDGETS, labels=mine)
    policies = manager.informer(NETWORK_POLICIES, labels=mine)
    # Of ConfigMaps only which there are, for anybody's may be large: see Configs.
    configs = manager.informer(CONFIG_MAPS.metadata_only())
    pods = manager.informer(PODS, labels=mine, indexes=INDEXES["pods"], transform=POD_PARTS)
    revisions = manager.informer(REVISIONS, labels=mine, indexes=INDEXES["revisions"])
    stores = Stores(
        workspaces=workspaces.store,
        orders={kind: informer.store for kind, informer in orders.items()},
        nodes=nodes.store,
        deployments=deployments.store,
        stateful_sets=stateful_sets.store,
        jobs=jobs.store,
        claims=claims.store,
        services=services.store,
        disruption_budgets=budgets.store,
        network_policies=policies.store,
        pods=pods.store,
        revisions=revisions.store,
    )
    applier = Applier(manager.client, metrics=manager.metrics)
    following = Following(manager.client, manager.clock)
    manager.add_task("following", following.run)
    reconciler = Reconciler(
        stores,
        Configs(manager.client, configs.store),
        Writer(manager.client, applier, stores, manager.clock),
        manager.recorder,
        manager.clock,
        catalog or load(),
        settings,
        strangers,
        following,
    )
    wakes = Wakes(stores)
    manager.add(
        Controller(
            "workspace",
            reconciler.reconcile,
            # Without our finalizer a deletion would leave nodes behind, which cost money.
            primary=watch(
                workspaces,
                when=any_of(generation_changed, annotations_changed, finalizers_changed),
            ),
            owned=[
                watch(each)
                for each in (
                    deployments,
                    stateful_sets,
                    jobs,
                    services,
                    budgets,
                    policies,
                    claims,
                    revisions,
                )
            ],
            watches=[
                *(watch(informer, to=wakes.labelled) for informer in orders.values()),
                watch(nodes, to=wakes.node),
                watch(pods, to=wakes.labelled),
                watch(workspaces, to=wakes.rivals),
                watch(configs, to=wakes.config),
            ],
            workers=WORKERS,
        )
    )
