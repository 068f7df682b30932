"""A world of several claims of one workspace whose cluster can have few pools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kaito.provisioner import Pool, PoolState
from kaito.provisioner.claim import MACHINE, Dialect
from kaito.runtime import rfc3339
from test.unit.controllers.machine.world import POLICY, World, machine, merge
from test.unit.provisioner.machines import A10, A100, requirement

TYPES = [requirement("node.kubernetes.io/instance-type", A100, A10)]
FOREIGN = Pool(
    name="system", state=PoolState.READY, said="Succeeded", instance_type=A10, labels={"a": "b"}
)
SHARING = replace(POLICY, share_from=2)
"""With the foreign pool, one pool more is enough for everybody to share it."""


class Town(World):
    """Claims share pools as soon as there are two of them, the foreign one included."""

    def __init__(self, dialect: Dialect = MACHINE) -> None:
        super().__init__(dialect, SHARING)
        self.cloud.there["system"] = FOREIGN
        self.cloud.numbers["system"] = []
        self.cloud.most_pools = 2
        self.names: list[str] = []

    def ask(self, name: str, **spec: object) -> None:
        """A claim of this name, born now."""
        self.create(name, spec={"requirements": TYPES, "taints": [], **spec})
        born = {"metadata": {"creationTimestamp": rfc3339(self.clock.at)}}
        merge(self.objects.claims[name], born)
        if name not in self.names:
            self.names.append(name)

    def drop(self, name: str) -> None:
        """Ask for the claim's deletion."""
        if name in self.objects.claims:
            self.objects.delete(self.objects.claims, name)

    async def turns(self, rounds: int = 30, names: Iterable[str] = ()) -> None:
        """A turn for each claim, so many times."""
        for _ in range(rounds):
            for name in names or tuple(self.names):
                await self.turn(name)

    async def turn(self, name: str) -> None:
        """One claim's turn, and what must hold after each."""
        await self.step(name)
        self.check()

    def check(self) -> None:
        """What must hold at any moment."""
        assert self.cloud.there.get("system") == FOREIGN
        assert self.cloud.chosen == []
        owners: dict[str, str] = {}
        for name, claim in self.objects.claims.items():
            node = claim.get("status", {}).get("nodeName")
            if node in self.objects.nodes:
                assert node not in owners, f"{name} and {owners[node]} have one Node"
                owners[node] = name

    def upgrade(self, pool: str) -> None:
        """The pool's machines are replaced by as many others, and nobody sees it happen."""
        before, born = self.cloud.numbers[pool], self.cloud.born[pool]
        for number in before:
            self.objects.nodes.pop(machine(pool, number).name, None)
        self.cloud.numbers[pool] = list(range(born, born + len(before)))
        self.cloud.born[pool] = born + len(before)
        self.settle()

    def ready(self) -> list[str]:
        """The claims that are Ready."""
        there = self.objects.claims
        return [name for name in there if self.condition("Ready", name)[0] == "True"]

    def condition_of(self, name: str) -> str:
        """The reason of its MachineLaunched, "" when it has none."""
        conditions = self.objects.claims[name].get("status", {}).get("conditions", [])
        found = (each["reason"] for each in conditions if each["type"] == "MachineLaunched")
        return next(found, "")

    def machines(self) -> int:
        """How many machines of ours somebody pays for."""
        return sum(len(numbers) for numbers in self.cloud.numbers.values())

    def node_of(self, name: str) -> str:
        claim = self.claim(name)
        assert claim is not None
        return claim.status.node_name
