"""What is an archive and what is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kaito.engine.moving.archive import is_archive, zstd
from test.unit.engine.moving.layers import Made, layer


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
@pytest.mark.parametrize("members", [(), (Made("x" * 300, content=b"1"),)])
def test_an_archive_is_known_by_its_beginning(
    tmp_path: Path, packing: str, members: tuple[Made, ...]
) -> None:
    assert is_archive(layer(tmp_path, *members, packing=packing))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"x" * 10_000,
        gzip.compress(b'{"rows": 1}\n' * 1000, mtime=0),
        zstd.compress(b'{"rows": 1}\n' * 1000),
        gzip.compress(b"x" * 1000, mtime=0)[:30],
        b"\x1f\x8bnot at all",
        b"\x28\xb5\x2f\xfdnot at all",
    ],
)
def test_another_file_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert not is_archive(path)
