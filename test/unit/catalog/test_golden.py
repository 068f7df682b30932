"""A file that people read holds the estimates of every model, so that a change shows what it does.

The catalogue's own models must be in it, all of them.
"""

from __future__ import annotations

from hack.estimates import DOCS, GOLDEN, SIZES, documented, golden
from kaito.catalog.catalog import load

CATALOG = load()


def test_the_estimates_of_the_catalogue_are_as_written_down() -> None:
    written = GOLDEN.read_text("utf-8").splitlines()
    now = golden(CATALOG).splitlines()
    changed = [f"- {old}\n+ {new}" for old, new in zip(written, now, strict=False) if old != new]
    assert not changed, (
        f"{len(changed)} estimates are others than in {GOLDEN.name}; run make manifests, and read "
        "the difference before you commit it:\n" + "\n".join(changed[:5])
    )
    assert len(written) == len(now), f"run make manifests: {GOLDEN.name} has other models"


def test_the_comparisons_in_the_documentation_are_current() -> None:
    text = DOCS.read_text("utf-8")
    assert documented(CATALOG, text) == text, f"run make manifests: a table in {DOCS.name} is old"


def test_every_model_is_there_once_for_each_size() -> None:
    text = GOLDEN.read_text("utf-8")
    for model in CATALOG.models.values():
        assert text.count(f"\n{model.name} ") == len(SIZES), model.name


def test_the_file_fits_a_wide_terminal() -> None:
    assert max(map(len, GOLDEN.read_text("utf-8").splitlines())) <= 132
