"""What all objects have: their metadata. For resources read as metadata alone."""

from __future__ import annotations

import msgspec


class Owner(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An owner reference, as far as mapping needs it."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """The metadata of an object. Timestamps are as the server writes them, "" when not set."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[Owner, ...] = ()


class PartialObject(msgspec.Struct, frozen=True):
    """An object of which only the metadata was asked for (meta/v1 PartialObjectMetadata)."""

    metadata: Metadata
