"""Addresses that no public data is at are seen, in whatever spelling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api.addresses import is_address, leads_inside
from kaito.api.patterns import URL, matches


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST.", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001",
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "224.0.0.1", "[::1]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[::ffff:10.0.0.1]",
        "[::10.0.0.1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2002:a00:1::]",
        "[2002:7f00:1::1]", "[::ffff:168.63.129.16]", "168.63.129.16", "metadata",
        "metadata.google.internal", "instance-data", "instance-data.ec2.internal", "kubernetes",
        "minio", "minio.data.svc", "x.cluster.local", "printer.local.",
    ],
)  # fmt: skip
def test_an_address_inside_is_seen_in_any_spelling(host: str) -> None:
    assert leads_inside(f"http://{host}:8080/data")


@pytest.mark.parametrize(
    "host",
    [
        "huggingface.co", "github.com", "8.8.8.8", "[2606:4700::1111]", "10.example.com",
        "[64:ff9b::8.8.8.8]", "[2002:808:808::1]", "[::ffff:8.8.8.8]", "local.example.org",
    ],
)  # fmt: skip
def test_a_public_address_is_let_through(host: str) -> None:
    assert is_address(f"https://{host}/data")
    assert not leads_inside(f"https://{host}/data")


@pytest.mark.parametrize("url", ["http://[1]/x", "http://[::1:]", "http://[fffff::]", "http://a:0"])
def test_what_only_looks_like_an_address_is_none(url: str) -> None:
    assert matches(URL, url)
    assert not is_address(url)
    assert not leads_inside(url)


@pytest.mark.parametrize("port", [65536, 99999999])
def test_a_port_that_cannot_be_is_none(port: int) -> None:
    assert not is_address(f"http://example.com:{port}/")


hosts = st.text(alphabet="0123456789abcdefx.:[]-_", max_size=24)


@settings(max_examples=50)
@given(st.from_regex(URL, fullmatch=True) | hosts.map(lambda host: f"http://{host}/") | st.text())
def test_any_text_is_understood_or_refused(url: str) -> None:
    assert is_address(url) in (True, False)
    assert not leads_inside(url) or is_address(url)
