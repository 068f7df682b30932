"""What manifests say."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.engine.moving.manifest import Image, Index, read

DIGEST = "sha256:" + "0" * 64


def part(**more: Any) -> dict[str, Any]:
    return {"mediaType": "application/x", "digest": DIGEST, "size": 3, **more}


def said(**wire: Any) -> Image | Index:
    return read(json.dumps({"schemaVersion": 2, **wire}).encode())


def index(*platforms: dict[str, str] | None) -> Index:
    manifests = [
        part(size=size, **({"platform": platform} if platform else {}))
        for size, platform in enumerate(platforms)
    ]
    found = said(manifests=manifests)
    assert isinstance(found, Index)
    return found


AMD = {"os": "linux", "architecture": "amd64"}
ARM = {"os": "linux", "architecture": "arm64"}
UNKNOWN = {"os": "unknown", "architecture": "unknown"}  # an attestation of BuildKit's


@pytest.mark.parametrize(
    ("platforms", "machine", "chosen"),
    [
        ([ARM, AMD], "x86_64", 1),
        ([ARM, AMD], "aarch64", 0),
        ([ARM, AMD], "riscv64", None),
        ([ARM, UNKNOWN], "x86_64", 0),
        ([None], "x86_64", 0),
        ([ARM, None], "x86_64", 1),
        ([None, None], "x86_64", None),
        ([UNKNOWN], "x86_64", None),
        ([], "x86_64", None),
    ],
)
def test_of_several_the_machines_own_is_taken(
    platforms: list[dict[str, str] | None], machine: str, chosen: int | None
) -> None:
    found = index(*platforms).chosen(machine)
    assert (None if found is None else found.size) == chosen


@pytest.mark.parametrize(
    ("wire", "archive", "title"),
    [
        ({"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}, True, ""),
        ({"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}, True, ""),
        ({"annotations": {"io.deis.oras.content.unpack": "true"}}, True, ""),
        ({"annotations": {"org.opencontainers.image.title": "a.csv"}}, False, "a.csv"),
        ({"annotations": None}, False, ""),
    ],
)
def test_a_layer_says_what_it_is(wire: dict[str, Any], archive: bool, title: str) -> None:
    found = said(layers=[part(**wire)])
    assert isinstance(found, Image)
    (layer,) = found.layers
    assert (layer.may_be_archive, layer.title) == (archive, title)


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"layers": {}},
        {"layers": [3]},
        {"layers": [{}]},
        {"layers": [part(digest="md5:12")]},
        {"layers": [part(digest="sha256:../../x")]},
        {"layers": [part(size=-1)]},
        {"layers": [part(size="3")]},
        {"layers": [part(size=True)]},
        {"layers": [part(annotations=["x"])]},
        {"manifests": 3},
        {"layers": [part()] * 10_001},
    ],
)
def test_what_is_not_described_is_refused(wire: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="its manifest"):
        said(**wire)


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["schemaVersion", "layers", "manifests", "digest", "size"]), inner
            )
        ),
    )
)
def test_any_json_is_read_or_refused(wire: Any) -> None:
    said: Any = None
    with contextlib.suppress(ValueError):
        said = read(json.dumps(wire).encode())
    assert said is None or isinstance(said, Image | Index)


def test_json_that_is_nested_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="no JSON"):
        read(b"[" * 100_000)
