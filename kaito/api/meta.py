"""What every Kubernetes object shares, as far as KAITO reads or writes it.

The models here hold wire names as aliases, keep fields that they do not know, and are frozen.
They fill in no defaults that the API server would not: what was absent stays absent on a round
trip. Nothing in this module knows a kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

# What an object is must be said even by those who leave it to the model.
_IDENTITY = frozenset(["api_version", "kind"])


class Wire(BaseModel):
    """Base of everything that travels: camelCase on the wire, unknown fields kept, frozen.

    Python calls the fields by their own names. What comes from outside is read by wire names alone:
    another name is a field that we do not know.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="allow",
        frozen=True,
    )

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        """An object from outside. ValidationError where it does not fit."""
        return super().model_validate(obj, **{"by_name": False, "by_alias": True, **how})

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **how: Any) -> Self:
        """An object from outside, as JSON. ValidationError where it does not fit."""
        return super().model_validate_json(json_data, **{"by_name": False, "by_alias": True, **how})

    @model_serializer(mode="wrap")
    def _absent_stays_absent(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        wire: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if not self._given(name, field):
                key = (field.alias or name) if info.by_alias else name
                if not (name in _IDENTITY and wire.get(key)):
                    wire.pop(key, None)
        return wire

    def _given(self, name: str, field: FieldInfo) -> bool:
        """Whether a field holds something: null is nothing, as in the API."""
        value = getattr(self, name)
        if value is None or name not in self.model_fields_set:
            return False
        # An unknown field may have the name that Python has for this one, and is then in that set
        # for both: what is there and no default was given, and a default that was given is left
        # to the API server.
        return name not in (self.model_extra or ()) or value != field.get_default()

    def wire(self) -> dict[str, Any]:
        """The object as the API server would send it: wire names, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True)


Text = Annotated[str, Field(max_length=1024)]
"""A name or a word: longer than any that is meant."""
Words = Annotated[tuple[Text, ...], Field(max_length=1024)]
Int32 = Annotated[int, Field(json_schema_extra={"format": "int32"})]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]

Quantity = Annotated[
    str | int,
    Field(
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": (
                r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
                r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
            ),
            "x-kubernetes-int-or-string": True,
        }
    ),
]
"""A resource amount such as `500m` or `80Gi`; a bare integer is accepted too."""


FEW = Field(max_length=64)
"""The bound of maps with an entry for each of a few things, such as a node's resources."""


class OwnerReference(Wire):
    """The object that this one belongs to and is collected with."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Wire):
    """Names, labels and bookkeeping of an object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def deleting(self) -> bool:
        """Whether deletion was asked for; finalizers may still hold the object."""
        return self.deletion_timestamp != ""


class Condition(Wire):
    """One aspect of the observed state, with the reason in words."""

    type: Annotated[str, Field(max_length=316)]
    """What is judged, in CamelCase."""
    status: Annotated[str, Field(max_length=16)]
    """True, False or Unknown."""
    observed_generation: int | None = Field(default=None, json_schema_extra={"format": "int64"})
    """The metadata.generation that this condition was computed from."""
    last_transition_time: Annotated[str, Field(max_length=64)] = ""
    """When the status last changed from one value to another."""
    reason: Text = ""
    """A CamelCase word that programs can act on."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence for people: what is so, and what to do when it is wrong."""


def find_condition(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """The condition of this type, or None."""
    return next((c for c in conditions if c.type == type_), None)


def is_true(conditions: tuple[Condition, ...], type_: str) -> bool:
    """Whether the condition of this type is present and True."""
    found = find_condition(conditions, type_)
    return found is not None and found.status == "True"
