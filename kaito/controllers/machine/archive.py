"""Keeps the ledger in a ConfigMap: read at the start, written seldom, never waited for.

Two daemons do not tear it: a write says which version it replaces, and whoever comes second takes
in what the first has written. An API server that refuses is told of once; the ledger goes on in
memory.
"""

from __future__ import annotations

import structlog

from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.machine.ledger import Ledger, decode, encode
from kaito.provisioner.settings import CONFIG_NAMESPACE
from kaito.runtime import (
    AlreadyExists,
    Client,
    Clock,
    Conflict,
    Key,
    NotFound,
    Object,
    RuntimeFailure,
)

LEDGER = Key(CONFIG_NAMESPACE, "kaito-provisioner-ledger")
ENTRIES = "entries"
"""The key of its data: a line of JSON for each entry."""
PERIOD = 4
"""In polls between two looks whether there is something to write: a minute by default."""

log = structlog.get_logger("kaito.controllers.machine.ledger")


class Archive:
    """Reads and writes the ConfigMap while `run` runs."""

    def __init__(
        self, client: Client, ledger: Ledger, *, clock: Clock, poll_seconds: float
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._clock = clock
        self._poll = poll_seconds
        self._version = ""
        """Of the ConfigMap as we know it, "" when there is none."""
        self._read = False
        self._trouble = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.sync()
            await self._clock.sleep(PERIOD * self._poll)

    async def sync(self) -> None:
        """Read it if that has not been done, and write what has changed. Raises nothing for what
        the API server refuses."""
        try:
            if not self._read:
                await self._take_in()
            if self._ledger.changed:
                await self._write()
        except (Conflict, AlreadyExists):
            # Somebody else wrote: at the next time, with what they wrote.
            self._read = False
        except RuntimeFailure as error:
            if self._trouble != str(error):
                log.warning("ledger not kept", error=str(error))
            self._trouble = str(error)
        else:
            self._trouble = ""

    async def _take_in(self) -> None:
        try:
            found = await self._client.get(CONFIG_MAPS, LEDGER)
        except NotFound:
            self._version = ""
        else:
            self._version = found["metadata"]["resourceVersion"]
            text = (found.get("data") or {}).get(ENTRIES, "")
            written = decode(text)
            unsaved = self._ledger.changed
            self._ledger.merge(written)
            self._ledger.changed = unsaved or list(self._ledger.entries()) != written
        self._read = True

    async def _write(self) -> None:
        metadata: Object = {"name": LEDGER.name, "namespace": LEDGER.namespace}
        written: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {ENTRIES: encode(self._ledger.entries())},
        }
        # What is entered while the request is on its way is written the next time.
        self._ledger.changed = False
        try:
            if self._version:
                metadata["resourceVersion"] = self._version
                stored = await self._client.update(CONFIG_MAPS, written)
            else:
                stored = await self._client.create(CONFIG_MAPS, written)
        except NotFound:
            # Deleted by somebody, who did not want what it said.
            self._version = ""
            self._ledger.changed = True
            raise
        except BaseException:
            self._ledger.changed = True
            raise
        self._version = stored["metadata"]["resourceVersion"]


async def read_ledger(client: Client) -> Ledger:
    """The ledger as it was last written; empty when there is none. Raises RuntimeFailure."""
    try:
        found = await client.get(CONFIG_MAPS, LEDGER)
    except NotFound:
        return Ledger()
    return Ledger(decode((found.get("data") or {}).get(ENTRIES, "")))
