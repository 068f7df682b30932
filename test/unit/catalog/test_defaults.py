"""What classes of transformers have for fields that are left out."""

from __future__ import annotations

from kaito.catalog.defaults import Defaults, defaults


def test_a_class_has_its_own_defaults() -> None:
    assert defaults("falcon") == Defaults(
        context=2048, layers=32, hidden=4544, heads=71, vocabulary=65024
    )
    assert defaults("mistral").context == 131072


def test_what_is_not_known_has_none() -> None:
    assert defaults("my_own") == defaults(None) == Defaults()
