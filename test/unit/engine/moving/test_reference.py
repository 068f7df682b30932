"""Names of images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.moving.reference import parse

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("r.io/a/b:v1", "https://r.io/v2/a/b/manifests/v1"),
        ("r.io/a", "https://r.io/v2/a/manifests/latest"),
        ("127.0.0.1:5000/a:v1", "https://127.0.0.1:5000/v2/a/manifests/v1"),
        ("localhost/a", "https://localhost/v2/a/manifests/latest"),
        ("[::1]:5000/a", "https://[::1]:5000/v2/a/manifests/latest"),
        ("busybox", "https://registry-1.docker.io/v2/library/busybox/manifests/latest"),
        ("docker.io/me/a:1", "https://registry-1.docker.io/v2/me/a/manifests/1"),
        ("me/a:1", "https://registry-1.docker.io/v2/me/a/manifests/1"),
        (f"r.io/a@{DIGEST}", f"https://r.io/v2/a/manifests/{DIGEST}"),
        (f"r.io/a:v1@{DIGEST}", f"https://r.io/v2/a/manifests/{DIGEST}"),
    ],
)
def test_a_name_leads_to_a_manifest(text: str, url: str) -> None:
    found = parse(text)
    assert found.manifest(found.wanted) == url
    assert found.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "r.io/",
        "r.io/A:v1",
        "r.io/a:",
        "r.io/a:v 1",
        "r.io/a@sha256:12",
        "r.io/a@v1",
        "https://r.io/a",
        "r.io/../a",
        "r.io/a//b",
        "r.io:/a",
        "u:p@r.io/a",
        "r.io/" + "a" * 300,
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


@given(st.text())
def test_no_name_leads_out_of_its_registry(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert not {*found.repository} & {*"?#%@: ", "\\", "\n"}
    assert not {*found.host} & {*"/?#%@ ", "\\", "\n"}
