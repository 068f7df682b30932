"""CustomResourceDefinitions, built from a model, its rules and the words that kubectl uses.

Pure functions; the result is a plain dict in the shape that the API server stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from kaito.api import schema as schemas
from kaito.api.rules import Rule, UpdateRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What kubectl calls the kind."""

    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A served version; `defaults` adds or replaces schema defaults, by dotted path."""

    name: str
    stored: bool = False
    defaults: Mapping[str, str | int | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """Everything that makes a custom resource; all its versions share one schema."""

    group: str
    names: Names
    namespaced: bool
    versions: tuple[Version, ...]
    model: type[BaseModel]
    columns: tuple[Column, ...]
    rules: tuple[Rule | UpdateRule, ...] = ()

    @property
    def name(self) -> str:
        """The name of the CustomResourceDefinition object."""
        return f"{self.names.plural}.{self.group}"


def crd(definition: Definition) -> dict[str, Any]:
    """The CustomResourceDefinition object, with conversion strategy None."""
    names = definition.names
    spelled: dict[str, Any] = {
        "kind": names.kind,
        "listKind": f"{names.kind}List",
        "plural": names.plural,
        "singular": names.kind.lower(),
    }
    if names.short_names:
        spelled["shortNames"] = list(names.short_names)
    if names.categories:
        spelled["categories"] = list(names.categories)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.name},
        "spec": {
            "group": definition.group,
            "names": spelled,
            "scope": "Namespaced" if definition.namespaced else "Cluster",
            "conversion": {"strategy": "None"},
            "versions": [_version(definition, v) for v in definition.versions],
        },
    }


def _version(definition: Definition, version: Version) -> dict[str, Any]:
    return {
        "name": version.name,
        "served": True,
        "storage": version.stored,
        "schema": {"openAPIV3Schema": _schema(definition, version)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(c) for c in definition.columns],
    }


def _schema(definition: Definition, version: Version) -> schemas.Schema:
    schema = schemas.object_schema(definition.model)
    # The API server owns these three; it accepts no schema for metadata but `type: object`.
    schema["properties"] |= {
        "apiVersion": {
            "description": "The API group and version of this object.",
            "type": "string",
        },
        "kind": {"description": "The kind of this object.", "type": "string"},
        "metadata": {"type": "object"},
    }
    for path, value in version.defaults.items():
        schemas.at(schema, path)["default"] = value
    for rule in definition.rules:
        cel = rule.expression if isinstance(rule, Rule) else rule.cel
        if cel is not None:
            schemas.at(schema, rule.path).setdefault("x-kubernetes-validations", []).append(
                _validation(rule, cel)
            )
    return schema


def _validation(rule: Rule | UpdateRule, cel: str) -> dict[str, Any]:
    spelled: dict[str, Any] = {"rule": cel, "message": rule.message}
    if isinstance(rule, Rule) and rule.at_creation:
        spelled |= {"rule": f"oldSelf.hasValue() || ({cel})", "optionalOldSelf": True}
    # The server takes no path into metadata, of which it has no schema.
    if rule.field and not rule.field.startswith("metadata"):
        spelled["fieldPath"] = f".{rule.field}"
    return spelled


def _column(column: Column) -> dict[str, Any]:
    spelled: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.json_path,
    }
    if column.priority:
        spelled["priority"] = column.priority
    return spelled


def condition_column(name: str, *, priority: int = 0) -> Column:
    """A column that shows the status of the condition of the same name."""
    path = f'.status.conditions[?(@.type=="{name}")].status'
    return Column(name=name, json_path=path, priority=priority)


AGE = Column(name="Age", json_path=".metadata.creationTimestamp", type="date")
