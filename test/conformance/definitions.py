"""Custom resource definitions of a test's own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from test.conformance.client import Answer, Api
from test.conformance.objects import DEFINITIONS, Object, Space

ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True, slots=True)
class Widgets:
    """A kind Widget that exists for one test."""

    group: str
    ns: Space
    namespaced: bool
    version: str = "v1"

    @property
    def definition(self) -> str:
        return f"{DEFINITIONS}/widgets.{self.group}"

    @property
    def prefix(self) -> str:
        return f"/apis/{self.group}/{self.version}"

    def path(self, name: str = "", sub: str = "", version: str = "") -> str:
        prefix = f"/apis/{self.group}/{version or self.version}"
        if self.namespaced:
            return self.ns.path(prefix, "widgets", name, sub)
        return "/".join(part for part in (prefix, "widgets", name, sub) if part)

    def new(
        self, name: str, spec: Object | None = None, *, version: str = "", **rest: Any
    ) -> Object:
        found: Object = {
            "apiVersion": f"{self.group}/{version or self.version}",
            "kind": "Widget",
            "metadata": {"name": name, **rest.pop("metadata", {})},
        }
        if spec is not None:
            found["spec"] = spec
        return found | rest


class Defining:
    """Makes definitions and waits until what they define is served."""

    def __init__(self, api: Api, ns: Space) -> None:
        self._api = api
        self._ns = ns
        self._made: list[Widgets] = []

    def draft(
        self,
        spec: Object | None = None,
        *,
        status: Object | None = None,
        schema: Object | None = None,
        cluster: bool = False,
        versions: list[Object] | None = None,
        **version: Any,
    ) -> tuple[Widgets, Object]:
        """A definition that is not created. `spec` and `status` are schemas of these fields."""
        widgets = Widgets(f"g{secrets.token_hex(5)}.example.com", self._ns, not cluster)
        properties = {"spec": spec or ANYTHING}
        if status is not None:
            properties["status"] = status
        whole = schema or {"type": "object", "properties": properties}
        one = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": whole},
            **version,
        }
        return widgets, {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"widgets.{widgets.group}"},
            "spec": {
                "group": widgets.group,
                "scope": "Cluster" if cluster else "Namespaced",
                "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
                "versions": versions or [one],
            },
        }

    async def try_out(self, spec: Object | None = None, **options: Any) -> Answer:
        """The answer to the creation of a definition, which is not stored."""
        _, body = self.draft(spec, **options)
        return await self._api.create(DEFINITIONS, body, dryRun="All")

    async def __call__(self, spec: Object | None = None, **options: Any) -> Widgets:
        """Widgets that are served."""
        widgets, body = self.draft(spec, **options)
        (await self._api.create(DEFINITIONS, body)).ok()
        self._made.append(widgets)
        await self._api.until(widgets.definition, _established)
        for version in body["spec"]["versions"]:
            if version["served"]:
                path = widgets.path(version=version["name"])
                await self._api.until(path, lambda answer: answer.status == 200)
        return widgets

    async def clear(self) -> None:
        for widgets in self._made:
            await self._api.delete(widgets.definition)


def _established(answer: Answer) -> bool:
    conditions = answer.body.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
