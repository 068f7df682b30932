"""The feed asks again every minute; a minute takes no time here."""

from __future__ import annotations

import feed
from feed import CONFIG_MAPS, LABEL, PERIOD, UnknownCurrency

from kaito.runtime import Client, Key, Object
from kaito.testing import CapturedEvents, Cluster, VirtualClock, eventually, running

RATE = Key("default", "rate")


def config_map(currency: str) -> Object:
    metadata = {"name": RATE.name, "namespace": RATE.namespace, "labels": {LABEL: currency}}
    return {"metadata": metadata}


async def test_a_rate_is_copied_every_minute(
    kube: Cluster, kube_client: Client, virtual_clock: VirtualClock
) -> None:
    asked: list[str] = []

    async def rate(currency: str) -> str:
        asked.append(currency)
        return f"1.{len(asked)}"

    async def stored(wanted: str) -> bool:
        found = await kube_client.get(CONFIG_MAPS, RATE)
        return bool(found.get("data", {}).get("rate") == wanted)

    await kube_client.create(CONFIG_MAPS, config_map("EUR"))
    async with running(feed.build(kube.client(field_manager="feed"), rate, virtual_clock)):
        await eventually(lambda: stored("1.1"), kube)
        await virtual_clock.advance(PERIOD - 1)
        assert asked == ["EUR"]
        await virtual_clock.advance(1)
        await eventually(lambda: stored("1.2"), kube)
        await virtual_clock.advance(10 * PERIOD)
        await eventually(lambda: stored("1.12"), kube)


async def test_a_currency_that_is_not_known_is_told_and_not_asked_for_again(
    kube: Cluster, kube_client: Client, virtual_clock: VirtualClock, kube_events: CapturedEvents
) -> None:
    asked: list[str] = []

    async def rate(currency: str) -> str:
        asked.append(currency)
        raise UnknownCurrency(f"There is no currency {currency}.")

    await kube_client.create(CONFIG_MAPS, config_map("XYZ"))
    async with running(feed.build(kube.client(field_manager="feed"), rate, virtual_clock)):
        events = await eventually(lambda: kube_events.about(RATE.name), kube)
        await virtual_clock.advance(100 * PERIOD)
    assert [(event.reason, event.message) for event in events] == [
        ("Unknown", "There is no currency XYZ.")
    ]
    assert asked == ["XYZ"]
