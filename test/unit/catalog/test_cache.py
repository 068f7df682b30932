"""Groups of layers: what each kind keeps of a sequence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.cache import Cache

FULL = Cache(kind="full", layers=4, kv_heads=8, head_dim=128)
SLIDING = Cache(kind="sliding", layers=4, kv_heads=8, head_dim=128, window=1000)
LATENT = Cache(kind="latent", layers=61, rank=576)
COMPRESSED = Cache(kind="latent", layers=21, rank=512, stride=4)
STATE = Cache(kind="state", layers=3, bytes=1_000_000)


def test_full_attention_keeps_keys_and_values_of_every_token() -> None:
    assert FULL.values_per_entry == 2 * 4 * 8 * 128
    assert FULL.bytes_of(5000, value_bytes=2) == 5000 * 2 * 2 * 4 * 8 * 128


def test_a_sliding_window_keeps_no_more_than_the_window() -> None:
    assert SLIDING.bytes_of(999, value_bytes=2) == FULL.bytes_of(999, value_bytes=2)
    assert SLIDING.bytes_of(5000, value_bytes=2) == FULL.bytes_of(1000, value_bytes=2)


def test_a_latent_cache_keeps_its_rank() -> None:
    assert LATENT.bytes_of(10, value_bytes=2) == 10 * 2 * 61 * 576


def test_tokens_that_share_an_entry_are_kept_once() -> None:
    assert COMPRESSED.bytes_of(10, value_bytes=1) == 3 * 21 * 512


def test_a_latent_cache_may_keep_a_window_alone() -> None:
    recent = Cache(kind="latent", layers=43, rank=512, window=128)
    assert recent.bytes_of(10**6, value_bytes=1) == 128 * 43 * 512


def test_a_state_keeps_the_same_however_long_the_sequence_and_narrow_the_values() -> None:
    assert STATE.values_per_entry == 0
    assert STATE.bytes_of(1, value_bytes=2) == STATE.bytes_of(10**6, value_bytes=1) == 3_000_000


@given(
    group=st.sampled_from([FULL, SLIDING, LATENT, COMPRESSED, STATE]),
    tokens=st.integers(0, 10**7),
    more=st.integers(0, 10**7),
)
def test_a_longer_sequence_never_takes_less(group: Cache, tokens: int, more: int) -> None:
    assert group.bytes_of(tokens, value_bytes=2) <= group.bytes_of(tokens + more, value_bytes=2)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"kind": "full", "kv_heads": 8}, "a full cache is told by layers, kv_heads, head_dim"),
        ({"kind": "full", "kv_heads": 8, "head_dim": 1, "window": 9}, "a full cache is told by"),
        ({"kind": "sliding", "kv_heads": 8, "head_dim": 128}, "head_dim, window alone"),
        ({"kind": "latent", "bytes": 3}, "a latent cache is told by layers, rank alone"),
        ({"kind": "latent", "rank": 3, "stride": 0}, "stride of a cache is 0"),
        ({"kind": "state", "bytes": 3, "stride": 4}, "a state cache has no stride"),
        ({"kind": "state"}, "a state cache is told by layers, bytes alone"),
        ({"kind": "state", "bytes": 0}, "bytes of a cache is 0, but must be at least 1"),
        ({"kind": "state", "bytes": 1, "layers": 0}, "layers of a cache is 0"),
    ],
)
def test_a_group_without_its_sizes_is_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cache(**{"layers": 1, **sizes})
