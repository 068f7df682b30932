"""The authorities in a bundle: none that lives is pushed out for good, and the bundle settles."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from functools import partial
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.local.pki import ensure_pki
from kaito.runtime import Call, Client, Object, Reply, authority
from kaito.runtime.authority import VALIDATING, make_certificate
from kaito.runtime.bundles import KEPT, LIVE, Bundles, authority_of, with_authority
from kaito.runtime.conflicts import TRIES
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOW = (BEGIN + dt.timedelta(hours=1)).timestamp()
GARBAGE = "-----BEGIN CERTIFICATE-----\nzz\n-----END CERTIFICATE-----\n"


def make(*, ours: bool = True, days: int = 7) -> str:
    """An authority; one of somebody else is of another organisation, and signed by itself, too."""
    with pytest.MonkeyPatch.context() as patch:
        if not ours:
            patch.setattr(authority, "ORGANISATION", "somebody else")
        return make_certificate(["x"], BEGIN, BEGIN + dt.timedelta(days=days))[0]


POOL = [make() for _ in range(2 * KEPT)]
THEIRS = make(ours=False)


def look(bundle: str, pem: str) -> str:
    return with_authority(bundle, pem, NOW)


def after(*looks: str, bundle: str = "") -> str:
    for pem in looks:
        bundle = look(bundle, pem)
    return bundle


def test_two_replicas_are_trusted_throughout_forty_restarts_of_a_third() -> None:
    one, two, *restarts = POOL[:42]
    bundle = after(one, two)
    for restart in restarts:
        bundle = look(bundle, restart)
        assert one in bundle
        assert two in bundle
    settled = after(one, two, restarts[-1], bundle=bundle)
    assert all(pem in settled for pem in (one, two, restarts[-1]))
    assert after(one, two, restarts[-1], bundle=settled) == settled


def test_restarts_without_end_push_out_no_replica_that_looks_now_and_then() -> None:
    one, two = POOL[:2]
    bundle = after(one, two)
    for number, restart in enumerate(POOL[2:]):
        bundle = look(bundle, restart)
        assert one in bundle
        assert two in bundle
        if number % (KEPT - LIVE) == 0:
            bundle = after(one, two, bundle=bundle)


@settings(max_examples=5)  # each is hundreds of looks
@given(
    live=st.lists(st.integers(0, LIVE - 1), max_size=30),
    dead=st.lists(st.integers(LIVE, len(POOL) - 1), max_size=KEPT),
    draw=st.randoms(use_true_random=False),
)
def test_as_many_as_settle_do_so_whatever_came_before(
    live: list[int], dead: list[int], draw: Random
) -> None:
    before = [*live, *dead]
    draw.shuffle(before)
    bundle = after(*(POOL[number] for number in before))
    # Each is added if it is not there, and passes those of the dead once.
    for _ in range(1 + LIVE):
        earlier, bundle = bundle, after(*POOL[:LIVE], bundle=bundle)
        if bundle == earlier:
            break
    assert all(pem in bundle for pem in POOL[:LIVE])
    assert bundle.count("BEGIN") <= KEPT
    assert after(*POOL[:LIVE], bundle=bundle) == bundle


def test_ours_stays_where_it_is_while_few_are_newer() -> None:
    bundle = after(*POOL[:LIVE])
    assert look(bundle, POOL[0]) == bundle


def test_ours_gets_into_a_full_bundle_and_the_oldest_makes_room() -> None:
    full = after(*POOL[:KEPT])
    found = look(full, POOL[KEPT])
    assert POOL[KEPT] in found
    assert POOL[0] not in found
    assert found.count("BEGIN") == KEPT


def test_ours_that_have_ended_go() -> None:
    ended = make(days=0)
    assert look(ended, POOL[0]) == POOL[0]


def test_authorities_of_others_stay_in_front() -> None:
    assert look(POOL[1] + THEIRS, POOL[0]) == THEIRS + POOL[1] + POOL[0]


def test_what_cannot_be_read_is_no_reason_to_drop_the_others() -> None:
    found = look(THEIRS + GARBAGE + POOL[1], POOL[0])
    assert found == THEIRS + GARBAGE + POOL[1] + POOL[0]


def test_a_chain_brings_its_authority_if_that_is_signed_by_itself(tmp_path: Path) -> None:
    pki = ensure_pki(tmp_path, NOW)
    leaf = pki.certificate.read_text()
    assert authority_of(leaf) == ""
    assert authority_of(leaf + pki.ca_pem()) == pki.ca_pem()
    assert authority_of(THEIRS) == THEIRS
    assert authority_of("") == ""
    with pytest.raises(ValueError, match=r"PEM"):
        authority_of(GARBAGE)


# In configurations


def configure(api: FakeApi, bundle: bytes = b"") -> None:
    config: Object = {"url": "https://h"}
    if bundle:
        config["caBundle"] = base64.b64encode(bundle).decode()
    api.put(VALIDATING, "w", webhooks=[{"name": "w", "clientConfig": config}])


def bundle_in(api: FakeApi) -> bytes | None:
    config = (api.object(VALIDATING, "w") or {})["webhooks"][0]["clientConfig"]
    return base64.b64decode(config["caBundle"]) if "caBundle" in config else None


def refuse_updates(api: FakeApi, times: int) -> None:
    left = iter(range(times))

    def fault(call: Call) -> Reply | None:
        if call.method == "PUT" and next(left, None) is not None:
            return ScriptedReply.refusal(409, "Conflict", "somebody wrote first")
        return None

    api.fault = fault


@pytest.fixture
def bundles(client: Client, clock: VirtualClock) -> Bundles:
    return Bundles(client, [(VALIDATING, "w")], clock=clock)


async def test_who_was_not_first_adds_to_what_the_other_wrote(
    api: FakeApi, clock: VirtualClock, bundles: Bundles
) -> None:
    configure(api)
    mine, other = POOL[:2]
    puts = 0

    def fault(call: Call) -> None:
        nonlocal puts
        puts += call.method == "PUT"
        if puts == 1:
            puts += 1
            configure(api, other.encode())

    api.fault = fault
    change = partial(with_authority, pem=mine, now=NOW)
    changing = asyncio.create_task(bundles.change(change))
    await clock.run_until(changing.done)
    assert changing.result() == ""
    assert bundle_in(api) == (other + mine).encode()


async def test_who_is_never_first_gives_up_and_says_so(
    api: FakeApi, clock: VirtualClock, bundles: Bundles
) -> None:
    configure(api)
    refuse_updates(api, times=1000)
    changing = asyncio.create_task(bundles.change(lambda _: POOL[0]))
    assert await clock.run_until(changing.done) > 0, "it pauses in between"
    assert "somebody wrote first" in changing.result()
    assert len(api.writes()) == TRIES


async def test_bytes_that_are_no_text_survive(api: FakeApi, bundles: Bundles) -> None:
    foreign = THEIRS.encode().replace(b"-----END", b"\xff\xfe\n-----END")
    configure(api, foreign)
    await bundles.change(lambda text: text + POOL[0])
    assert bundle_in(api) == foreign + POOL[0].encode()


async def test_no_authority_is_no_bundle(api: FakeApi, bundles: Bundles) -> None:
    configure(api, POOL[0].encode())
    assert await bundles.change(lambda _: "") == ""
    assert bundle_in(api) is None


async def test_a_bundle_that_is_right_is_not_written(api: FakeApi, bundles: Bundles) -> None:
    configure(api, POOL[0].encode())
    assert await bundles.change(lambda _: POOL[0]) == ""
    assert api.writes() == []
