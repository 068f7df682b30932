"""A webhook configuration that a process makes for itself: one that names a URL.

In a cluster a configuration is installed and names a Service. Outside, whoever listens at a URL
makes it, mends it, and takes it away at the end. Several such processes may share one: the last
to start is asked, and one that was there before is again when that has ended. What is installed
for a Service is never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock
from kaito.runtime.comparison import would_change
from kaito.runtime.conflicts import past_conflicts
from kaito.runtime.errors import NotFound, RuntimeFailure, describe
from kaito.runtime.resource import Key, Object, Resource

CHECK_SECONDS = 10.0  # until the next look when all is well
UNTRUSTED_SECONDS = 2.0  # until the next look while calls to us would fail

log = structlog.get_logger("kaito.runtime.registration")


class Upkeep(Protocol):
    """Something in the cluster that is looked at again and again, and mended."""

    def unready(self) -> str:
        """A readiness check: what was wrong at the last look, "" if nothing."""

    async def ensure(self) -> None:
        """Look, and mend. What cannot be mended is told by `unready`, never raised."""


async def keep(upkeep: Upkeep, clock: Clock) -> None:
    """Look after it until cancelled."""
    while True:
        await upkeep.ensure()
        await clock.sleep(UNTRUSTED_SECONDS if upkeep.unready() else CHECK_SECONDS)


class Registration:
    """Has the API server ask this process, which listens already, while it runs.

    `wanted` makes the configuration, which names URLs, and is first called at the first look. It
    spells out what a server would add to a rule (`scope`), or each look writes it again.
    `trust` is looked after as soon as the configuration leads here.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource[Object],
        name: str,
        wanted: Callable[[], Object],
        trust: Upkeep,
        *,
        clock: Clock,
    ) -> None:
        self._client = client
        self._resource = resource
        self._name = name
        self._wanted = wanted
        self._trust = trust
        self._clock = clock
        self._trouble = "no webhook configuration leads to this process yet"
        self._made = False

    def unready(self) -> str:
        """A readiness check: why this process is not asked, "" when it is."""
        return self._trouble or self._trust.unready()

    async def ensure(self) -> None:
        """Make the configuration or mend it, unless it is somebody else's."""
        try:
            trouble = await self._ensure()
        except RuntimeFailure as error:
            trouble = f"the {self._resource.kind} {self._name} cannot be written: {error}"
        if trouble and trouble != self._trouble:
            log.warning("webhook not asked", why=trouble)
        self._trouble = trouble
        if not trouble:
            await self._trust.ensure()

    async def obstacle(self) -> str:
        """What keeps a configuration from being made here at all, and the way out; "" if nothing.

        Raises what Client.get raises, save NotFound.
        """
        return self._installed(await self._found())

    async def withdraw(self) -> None:
        """Remove the configuration if this process has made it and it still leads here."""
        if not self._made:
            return
        try:
            await past_conflicts(self._clock, self._withdraw)
        except NotFound:
            return
        except RuntimeFailure as error:
            # How this process ends is for others to say.
            log.warning(
                "webhook left behind",
                **describe(error),
                hint=f"kubectl delete {self._resource.plural} {self._name}",
            )

    async def _withdraw(self) -> None:
        found = await self._client.get(self._resource, Key("", self._name))
        if _targets(found) == _targets(self._wanted()):
            metadata = found["metadata"]
            await self._client.delete(
                self._resource,
                Key("", self._name),
                uid=metadata["uid"],
                resource_version=metadata["resourceVersion"],
            )

    async def _ensure(self) -> str:
        found, wanted = await self._found(), self._wanted()
        installed = self._installed(found)
        if installed:
            return installed
        there = _targets(found)
        if found and there != _targets(wanted):
            if self._made:
                return (
                    f"the {self._resource.kind} {self._name} leads to {', '.join(there)}, where "
                    "another process is asked; this one is when that ends, or the configuration "
                    "is deleted"
                )
            log.warning("webhook taken over", of=there)
        if not found or would_change(found, wanted, manager=self._client.field_manager):
            await self._client.apply(self._resource, wanted)
            log.info("webhook registered", name=self._name, at=_targets(wanted))
        self._made = True
        return ""

    def _installed(self, found: Object) -> str:
        services = [config["service"] for config in _configs(found) if config.get("service")]
        if not services:
            return ""
        return (
            f"the {self._resource.kind} {self._name} is installed for "
            f"{_service(services[0])}; remove it with kubectl delete "
            f"{self._resource.plural} {self._name}"
        )

    async def _found(self) -> Object:
        try:
            return await self._client.get(self._resource, Key("", self._name))
        except NotFound:
            return {}


def _configs(configuration: Object) -> list[Object]:
    return [webhook["clientConfig"] for webhook in configuration.get("webhooks") or ()]


def _targets(configuration: Object) -> tuple[str, ...]:
    """Where a configuration leads."""
    return tuple(
        config.get("url") or _service(config["service"]) for config in _configs(configuration)
    )


def _service(service: Object) -> str:
    return f"the Service {service['namespace']}/{service['name']}"
