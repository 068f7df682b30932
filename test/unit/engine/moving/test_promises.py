"""Digests that are named beforehand."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from kaito.engine.moving.promises import broken, of_fragment, of_headers

CONTENT = b"rows\n"
HEX = {name: hashlib.new(name, CONTENT).hexdigest() for name in ("sha256", "sha512", "md5")}


def coded(name: str) -> str:
    return base64.b64encode(bytes.fromhex(HEX[name])).decode()


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Repr-Digest": f"sha-256=:{coded('sha256')}:"}, {"sha256"}),
        ({"Digest": f"SHA-256={coded('sha256')}, md5=AAAA"}, {"sha256"}),
        ({"Repr-Digest": f"sha-512=:{coded('sha512')}:, unixsum=:AAAA:"}, {"sha512"}),
        ({"Content-MD5": coded("md5")}, {"md5"}),
        ({"X-Linked-Etag": f'"{HEX["sha256"]}"'}, {"sha256"}),
        # Of a part it is the part's.
        ({"Content-MD5": coded("md5"), "Content-Range": "bytes 1-2/3"}, set()),
        ({"Repr-Digest": "sha-256=:AAAA:"}, set()),
        ({"Content-MD5": "no base64"}, set()),
        ({"ETag": f'"{HEX["sha256"]}"'}, set()),
    ],
)
def test_headers_name_digests_of_the_whole_file(headers: dict[str, str], found: set[str]) -> None:
    assert of_headers(headers) == {name: HEX[name] for name in found}


def test_a_url_may_ask_for_a_digest() -> None:
    assert of_fragment(f"https://h.io/a#sha256={HEX['sha256'].upper()}") == {
        "sha256": HEX["sha256"]
    }
    assert of_fragment("https://h.io/a#page=2") == {}
    with pytest.raises(ValueError, match="sha256=12"):
        of_fragment("https://h.io/a#sha256=12")


def test_one_that_is_not_kept_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert broken(path, HEX) == ""
    assert broken(path, {**HEX, "md5": "0" * 32}) == "md5"
