"""Where the API server reaches this machine: one place, and one sentence for all that is none."""

from __future__ import annotations

import pytest

from kaito.cli.webhook import Origin
from kaito.controllers.workspace.webhook import PATH
from kaito.runtime import Address


@pytest.mark.parametrize(
    ("text", "listening", "url"),
    [
        ("https://127.0.0.1:9443", Address("127.0.0.1", 9443), "https://127.0.0.1:9443"),
        ("https://localhost:9443/", Address("localhost", 9443), "https://localhost:9443"),
        ("https://[::1]:9443", Address("::1", 9443), "https://[::1]:9443"),
        ("https://laptop.example.com", Address("", 443), "https://laptop.example.com:443"),
        ("HTTPS://10.0.0.7:65535", Address("", 65535), "https://10.0.0.7:65535"),
    ],
)
def test_a_place_says_where_to_listen_and_what_the_server_is_told(
    text: str, listening: Address, url: str
) -> None:
    origin = Origin.parse(text)
    assert origin.listening == listening
    assert origin.url(listening) == url + PATH


def test_port_0_is_the_one_that_is_listened_on() -> None:
    origin = Origin.parse("https://127.0.0.1:0")
    assert origin.listening == Address("127.0.0.1", 0)
    assert origin.url(Address("127.0.0.1", 40123)) == f"https://127.0.0.1:40123{PATH}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host:9443",
        "http://host:9443",
        "https://",
        "https://:9443",
        "https://host:99999",
        "https://host:-1",
        "https://host:many",
        "https://[::1",
        "https://[fe80::1%eth0]:1",
        "https://[host]:1",
        "https://host:1?x=y",
        "https://host:1#x",
        "https://host:1/path",
        "https://u:p@host:1",
        "https://u@host:1",
        "https://a b:1",
        "https://höst:1",
        "https://a_b:1",
        "https://-host:1",
        "https://h\x1b[2J:1",
    ],
)
def test_what_is_no_place_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no place .*; write https://HOST:PORT\.$") as told:
        Origin.parse(text)
    assert str(told.value).isprintable()


def test_a_password_is_not_said_back() -> None:
    with pytest.raises(ValueError, match=r"'https://\.\.\.@host:1' is no place") as told:
        Origin.parse("https://ann:hunter2@host:1")
    assert "hunter2" not in str(told.value)
