"""One version of a custom resource: cleaning, validation, columns and selectors."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from kaito.local.apiserver.custom import cleaning
from kaito.local.apiserver.custom.checking import Checker
from kaito.local.apiserver.custom.structural import Structural, build
from kaito.local.apiserver.fields import FieldError
from kaito.local.apiserver.schema import Node

if TYPE_CHECKING:
    from kaito.local.apiserver.custom.ruling import Ruling

Object = dict[str, Any]
UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the "
    "existing errors to complete validation"
)
# Faults after which the rules are not asked.
BLOCKING = {"type", "Required value", "Unsupported value", "Too long", "Too many"}
_epochs = count(1)


class VersionShape:
    """What a version's schema does to objects. `epoch` changes with the schema."""

    def __init__(self, version: Object, metadata: Node) -> None:
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        self.schema: Structural = build(schema)
        self.metadata = metadata
        self.epoch = next(_epochs)
        self.checker = Checker(self.schema)
        self._ruling: Ruling | None = None
        self.stored_as: Structural | None = None

    def read(self, obj: Object) -> Object:
        """A stored object as this version shows it, with the defaults of the stored version."""
        stored = self.stored_as or self.schema
        if stored.has_defaults:
            cleaning.default(obj, stored)
        cleaning.prune(obj, self.schema, root=True)
        return obj

    def write(self, obj: Object) -> Object:
        """What is stored: what the stored version knows, without nulls that it forbids."""
        stored = self.stored_as or self.schema
        if self.stored_as is not None:
            cleaning.prune(obj, stored, root=True)
        cleaning.settle_nulls(obj, stored)
        return obj

    def complete(self, obj: Object) -> None:
        """Fill defaults in place; nulls without one stay until the object is stored."""
        cleaning.default(obj, self.schema)

    def clean(self, obj: Object) -> list[str]:
        """Clean a sent object in place; the paths of what was unknown. Raises EmbeddedFault."""
        cleaning.settle_nulls(obj, self.schema)
        if self.schema.has_defaults:
            cleaning.default(obj, self.schema)
        gone: list[str] = []
        cleaning.prune(obj, self.schema, root=True, gone=gone)
        cleaning.clean_embedded(obj, self.schema, self.metadata, "", gone)
        return gone

    def validate(
        self, obj: Object, old: Object | None = None, warn: list[str] | None = None
    ) -> list[FieldError]:
        """Faults of schema and rules; `warn` collects those that are forgiven."""
        errors = self.checker.check(obj, old)
        if not self.schema.has_rules:
            return errors
        if any(e.what in BLOCKING for e in errors):
            return [*errors, FieldError("<nil>", "Invalid value", None, UNCHECKED)]
        if self._ruling is None:
            from kaito.local.apiserver.custom.ruling import Ruling

            self._ruling = Ruling(self.schema)
        found, forgiven = self._ruling.check(obj, old)
        if warn is not None:
            warn += [str(f) for f in forgiven]
        return errors + found
