"""Protobuf bodies, as kubectl writes them."""

from __future__ import annotations

import pytest

from kaito.local.apiserver import protobuf
from kaito.local.apiserver.schema import TypeTable

TYPES = TypeTable()


def field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2, len(data))) + data


def envelope(version: bytes, kind: bytes, raw: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, version) + field(2, kind)) + field(2, raw)


def test_a_config_map_is_read() -> None:
    metadata = field(1, b"name") + field(8, b"")  # an empty time is no time
    entry = field(1, b"key") + field(2, b"value")
    raw = field(1, metadata) + field(2, entry)
    assert protobuf.decode(envelope(b"v1", b"ConfigMap", raw), TYPES, "V1ConfigMap") == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "name"},
        "data": {"key": "value"},
    }


@pytest.mark.parametrize(
    "body", [b"", b"k8s\0\xff", b"{}", b"k8s\0\x0a\x7f", envelope(b"v1", b"ConfigMap", b"\x08\x01")]
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(protobuf.ProtobufError):
        protobuf.decode(body, TYPES, "V1ConfigMap")
