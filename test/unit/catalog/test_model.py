"""What follows from a model's shape."""

from __future__ import annotations

from kaito.catalog.cache import Cache
from kaito.catalog.model import Model


def test_a_model_of_like_layers_has_one_group_that_agrees_with_its_scalars() -> None:
    model = Model(name="a/b", layers=40, heads=40, kv_heads=10, head_dim=128)
    assert model.cache_groups == (Cache(kind="full", layers=40, kv_heads=10, head_dim=128),)
    assert model.cache_groups[0].bytes_of(1, value_bytes=2) == model.kv_bytes_per_token


def test_latent_attention_has_one_group_that_agrees_with_its_scalars() -> None:
    model = Model(
        name="a/b", layers=61, kv_heads=128, head_dim=56, kv_lora_rank=512, rope_head_dim=64
    )
    assert model.cache_groups == (Cache(kind="latent", layers=61, rank=576),)
    assert model.cache_groups[0].bytes_of(1, value_bytes=2) == model.kv_bytes_per_token


def test_groups_that_are_written_down_win() -> None:
    groups = (Cache(kind="state", layers=3, bytes=9),)
    model = Model(name="a/b", layers=4, kv_heads=1, head_dim=1, caches=groups)
    assert model.cache_groups is groups


def test_a_model_whose_shape_is_not_known_has_no_groups() -> None:
    assert Model(name="a/b").cache_groups is None
    assert Model(name="a/b", layers=4).cache_groups is None
